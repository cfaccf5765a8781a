"""The paper's study: the function behind `asli study paper`."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from asli.datasets.folder import DataFolder
from asli.errors import DataError, RecipeError, WeightsError
from asli.sample import open_sample
from asli.study.paper.budgets import BUDGETS, Budget
from asli.study.paper.claim import PaperClaim
from asli.study.paper.consistency import consistency_table
from asli.study.paper.costs import costs, costs_table
from asli.study.paper.grid import cells
from asli.study.paper.paper_claims import claims
from asli.study.paper.paper_figures import draw_all
from asli.study.paper.paper_report import PaperReport
from asli.study.paper.paper_tables import paper_tables
from asli.study.paper.starts import Pins, starts_from
from asli.study.paper.training_tables import claims_table, training_tables
from asli.study.sweep.cells import chosen
from asli.study.sweep.contrasts import Answer, answer
from asli.study.sweep.plan import describe
from asli.study.sweep.plan import plan as make_plan
from asli.study.sweep.preflight import preflight_text
from asli.study.sweep.record import Result
from asli.study.sweep.results import Results
from asli.study.sweep.runner import Sweep, read_results, run_cells, summary
from asli.study.sweep.sampled import SampledFolder

logger = logging.getLogger("asli")


@dataclass(frozen=True, slots=True)
class Study:
    """The paper's study.

    Attributes:
        budget: How much is run.
        sweep: Where and on what.
        weights: Folder of start weights, or None.
    """

    budget: Budget
    sweep: Sweep
    weights: Path | None


def open_study(
    budget: str,
    data: str | Path | DataFolder | None,
    out: str | Path,
    *,
    weights: str | Path | None = None,
    device: str | None = None,
    threads: int | None = None,
    trackers: Sequence[str] = (),
) -> Study:
    """Open a study's folder.

    Args:
        budget: full, cpu or smoke.
        data: A data folder; None takes the bundled sample, in the smoke budget only.
        out: Where everything goes.
        weights: Folder of start weights, each file named after its network.
        device: cuda, mps or cpu; None takes the best there is.
        threads: CPU threads of one operation; None leaves torch's choice.
        trackers: Any of `tensorboard`, `wandb`; each run is tracked.

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
        opened = data if isinstance(data, DataFolder) else DataFolder.open(data)
    sweep = Sweep(
        base=how.base,
        data=SampledFolder(opened, how.parts),
        out=out,
        start_of=starts_from(how, folder, Pins(out / "weights.json")),
        device=device,
        threads=threads,
        trackers=tuple(trackers),
    )
    return Study(how, sweep, folder)


def seeds_of_study(study: Study, number: int | None) -> int:
    """Return how many seeds a study has: as many as asked for, or as the budget has.

    Raises:
        RecipeError: Less than one.
    """
    if number is not None and number < 1:
        raise RecipeError("--seeds must be 1 or more")
    return number or study.budget.seeds


def plan_text(study: Study, *, only: Sequence[str] = (), seeds: int | None = None) -> str:
    """Return the plan for a person; of the full budget with what the hub has and what a GPU needs."""
    wanted, number = chosen(cells(study.budget), only), seeds_of_study(study, seeds)
    if study.budget.name == "full":
        return preflight_text(study.sweep, wanted, number)
    return describe(make_plan(study.sweep, wanted, number), study.sweep)


def run_study(
    study: Study, *, only: Sequence[str] = (), seeds: int | None = None, report_only: bool = False
) -> tuple[Path, list[Result]]:
    """Run cells and write every table and figure from all runs the folder holds.

    Args:
        study: Study, as `open_study` returns it.
        only: Cells to run, by name, pattern, table or figure; all by default.
        seeds: Runs of each cell at most; the budget's own number by default.
        report_only: Train nothing; write tables and figures from the runs there are.

    Returns:
        Path of `study.md`; what became of the runs of this call.

    Raises:
        RecipeError: No such cell.
        Interrupted: Ctrl-C or SIGTERM; call again to resume.
    """
    wanted, number = chosen(cells(study.budget), only), seeds_of_study(study, seeds)
    study.sweep.out.mkdir(parents=True, exist_ok=True)
    results: list[Result] = []
    if not report_only:
        results = run_cells(study.sweep, wanted, number)
        logger.info("%s", summary(results))
    logger.info("tables and figures")
    return report(study, number), results


def report(study: Study, seeds: int) -> Path:
    """Write every table and figure from the runs there are; return the path of `study.md`."""
    budget, sweep = study.budget, study.sweep
    every = cells(budget)
    results = Results.of(every, read_results(sweep, every, seeds))
    answered = answers_of(budget, results)
    tables = [
        claims_table(answered),
        *paper_tables(budget, results),
        *training_tables(budget, results),
        costs_table(costs(budget, sweep, results)),
        consistency_table(),
    ]
    pictures = draw_all(budget, sweep, results, seeds, sweep.out / "figures")
    made = PaperReport(budget, sweep, study.weights is not None, results, answered, tables, pictures, seeds)
    return made.write(sweep.out)


def answers_of(budget: Budget, results: Results) -> list[tuple[PaperClaim, list[Answer]]]:
    """Return the paper's claims with their answers; all tests are corrected together."""
    made = claims(budget)
    answers = iter(answer([contrast for claim in made for contrast in claim.contrasts], results))
    return [(claim, [next(answers) for _ in claim.contrasts]) for claim in made]
