"""Commands of the study."""

from pathlib import Path
from typing import Annotated, Literal

import cyclopts
from cyclopts import Parameter

from asli.cli.common import Count, Device, Threads, app
from asli.errors import AsliError

study = cyclopts.App(name="study", help="Measure again what a paper claims.")
app.command(study)


@study.command
def paper(
    *,
    budget: Literal["full", "cpu", "smoke"] = "smoke",
    data: Path | None = None,
    out: Path = Path("asli-study"),
    only: Annotated[list[str] | None, Parameter(negative="", consume_multiple=True)] = None,
    seeds: Count | None = None,
    weights: Path | None = None,
    plan: Annotated[bool, Parameter(negative="")] = False,
    device: Device = None,
    threads: Threads = None,
) -> None:
    """Run every table and figure of Hakim et al. (2024), and answer its claims.

    What is done is skipped, what was cut goes on; a cell that fails is reported and the rest goes on. A second call on
    the same --out at the same time shares the work.

    Args:
        budget: full: as the paper, on a GPU; cpu: six hours on two cores; smoke: minutes, on the bundled sample.
        data: A data folder; the smoke budget takes the bundled sample where none is given.
        out: Where runs, tables and figures go.
        only: Cells to run: names or patterns as --plan lists them, or table7, figure8, settings.
        seeds: Runs of each cell; by default the budget's own number.
        weights: Folder of start weights named after their networks: resnet50.safetensors, cifar10_resnet20.safetensors.
        plan: Print the cells and how long they take here, from measured speed, and run nothing.
    """
    from asli.study.plan import describe
    from asli.study.run_study import open_study, plan_study, run_study

    opened = open_study(budget, data, out, weights=weights, device=device, threads=threads)
    if plan:
        print(describe(plan_study(opened, only=only or (), seeds=seeds), opened))
        return
    written, results = run_study(opened, only=only or (), seeds=seeds)
    print(f"study: {written}")
    failed = [f"{item['cell']} (seed {item['seed']})" for item in results if item["status"] == "failed"]
    if failed:
        raise AsliError(f"{len(failed)} of {len(results)} runs failed: {', '.join(failed)}; each is named above")
