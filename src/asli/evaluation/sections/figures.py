"""The sections of the figures that every evaluation has, from `metrics.json`; each function is pure."""

from typing import Any

from asli.metrics.classification import Confusion
from asli.reports import plots
from asli.reports.kit import Picture, Section, Table, cells

NAMES = {
    "f1": "F1",
    "precision": "precision",
    "recall": "recall (true positive rate)",
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "false_positive_rate": "false positive rate",
    "auroc": "AUROC",
    "average_precision": "average precision",
    "loss": "loss (nats)",
    "brier": "Brier score",
}
"""How the report calls each figure."""

RATES = {"false_positive_rate": "photographs called fake", "miss_rate": "fakes not called fake"}

GROUP_FIGURES = {**RATES, "auroc": "AUROC"}

DRAWN_GROUPS = 12
"""Groups of one property that a picture shows; the table shows all."""


def figures_section(result: dict[str, Any]) -> Section:
    """Return every figure at the saved threshold, at the argmax and without one."""
    at, argmax, ranking = (result["figures"][kind] for kind in ("threshold", "argmax", "ranking"))
    without = (result["without_cross_split_duplicates"] or {}).get("figures")
    columns = ["figure", f"at {result['threshold']:.4f}", "95% interval", "at 0.5", "95% interval", "images"]
    rows = [
        [
            NAMES[key],
            *cells(f),
            *cells(argmax[key]),
            f"{f['n']:,}",
        ]
        for key, f in at.items()
    ]
    free = [[NAMES[key], *cells(f), f"{f['n']:,}"] for key, f in ranking.items()]
    tables = [
        Table(columns=columns, rows=rows),
        Table(columns=["whatever the threshold", "value", "95% interval", "images"], rows=free),
    ]
    if without:
        tables.append(
            Table(
                caption=(
                    f"Without the {result['data']['cross_split_duplicates']:,} images that have a duplicate in"
                    " another official split"
                ),
                columns=["figure", f"at {result['threshold']:.4f}", "95% interval", "images"],
                rows=[[NAMES[k], *cells(f), f"{f['n']:,}"] for k, f in without.items()],
            )
        )
    if result["tpr_at_fpr"]:
        tables.append(_oracle_table(result))
    return Section(
        id="figures",
        title="Figures",
        tables=tables,
        pictures=_figure_pictures(result),
        notes=[_intervals_note(result["intervals"], result["data"]["duplicates"]), _threshold_note(result)],
    )


def verdicts_section(result: dict[str, Any]) -> Section:
    """Return each verdict's share, and how often verdicts are right where fakes are rarer than here."""
    verdicts = result["verdicts"]
    return Section(
        id="verdicts",
        title="Verdicts",
        tables=[
            Table(
                caption="What images are called",
                columns=["images that are", "real", "95%", "unsure", "95%", "fake", "95%", "images"],
                rows=[
                    [
                        label,
                        *(text for f in shares.values() for text in cells(f)),
                        f"{shares['fake']['n']:,}",
                    ]
                    for label, shares in verdicts.items()
                ],
            ),
            Table(
                caption="How often a verdict is right, by the share of fakes among the images it is given",
                columns=[
                    "share of fakes",
                    "of those called fake, fake (PPV)",
                    "95%",
                    "of those called real, real (NPV)",
                    "95%",
                ],
                rows=[
                    [
                        f"{line['prevalence']:.4g}",
                        *cells(line["ppv"]),
                        *cells(line["npv"]),
                    ]
                    for line in result["prevalences"]
                ],
            ),
        ],
        notes=[
            "PPV and NPV follow by Bayes' rule from the shares above; their intervals take both shares at opposite ends"
            " of their own, so they cover the truth at least as often as they say. They assume that the images to come"
            " differ from these in the share of fakes only."
        ],
    )


def calibration_section(result: dict[str, Any]) -> Section:
    """Return how far scores are from being probabilities."""
    found = result["calibration"]
    chance = found["ece_if_calibrated"]
    beyond = "more than chance explains" if found["ece"] > chance["p95"] else "no more than chance explains"
    return Section(
        id="calibration",
        title="Calibration",
        tables=[
            Table(
                columns=["figure", "value", "95% interval"],
                rows=[
                    [f"ECE, {len(found['bins'])} bins of equally many images", f"{found['ece']:.4f}", "see below"],
                    [
                        "ECE of perfectly calibrated scores like these",
                        f"{chance['mean']:.4f}",
                        f"up to {chance['p95']:.4f}",
                    ],
                    [
                        "root mean square error, what chance adds taken away",
                        *cells(found["rms_error"]),
                    ],
                ],
            )
        ],
        pictures=[Picture(name="reliability", title="Reliability", figure=plots.reliability(found["bins"]))],
        notes=[
            f"The ECE is biased upwards: perfectly calibrated scores would show {chance['mean']:.4f} on average and"
            f" stay below {chance['p95']:.4f} 95 times in 100 (1,000 draws of labels from the scores). It is {beyond}."
            " The root mean square error is debiased (Kumar, Liang & Ma 2019)."
            " Calibration holds at the share of fakes found here and moves with it."
        ],
    )


def groups_section(result: dict[str, Any]) -> Section | None:
    """Return figures by generator, category, size and format; None where there is but one group of each."""
    tables, pictures, single = [], [], []
    found = result["groups"]
    marked = {(worst["property"], worst["name"]) for worst in found["worst"].values()}
    for property_ in ("generator", "category", "size", "format"):
        lines = found[property_]
        if len(lines) < 2:
            single += [f"{property_} {line['name']}" for line in lines]
            continue
        tables.append(
            Table(
                caption=f"By {property_}",
                columns=[property_, "real", "fake", *(c for name in GROUP_FIGURES.values() for c in (name, "95%"))],
                rows=[
                    [
                        line["name"],
                        f"{line['real']:,}",
                        f"{line['fake']:,}",
                        *(text for key in GROUP_FIGURES for text in _filled(line["figures"][key])),
                    ]
                    for line in lines
                ],
                marked=frozenset(n for n, line in enumerate(lines) if (property_, line["name"]) in marked),
            )
        )
        pictures.append(
            Picture(
                name=f"by_{property_}",
                title=f"Errors by {property_}" + (f", the {DRAWN_GROUPS} largest" if len(lines) > DRAWN_GROUPS else ""),
                figure=plots.group_rates(lines[:DRAWN_GROUPS]),
            )
        )
    if not tables:
        return None
    notes = [
        f"The worst group has the highest rate among those with at least {found['enough']} images of that label. Of"
        " many groups the worst looks worse than it is. The AUROC of a generator is that of its fakes against all real"
        " images."
    ]
    if single:
        notes.append(f"All images share one {', one '.join(single)}.")
    return Section(id="groups", title="Groups", tables=tables, pictures=pictures, notes=notes)


def _figure_pictures(result: dict[str, Any]) -> list[Picture]:
    at, curves, thresholds = result["figures"]["threshold"], result["curves"], result["thresholds"]
    band = thresholds["low"] < thresholds["high"]
    confusion = plots.confusion_matrix(Confusion(**result["confusion"]), result["threshold"], band=band)
    histograms = plots.score_histograms(curves["histogram"], thresholds["low"], thresholds["high"])
    pictures = [
        Picture(name="confusion_matrix", title="Confusion matrix", figure=confusion),
        Picture(name="scores", title="Scores", figure=histograms),
    ]
    if curves["roc"]:
        alarm, recall, precision = (at[key]["value"] for key in ("false_positive_rate", "recall", "precision"))
        reals, share = result["data"]["real"], result["always_fake"]["accuracy"]
        drawn = plots.roc(curves["roc"], (alarm, recall), reals)
        pictures.append(Picture(name="roc", title="ROC, logarithmic in the false positive rate", figure=drawn))
        point = None if precision is None else (recall, precision)
        drawn = plots.precision_recall(curves["precision_recall"], point, share)
        pictures.append(Picture(name="precision_recall", title="Precision and recall", figure=drawn))
    return pictures


def _oracle_table(result: dict[str, Any]) -> Table:
    return Table(
        caption="Read off these images' own curve: upper bounds, since nobody knows such a threshold beforehand",
        columns=["false positive rate", "true positive rate", "95% interval", "photographs that may be called fake"],
        rows=[
            [
                f"{line['fpr']:.1%}",
                *cells(line["tpr"]),
                f"{line['allowed']:,} of {result['data']['real']:,}",
            ]
            for line in result["tpr_at_fpr"]
        ],
    )


def _threshold_note(result: dict[str, Any]) -> str:
    chosen = result["thresholds"]
    if result["detector"].get("scores"):
        return f"Fake begins at {result['threshold']:.4g}, as it was given; nothing was fitted."
    images = "calibration images" if chosen["folds"] is None else "images scored out of fold by other networks"
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
        f"95% intervals. {groups}Shares: {methods['shares']}. F1: {methods['f1']}. Balanced accuracy:"
        f" {methods['balanced_accuracy']}. AUROC: {methods['auroc']}. Others: {methods['others']},"
        f" {methods['resamples']:,} resamples."
    )


def _filled(figure: dict[str, Any]) -> list[str]:
    """Return a figure as two cells, empty ones where it is undefined."""
    return ["", ""] if figure["value"] is None else cells(figure)
