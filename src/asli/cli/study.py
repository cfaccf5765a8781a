"""Commands of the study."""

from pathlib import Path
from typing import Annotated, Literal

import cyclopts
from cyclopts import Parameter

from asli.cli.common import PAPER, Count, Device, Threads, app, examples
from asli.errors import AsliError

study = cyclopts.App(
    name="study",
    group=PAPER,
    help="Measure again what a paper claims.",
    help_epilogue=examples("study paper --budget smoke"),
)
app.command(study)


@study.command(help_epilogue=examples("study paper --budget smoke", "study paper --budget full --data data --plan"))
def paper(
    *,
    budget: Literal["full", "cpu", "smoke"] = "smoke",
    data: Path | None = None,
    out: Path = Path("asli-study"),
    only: Annotated[list[str] | None, Parameter(negative="", consume_multiple=True)] = None,
    seeds: Count | None = None,
    weights: Path | None = None,
    plan: Annotated[bool, Parameter(negative="")] = False,
    report: Annotated[bool, Parameter(negative="")] = False,
    track: Annotated[list[Literal["tensorboard", "wandb"]] | None, Parameter(negative="")] = None,
    device: Device = None,
    threads: Threads = None,
) -> None:
    """Run every table and figure of Hakim et al. (2024), and answer its claims.

    Finished runs are skipped and an interrupted one is resumed. A cell that fails is reported and the rest continues.
    A second call on the same --out at the same time shares the work.

    Args:
        budget: full: as the paper, on a GPU; cpu: about twelve core-hours; smoke: minutes, on the bundled sample.
        data: A data folder; the smoke budget takes the bundled sample where none is given.
        out: Folder for runs, tables and figures.
        only: Cells to run: names or patterns as --plan lists them, or table7, figure8, settings.
        seeds: Most runs of each cell; by default the budget's own number.
        weights: Folder of start weights named after their networks: resnet50.safetensors, cifar10_resnet20.safetensors.
        plan: Train nothing; print the cells and the time they take on this machine, from measured speed. With the full
            budget, also print whether each weight file is on the hub and fits, GPU hours, memory and disk.
        report: Train nothing; write tables and figures from the runs that --out holds.
        track: Also log each run to TensorBoard or Weights & Biases.
    """
    from asli.study.paper.run_study import open_study, plan_text, run_study

    opened = open_study(budget, data, out, weights=weights, device=device, threads=threads, trackers=track or ())
    if plan:
        print(plan_text(opened, only=only or (), seeds=seeds))
        return
    written, results = run_study(opened, only=only or (), seeds=seeds, report_only=report)
    print(f"study: {written}")
    failed = [f"{item['cell']} (seed {item['seed']})" for item in results if item["status"] == "failed"]
    if failed:
        raise AsliError(f"{len(failed)} of {len(results)} runs failed: {', '.join(failed)}; each is named above")
