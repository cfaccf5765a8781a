"""The paper's study: the verb behind `asli study paper`."""

import logging
from collections.abc import Sequence
from pathlib import Path

from asli.datasets.cache import open_data
from asli.datasets.folder import DataFolder
from asli.errors import DataError, RecipeError, WeightsError
from asli.sample import open_sample
from asli.study.claims import answer, claims_table, contrasts
from asli.study.consistency import consistency_table
from asli.study.costs import costs, costs_table, gradients_table
from asli.study.figures import draw_all
from asli.study.grid import BUDGETS, cells, chosen
from asli.study.plan import Planned
from asli.study.plan import plan as make_plan
from asli.study.report import Report
from asli.study.results import Results
from asli.study.runner import Result, Study, read_results, run_cells, summary
from asli.study.sampled import SampledFolder
from asli.study.tables import all_tables

logger = logging.getLogger("asli")


def open_study(
    budget: str,
    data: str | Path | DataFolder | None,
    out: str | Path,
    *,
    weights: str | Path | None = None,
    device: str | None = None,
    threads: int | None = None,
) -> Study:
    """Open a study's folder.

    Args:
        budget: full, cpu or smoke.
        data: A data folder; None takes the bundled sample, in the smoke budget only.
        out: Where everything goes.
        weights: Folder of start weights, each file named after its network.
        device: cuda, mps or cpu; None takes the best there is.
        threads: CPU threads of one operation; None leaves torch's choice.

    Raises:
        RecipeError, DataError, WeightsError: No such budget, data or folder.
    """
    if budget not in BUDGETS:
        raise RecipeError(f"no budget named '{budget}'; there are {', '.join(BUDGETS)}")
    how, out = BUDGETS[budget], Path(out)
    folder = Path(weights) if weights is not None else None
    if folder is not None and not folder.is_dir():
        raise WeightsError(f"{folder} is no folder; --weights takes the folder of the weight files")
    if data is None and not how.bundled:
        raise DataError(f"the budget {budget} needs --data, a data folder (asli data cifake makes CIFAKE's)")
    if data is None:
        opened = open_sample(out / "cifake-sample")
    else:
        opened = open_data(data)
    return Study(
        budget=how,
        data=SampledFolder(opened, how.parts),
        out=out,
        weights=folder,
        device=device,
        threads=threads,
    )


def seeds_of(study: Study, number: int | None) -> list[int]:
    """Return the seeds of a study: 1, 2, ... as many as asked for, or as the budget has.

    Raises:
        RecipeError: Less than one.
    """
    if number is not None and number < 1:
        raise RecipeError("--seeds must be 1 or more")
    return list(range(1, 1 + (number or study.budget.seeds)))


def plan_study(study: Study, *, only: Sequence[str] = (), seeds: int | None = None) -> list[Planned]:
    """Plan what `run_study` would run, from speeds measured here."""
    return make_plan(study, chosen(study.budget, only), seeds_of(study, seeds))


def run_study(study: Study, *, only: Sequence[str] = (), seeds: int | None = None) -> tuple[Path, list[Result]]:
    """Run cells and write every table and figure from all runs the folder holds.

    Args:
        study: As `open_study` returns it.
        only: Cells to run, by name, pattern, table or figure; all by default.
        seeds: Runs of each cell; the budget's own number by default.

    Returns:
        Path of `study.md`; what became of the runs of this call.

    Raises:
        RecipeError: No such cell.
        Interrupted: Ctrl-C or SIGTERM; call again to go on.
    """
    wanted, runs = chosen(study.budget, only), seeds_of(study, seeds)
    study.out.mkdir(parents=True, exist_ok=True)
    results = run_cells(study, wanted, runs)
    logger.info("%s", summary(results))
    return report(study, runs), results


def report(study: Study, seeds: Sequence[int]) -> Path:
    """Write every table and figure from the runs there are; return the path of `study.md`."""
    logger.info("tables and figures")
    every = cells(study.budget)
    results = Results.of(every, read_results(study, every, seeds))
    answers = answer(contrasts(study.budget), results)
    found = costs(study, results)
    tables = [*all_tables(study.budget, results), costs_table(found), gradients_table(found), consistency_table()]
    pictures = draw_all(study, results, len(seeds), study.out / "figures")
    made = Report(study, results, answers, claims_table(answers), tables, pictures, len(seeds))
    return made.write(study.out)
