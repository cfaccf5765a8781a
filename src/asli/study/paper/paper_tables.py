"""The paper's tables, from the study's runs, each row beside what the paper prints."""

from collections.abc import Sequence

from asli.study.paper import printed as paper
from asli.study.paper.budgets import STARTS, Budget
from asli.study.paper.grid import KINDS, PaperCell, corner
from asli.study.paper.printed import Printed
from asli.study.sweep.results import (
    AUROC,
    CALIBRATED_LOSS,
    F1,
    F1_ARGMAX,
    NONE,
    CellResults,
    Pick,
    Results,
    figure,
    raw_loss,
)
from asli.study.sweep.tabular import TextTable

OVER_SEEDS = (
    "Mean ± standard deviation over seeds; 95% intervals of the mean over seeds (Student's t), or over images where"
    " there is one seed. *Loss*: raw, before temperature scaling, as the paper's are; *calibrated*: after it, with the"
    " temperature T, whose upper bound is 20. *F1 argmax*: at 0.5, most likely what the paper printed. *F1 fitted*: at"
    " the threshold fitted on the calibration part; its floor is 0.667, the F1 of always answering fake."
)

SCORES: dict[str, Pick] = {"F1 argmax": F1_ARGMAX, "F1 fitted": F1, "AUROC": AUROC}


def paper_tables(budget: Budget, results: Results) -> list[TextTable]:
    """Return tables 2 to 7."""
    return [
        table_2(budget, results),
        table_3(budget, results),
        table_4(budget, results),
        table_5(budget, results),
        table_6(budget, results),
        table_7(budget, results),
    ]


def losses_of(item: CellResults) -> tuple[str, str, str]:
    """Return raw loss, calibrated loss and temperature as text."""
    return item.text(raw_loss), item.text(CALIBRATED_LOSS), item.temperature if item.done else NONE


LOSSES = ("loss", "calibrated", "T")


def table_2(budget: Budget, results: Results) -> TextTable:
    """Return the comparison of networks."""
    rows = []
    for item in results.showing("table 2"):
        name = stands_for(item)
        printed = paper.TABLE_2.get(name, Printed())
        rows.append(
            (
                item.cell.says,
                item.condition,
                item.seeds,
                *losses_of(item),
                *(item.text(pick) for pick in SCORES.values()),
                item.interval("threshold_free", "auroc"),
                NONE if not item.done else f"no: {item.unlearned}" if item.unlearned else "yes",
                item.text(lambda result: result["seconds"]["training"] / 60, 1),
                NONE if printed.f1 is None else f"{name}: {printed.loss} / {printed.f1}",
            )
        )
    return TextTable(
        "table2",
        "Table 2: networks",
        (
            "network",
            "condition",
            "seeds",
            *LOSSES,
            *SCORES,
            "AUROC 95%",
            "learned",
            "minutes",
            "paper: loss / F1",
        ),
        rows,
        (
            "Condition: input size, training images x epochs. *Learned*: better than a constant answer, which has a"
            " loss of 0.693 and an AUROC of 0.5: the AUROC interval of every run lies above 0.6, and the mean"
            " raw loss below 0.693. A comparison with a network that did not learn is not judged. Minutes: wall time of"
            " training.",
        ),
    )


def table_3(budget: Budget, results: Results) -> TextTable:
    """Return the deepest network with residual connections and pretrained weights, in every figure."""
    names = [corner("residual", "pretrained", budget.depths[-1])]
    return _in_full(
        "table3",
        f"Table 3: {budget.depths[-1]} (the paper's: ResNet-152)",
        results.of_names(names),
        [("ResNet-152, table 3", paper.TABLE_3)],
    )


def table_4(budget: Budget, results: Results) -> TextTable:
    """Return the deepest network without residual connections, with pretrained weights."""
    names = [corner(kind, "pretrained", budget.depths[-1]) for kind in ("plain", "plain-stage")]
    return _in_full(
        "table4",
        f"Table 4: {budget.depths[-1]} without residual connections, pretrained, in both readings",
        results.of_names(names),
        [("plain ResNet-152, table 4", paper.TABLE_4)],
    )


def table_5(budget: Budget, results: Results) -> TextTable:
    """Return all corners of the deepest network, since the paper says of its second row two different things."""
    names = [corner(kind, start, budget.depths[-1]) for kind in KINDS for start in STARTS]
    printed = [("plain, scratch, table 5 (1)", paper.TABLE_5[0]), ("disputed, table 5 (2)", paper.TABLE_5[1])]
    return _in_full("table5", f"Table 5: {budget.depths[-1]} in every corner", results.of_names(names), printed)


def table_6(budget: Budget, results: Results) -> TextTable:
    """Return depth against F1 and AUROC."""
    rows = []
    for place, network in enumerate(budget.depths):
        printed = paper.TABLE_6[paper.DEPTHS[place]].f1
        cells = [results.get(corner("residual", start, network)) for start in STARTS]
        texts = [item.text(pick) if item else NONE for item in cells for pick in SCORES.values()]
        rows.append((network, *texts, f"{paper.DEPTHS[place]}: {printed}"))
    headings = [f"{metric}, {start}" for start in STARTS for metric in SCORES]
    missing = tuple(f"{item.cell.name}: {item.why}." for item in results.showing("table 6") if item.why)
    return TextTable(
        "table6",
        "Table 6: depth, with residual connections",
        ("network", *headings, "paper: F1"),
        rows,
        missing,
    )


def table_7(budget: Budget, results: Results) -> TextTable:
    """Return loss and scores of every depth in every corner; the paper prints three of the six columns."""
    rows = []
    for place, network in enumerate(budget.depths):
        printed = dict(zip(paper.SCENARIOS, paper.TABLE_7[paper.DEPTHS[place]], strict=True))
        for kind in KINDS:
            for start in STARTS:
                item = results.get(corner(kind, start, network))
                if item is None:
                    continue
                number = NONE
                if (kind, start) in printed:
                    row, scenario = printed[kind, start], 1 + paper.SCENARIOS.index((kind, start))
                    number = f"{paper.DEPTHS[place]}, {scenario}: {row.loss} / {row.f1}"
                rows.append(
                    (
                        network,
                        kind,
                        start,
                        item.condition,
                        item.seeds,
                        *losses_of(item),
                        *(item.text(pick) for pick in SCORES.values()),
                        number,
                    )
                )
    return TextTable(
        "table7",
        "Table 7: residual connections and pretraining, at every depth",
        ("network", "shortcuts", "start", "condition", "seeds", *LOSSES, *SCORES, "paper, scenario: loss / F1"),
        rows,
        (
            "plain: without any shortcut; plain-stage: without the one that opens each stage. Answering fake always"
            " gives F1 0.667 on a balanced test part, an AUROC of 0.5 and, at best, a loss of 0.693.",
        ),
    )


def stands_for(item: CellResults) -> str:
    """Return the paper's network that a cell stands for."""
    cell = item.cell
    assert isinstance(cell, PaperCell)
    return cell.network if cell.place is None else paper.DEPTHS[cell.place]


def _in_full(name: str, title: str, items: Sequence[CellResults], printed: Sequence[tuple[str, Printed]]) -> TextTable:
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
    return TextTable(
        name,
        title,
        ("network", "condition", "seeds", "threshold", "F1", "precision", "recall", "accuracy", "AUROC"),
        rows,
        ("AUROC needs no threshold: where it is high and recall low, the threshold is at fault.",),
    )
