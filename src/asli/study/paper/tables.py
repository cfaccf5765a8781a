"""The paper's tables, from the study's runs, each row beside what the paper prints."""

from collections.abc import Iterator, Sequence

from asli.study import paper
from asli.study.grid import KINDS, STARTS, Budget, corner
from asli.study.paper import Printed
from asli.study.results import (
    AUROC,
    F1,
    F1_ARGMAX,
    LOSS,
    NONE,
    CellResults,
    Results,
    figure,
    last_training_loss,
    rise,
)
from asli.study.tabular import Table

OVER_SEEDS = (
    "Mean ± standard deviation over seeds; 95% intervals of the mean over seeds (Student's t), or over images where"
    " there is one seed. F1 at the threshold fitted on the calibration part unless argmax is said."
)


def all_tables(budget: Budget, results: Results) -> list[Table]:
    """Return tables 2 to 7 and those of the settings."""
    return [
        table_2(budget, results),
        table_3(budget, results),
        table_4(budget, results),
        table_5(budget, results),
        table_6(budget, results),
        table_7(budget, results),
        schedule_table(results),
        settings_table(budget, results),
    ]


def table_2(budget: Budget, results: Results) -> Table:
    """Return the comparison of networks."""
    rows = []
    for item in results.showing("table 2"):
        name = stands_for(budget, item)
        printed = paper.TABLE_2.get(name, Printed())
        rows.append(
            (
                item.cell.network,
                item.cell.start,
                item.condition,
                item.seeds,
                item.text(LOSS),
                item.text(F1),
                item.interval("threshold", "f1"),
                item.text(F1_ARGMAX),
                item.text(AUROC),
                item.text(lambda result: result["seconds"]["training"] / 60, 1),
                _printed(name, printed.loss, printed.f1),
            )
        )
    return Table(
        "table2",
        "Table 2: networks",
        (
            "network",
            "start",
            "condition",
            "seeds",
            "loss",
            "F1",
            "95%",
            "F1 argmax",
            "AUROC",
            "minutes",
            "paper: loss / F1",
        ),
        rows,
        ("Condition: input size, training images x epochs. Minutes: training, validation included.",),
    )


def table_3(budget: Budget, results: Results) -> Table:
    """Return the deepest network with residual connections and pretrained weights, in every figure."""
    names = [corner("residual", "pretrained", budget.depths[-1])]
    return _in_full(
        "table3",
        f"Table 3: {budget.depths[-1]} (the paper's: ResNet-152)",
        _of(results, names),
        [("ResNet-152, table 3", paper.TABLE_3)],
    )


def table_4(budget: Budget, results: Results) -> Table:
    """Return the deepest network without residual connections, with pretrained weights."""
    names = [corner(kind, "pretrained", budget.depths[-1]) for kind in ("plain", "plain-stage")]
    return _in_full(
        "table4",
        f"Table 4: {budget.depths[-1]} without residual connections, pretrained, in both readings",
        _of(results, names),
        [("plain ResNet-152, table 4", paper.TABLE_4)],
    )


def table_5(budget: Budget, results: Results) -> Table:
    """Return all corners of the deepest network, since the paper says of its second row two different things."""
    names = [corner(kind, start, budget.depths[-1]) for kind in KINDS for start in STARTS]
    printed = [("plain, scratch, table 5 (1)", paper.TABLE_5[0]), ("disputed, table 5 (2)", paper.TABLE_5[1])]
    return _in_full("table5", f"Table 5: {budget.depths[-1]} in every corner", _of(results, names), printed)


def table_6(budget: Budget, results: Results) -> Table:
    """Return depth against F1."""
    rows = []
    for place, network in enumerate(budget.depths):
        pretrained, scratch = (results.get(corner("residual", start, network)) for start in STARTS)
        printed = paper.TABLE_6[paper.DEPTHS[place]].f1
        rows.append(
            (
                network,
                *_f1_and_auroc(pretrained),
                *_f1_and_auroc(scratch),
                f"{paper.DEPTHS[place]}: {printed}",
            )
        )
    return Table(
        "table6",
        "Table 6: depth, with residual connections",
        ("network", "F1 pretrained", "AUROC", "F1 scratch", "AUROC ", "paper: F1"),
        rows,
        tuple(_missing(results.showing("table 6"))),
    )


def table_7(budget: Budget, results: Results) -> Table:
    """Return loss and F1 of every depth in every corner; the paper prints three of the six columns."""
    corners = [(kind, start) for kind in KINDS for start in STARTS]
    rows = []
    for place, network in enumerate(budget.depths):
        printed = paper.TABLE_7[paper.DEPTHS[place]]
        for kind, start in corners:
            item = results.get(corner(kind, start, network))
            if item is None:
                continue
            beside = next(
                (p for p, scenario in zip(printed, paper.SCENARIOS, strict=True) if scenario == (kind, start)), None
            )
            number = (
                f"{paper.DEPTHS[place]}, {1 + paper.SCENARIOS.index((kind, start))}: {beside.loss} / {beside.f1}"
                if beside
                else NONE
            )
            rows.append(
                (
                    network,
                    kind,
                    start,
                    item.condition,
                    item.text(LOSS),
                    item.text(F1),
                    item.text(F1_ARGMAX),
                    item.text(AUROC),
                    number,
                )
            )
    return Table(
        "table7",
        "Table 7: residual connections and pretraining, at every depth",
        (
            "network",
            "shortcuts",
            "start",
            "condition",
            "loss",
            "F1",
            "F1 argmax",
            "AUROC",
            "paper, scenario: loss / F1",
        ),
        rows,
        (
            "plain: without any shortcut; plain-stage: without the one that opens each stage. Answering FAKE always"
            " gives F1 .667 on a balanced test part, and an AUROC of .5.",
        ),
    )


def schedule_table(results: Results) -> Table:
    """Return the runs with and without the scheduler."""
    names = ("schedule-linear", "schedule-constant", "schedule-constant-half")
    items = [item for item in results.cells if item.cell.name in names]
    items = [*(_base(results, items) if items and items[0].cell.name != names[0] else []), *items]
    rows = [
        (
            item.cell.says,
            item.cell.network,
            item.condition,
            item.seeds,
            item.text(last_training_loss),
            item.text(lambda result: result["validation"][-1][1]),
            item.text(rise),
            item.text(F1),
            item.text(AUROC),
        )
        for item in items
    ]
    return Table(
        "schedule",
        "Figures 7 and 8 in numbers: the scheduler",
        (
            "rate",
            "network",
            "condition",
            "seeds",
            "training loss at the end",
            "validation loss at the end",
            "rise above its lowest",
            "F1",
            "AUROC",
        ),
        rows,
        ("Training loss: mean of the last tenth of the updates. F1 and AUROC: of the weights best on validation.",),
    )


def settings_table(budget: Budget, results: Results) -> Table:
    """Return what the abstract credits and never ablates, and what the paper leaves open."""
    items = results.showing("settings")
    rows = []
    for item in [*_base(results, items), *items]:
        base = results.get(item.cell.against) if item.cell.against else None
        mean, before = item.mean(F1), base.mean(F1) if base else None
        difference = f"{mean - before:+.4f}" if mean is not None and before is not None else NONE
        says = item.cell.says if item.cell.against else "as the base recipe"
        rows.append(
            (says, item.condition, item.seeds, item.text(LOSS), item.text(F1), difference, item.text(AUROC)),
        )
    return Table(
        "settings",
        f"Never ablated in the paper: one setting changed, {budget.setting_network}, {budget.setting_start}",
        ("setting", "condition", "seeds", "loss", "F1", "against the base", "AUROC"),
        rows,
        (f"Base: asli recipes study/{budget.name}. The paper prints nothing to compare with.",),
    )


def stands_for(budget: Budget, item: CellResults) -> str:
    """Return the paper's network that a cell stands for."""
    return item.cell.network if item.cell.place is None else paper.DEPTHS[item.cell.place]


def _in_full(name: str, title: str, items: Sequence[CellResults], printed: Sequence[tuple[str, Printed]]) -> Table:
    rows = []
    for item in items:
        for kind, words in (("threshold", "fitted"), ("argmax", "argmax")):
            rows.append(
                (
                    f"{item.cell.network}, {item.cell.start}",
                    item.condition,
                    item.seeds,
                    words,
                    *(item.text(figure(kind, key)) for key in ("f1", "precision", "recall", "accuracy")),
                    item.text(AUROC),
                )
            )
            if not item.done:
                break
    for words, row in printed:
        figures = (row.f1, row.precision, row.recall, row.accuracy)
        rows.append((f"paper: {words}", NONE, NONE, "not said", *(f"{value:.4f}" for value in figures), NONE))
    return Table(
        name,
        title,
        ("network", "condition", "seeds", "threshold", "F1", "precision", "recall", "accuracy", "AUROC"),
        rows,
        ("AUROC needs no threshold: where it is high and recall low, the threshold is at fault.",),
    )


def _of(results: Results, names: Sequence[str]) -> list[CellResults]:
    return [item for item in map(results.get, names) if item is not None]


def _base(results: Results, items: Sequence[CellResults]) -> list[CellResults]:
    against = next((item.cell.against for item in items if item.cell.against), None)
    base = results.get(against) if against else None
    return [base] if base else []


def _f1_and_auroc(item: CellResults | None) -> tuple[str, str]:
    return (item.text(F1), item.text(AUROC)) if item else (NONE, NONE)


def _printed(name: str, loss: float | None, f1: float | None) -> str:
    return NONE if f1 is None else f"{name}: {loss} / {f1}"


def _missing(items: Sequence[CellResults]) -> Iterator[str]:
    for item in items:
        if item.why:
            yield f"{item.cell.name}: {item.why}."
