"""The sections of the figures that every evaluation has, from `metrics.json`; each function is pure."""

from typing import Any

from asli.evaluation.sections.access import (
    Result,
    at_argmax,
    at_threshold,
    confusion,
    counts_of,
    is_score_table,
    threshold_free,
    verdict_rates,
)
from asli.messages import message
from asli.metrics.classification import Confusion
from asli.reports import plots
from asli.reports.kit import ReportFigure, ReportTable, Section, TableCell, measured, rate, stacked, stacked_rate
from asli.reports.numbers import ends, percent

RATES = {"false_positive_rate": "photographs called fake", "false_negative_rate": "fakes not called fake"}

GROUP_FIGURES = {**RATES, "auroc": "AUROC"}

VERDICTS = ("real", "unsure", "fake")

DRAWN_GROUPS = 12
"""Groups of one property that a picture shows; the table shows all."""


def figures_section(result: Result) -> Section:
    """Return every figure at the saved threshold, at the argmax and without one."""
    names = {key: metric["title"] for key, metric in result["definitions"].items()}
    without = (result["without_cross_split_duplicates"] or {}).get("figures")
    columns = ["metric", f"at {result['threshold']:.4f}", "95 % CI", "at 0.5", "95 % CI", "images"]
    argmax, counts, argmax_counts = at_argmax(result), confusion(result), confusion(result, argmax=True)
    rows = [
        [names[key], *_counted(key, f, counts), *_counted(key, argmax[key], argmax_counts), _images(f)]
        for key, f in at_threshold(result).items()
    ]
    free = [[names[key], *measured(f), _images(f)] for key, f in threshold_free(result).items()]
    tables = [
        ReportTable(caption="At a threshold", columns=columns, rows=rows),
        ReportTable(caption="Threshold-free", columns=["metric", "value", "95 % CI", "images"], rows=free),
    ]
    if without:
        tables.append(
            ReportTable(
                caption=(
                    f"Without the {result['data']['cross_split_duplicates']:,} images that have a duplicate in"
                    " another official split"
                ),
                columns=["metric", f"at {result['threshold']:.4f}", "95 % CI", "images"],
                rows=[[names[k], *measured(f), _images(f)] for k, f in without.items()],
            )
        )
    if result["tpr_at_fpr"]:
        tables.append(_oracle_table(result))
    return Section(
        id="figures",
        title=message("section.figures"),
        tables=tables,
        figures=_drawings(result),
        notes=[_intervals_note(result["intervals"], result["data"]["duplicates"]), _threshold_note(result)],
    )


def verdicts_section(result: Result) -> Section:
    """Return each verdict's share, and how often verdicts are right where fakes are rarer than here."""
    return Section(
        id="verdicts",
        title=message("section.verdicts"),
        tables=[
            ReportTable(
                caption="What images are called",
                columns=["images that are", *(f"called {name}, 95 % CI" for name in VERDICTS), "images"],
                rows=[
                    [label, *(stacked_rate(f) for f in shares.values()), _images(shares["fake"])]
                    for label, shares in verdict_rates(result).items()
                ],
            ),
            ReportTable(
                caption="How often a verdict is right, by the share of fakes among the images it is given",
                columns=[
                    "share of fakes",
                    "alarms that are right (PPV)",
                    "95 % CI",
                    "reals that are right (NPV)",
                    "95 % CI",
                ],
                rows=[
                    [
                        TableCell(text=f"{100 * line['prevalence']:.4g} %", value=line["prevalence"]),
                        *_percent_cells(line["ppv"]),
                        *_percent_cells(line["npv"]),
                    ]
                    for line in result["prevalences"]
                ],
            ),
        ],
        notes=[
            "PPV and NPV follow by Bayes' rule from the shares above; their intervals take both shares at opposite ends"
            " of their own intervals, so they cover the truth at least 95 times in 100. They assume that the images to"
            " come differ from these in the share of fakes only."
        ],
    )


def calibration_section(result: Result) -> Section:
    """Return how far scores are from being probabilities."""
    found = result["calibration"]
    chance = found["ece_if_calibrated"]
    beyond = "more than chance explains" if found["ece"] > chance["p95"] else "no more than chance explains"
    return Section(
        id="calibration",
        title=message("section.calibration"),
        tables=[
            ReportTable(
                columns=["metric", "value", "95 % CI"],
                rows=[
                    [f"ECE, {len(found['bins'])} bins of equally many images", f"{found['ece']:.4f}", "see below"],
                    [
                        "ECE of perfectly calibrated scores like these",
                        f"{chance['mean']:.4f}",
                        f"up to {chance['p95']:.4f}",
                    ],
                    [
                        "root mean square error, debiased",
                        *measured(found["rms_error"]),
                    ],
                ],
            )
        ],
        figures=[ReportFigure(name="reliability", title="Reliability", drawing=plots.reliability(found["bins"]))],
        notes=[
            f"The ECE is biased upwards: perfectly calibrated scores would show {chance['mean']:.4f} on average and"
            f" stay below {chance['p95']:.4f} 95 times in 100 (1,000 draws of labels from the scores)."
            f" The measured {found['ece']:.4f} is {beyond}."
            " The root mean square error is debiased (Kumar, Liang & Ma 2019)."
            " Calibration holds at the share of fakes found here and moves with it."
        ],
    )


def groups_section(result: Result) -> Section | None:
    """Return figures by generator, category, size and format; None where there is but one group of each."""
    tables, figures, single = [], [], []
    found = result["by_group"]
    worst_of = {RATES[rate]: (worst["property"], worst["name"]) for rate, worst in found["worst"].items()}
    for property_ in (key for key in found if key not in ("worst", "enough")):
        lines = found[property_]
        if len(lines) < 2:
            single += [f"{property_} {line['name']}" for line in lines]
            continue
        tables.append(
            ReportTable(
                caption=f"By {property_}",
                columns=[property_, "real", "fake", *(f"{name}, 95 % CI" for name in GROUP_FIGURES.values())],
                rows=[
                    [
                        line["name"],
                        f"{line['real']:,}",
                        f"{line['fake']:,}",
                        *((stacked_rate if key in RATES else stacked)(line["figures"][key]) for key in GROUP_FIGURES),
                    ]
                    for line in lines
                ],
                marked=_marks([(property_, line["name"]) for line in lines], worst_of),
            )
        )
        figures.append(
            ReportFigure(
                name=f"by_{property_}",
                title=f"Errors by {property_}" + (f", the {DRAWN_GROUPS} largest" if len(lines) > DRAWN_GROUPS else ""),
                drawing=plots.group_rates(lines[:DRAWN_GROUPS]),
            )
        )
    if not tables:
        return None
    notes = [
        f"The worst group has the highest rate among those with at least {found['enough']} images of that label. Of"
        " many groups the worst looks worse than it is."
        if found["worst"]
        else f"No group has {found['enough']} images of a label, so none is named the worst.",
        "The AUROC of a generator is that of its fakes against all real images.",
    ]
    if single:
        notes.append(f"All images share one {', one '.join(single)}.")
    return Section(id="groups", title=message("section.groups"), tables=tables, figures=figures, notes=notes)


def _drawings(result: Result) -> list[ReportFigure]:
    at, curves, thresholds = at_threshold(result), result["curves"], result["thresholds"]
    band = thresholds["low"] < thresholds["high"]
    matrix = plots.confusion_matrix(confusion(result), result["threshold"], band=band)
    histograms = plots.score_histograms(curves["histogram"], thresholds["low"], thresholds["high"])
    figures = [
        ReportFigure(name="confusion_matrix", title="Confusion matrix", drawing=matrix),
        ReportFigure(name="scores", title="Scores", drawing=histograms),
    ]
    if curves["roc"]:
        alarm, recall = (float(ends(at[key])[0] or 0) for key in ("false_positive_rate", "recall"))
        precision = ends(at["precision"])[0]
        reals, share = result["data"]["real"], result["always_fake"]["accuracy"]
        drawn = plots.roc(curves["roc"], (alarm, recall), reals)
        title = "ROC, logarithmic in the false positive rate"
        figures.append(ReportFigure(name="roc", title=title, drawing=drawn))
        point = None if precision is None else (recall, precision)
        drawn = plots.precision_recall(curves["precision_recall"], point, share)
        figures.append(ReportFigure(name="precision_recall", title="Precision and recall", drawing=drawn))
    return figures


def _oracle_table(result: Result) -> ReportTable:
    return ReportTable(
        caption="Read off these images' own curve: upper bounds, since nobody knows such a threshold beforehand",
        columns=["false positive rate", "true positive rate", "95 % CI", "photographs that may be called fake"],
        rows=[
            [
                TableCell(text=f"{100 * line['fpr']:.1f} %", value=line["fpr"]),
                *_percent_cells(line["tpr"]),
                f"{line['allowed']:,} of {result['data']['real']:,}",
            ]
            for line in result["tpr_at_fpr"]
        ],
    )


def _threshold_note(result: Result) -> str:
    chosen = result["thresholds"]
    if is_score_table(result):
        return f"The threshold {result['threshold']:.4g} was given; nothing was fitted."
    images = "images scored out of fold by other networks" if chosen.get("folds") else "calibration images"
    text = (
        f"Thresholds (real below {chosen['low']:.4f}, fake from {chosen['high']:.4f}; policy {chosen['policy']})"
        f" and the temperature {result['detector']['temperature']:.4f} come from {chosen['n']:,} {images} and are used"
        " unchanged."
    )
    if chosen["target"] is not None:
        missed = " and at most as many fakes called real" if chosen["band"] else ""
        text += (
            f" They promise at most {chosen['target']:.3g} of photographs called fake{missed}, each with"
            f" {chosen['confidence']:.0%} confidence over calibration sets (Clopper-Pearson, from {chosen['real']:,}"
            f" real and {chosen['fake']:,} fake images)."
        )
    return text


def _intervals_note(methods: dict[str, Any], duplicates: int) -> str:
    groups = (
        f"{duplicates:,} images repeat another one; all methods take identical images together. " if duplicates else ""
    )
    return (
        f"95 % intervals. {groups}Shares: {methods['shares']}. F1: {methods['f1']}. Balanced accuracy:"
        f" {methods['balanced_accuracy']}. AUROC: {methods['auroc']}. Others: {methods['others']},"
        f" {methods['resamples']:,} resamples."
    )


def _images(figure: Any) -> str:
    return f"{ends(figure)[3]:,}"


def _counted(key: str, figure: Any, counts: Confusion) -> list[str | TableCell]:
    """Return a figure as value and interval; one that is a share of images in per cent, with its counts."""
    if ends(figure)[0] is None or counts_of(key, counts) is None:
        return measured(figure)
    return rate(figure)


def _percent_cells(figure: Any) -> list[str | TableCell]:
    """Return a share that was not counted but follows from others, as value and interval in per cent."""
    return [TableCell(text=percent(figure), value=ends(figure)[0]), rate(figure)[1]]


def _marks(rows: list[tuple[str, str]], worst_of: dict[str, tuple[str, str]]) -> dict[int, str]:
    """Return the words for rows that are the worst group of all: `worst of all groups: photographs called fake`."""
    words = {row: [rate for rate, worst in worst_of.items() if worst == row] for row in rows}
    return {n: f"worst of all groups: {' and '.join(words[row])}" for n, row in enumerate(rows) if words[row]}
