"""What `metrics.json` holds, as sections of the report; each function is pure."""

from collections.abc import Sequence
from typing import Any

from asli.evaluation import plots
from asli.evaluation.report import Box, Page, Picture, Section, Table, interval_text, percent_text, value_text
from asli.metrics.classification import Confusion

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


def page_of(result: dict[str, Any], further: Sequence[Section] = ()) -> Page:
    """Return the report of what `metrics.json` holds.

    Args:
        result: The whole of it.
        further: Sections of what only some evaluations measure; they stand between the figures and the origin.
    """
    data, at, ranking = result["data"], result["figures"]["threshold"], result["figures"]["ranking"]
    shown = (
        ("F1", at["f1"]),
        ("accuracy", at["accuracy"]),
        ("photographs called fake", at["false_positive_rate"]),
        ("AUROC", ranking["auroc"]),
    )
    return Page(
        title=f"{result['detector']['network']} on {data['name']}, {data['split']} part",
        origin=f"{data['images']:,} images, {result['date'][:10]}, asli {result['asli']}. Fake is the positive class.",
        boxes=[Box(title=name, value=value_text(f), interval=f"95%: {interval_text(f)}") for name, f in shown],
        limits=_limits(result),
        sections=[figures_section(result), *further, origin_section(result)],
    )


def figures_section(result: dict[str, Any]) -> Section:
    """Return every figure at the saved threshold, at the argmax and without one."""
    at, argmax, ranking = (result["figures"][kind] for kind in ("threshold", "argmax", "ranking"))
    rows = [
        [
            NAMES[key],
            value_text(f),
            interval_text(f),
            value_text(argmax[key]),
            interval_text(argmax[key]),
            f"{f['n']:,}",
        ]
        for key, f in at.items()
    ]
    free = [[NAMES[key], value_text(f), interval_text(f), f"{f['n']:,}"] for key, f in ranking.items()]
    return Section(
        id="figures",
        title="Figures",
        tables=[
            Table(
                columns=["figure", f"at {result['threshold']:.4f}", "95% interval", "at 0.5", "95% interval", "images"],
                rows=rows,
            ),
            Table(columns=["no threshold bears on these", "value", "95% interval", "images"], rows=free),
        ],
        pictures=[
            Picture(
                name="confusion_matrix",
                title="Confusion matrix",
                figure=plots.confusion_matrix(Confusion(**result["confusion"]), result["threshold"]),
            )
        ],
    )


def training_section(metrics: list[dict[str, Any]]) -> Section:
    """Return how training went, from the lines of a run's `metrics.jsonl`."""
    return Section(
        id="training",
        title="Training",
        pictures=[
            Picture(name="loss", title="Loss", figure=plots.losses(metrics)),
            Picture(name="learning_rate", title="Learning rate", figure=plots.learning_rate(metrics)),
        ],
    )


def origin_section(result: dict[str, Any]) -> Section:
    """Return where every figure comes from."""
    detector, data = result["detector"], result["data"]
    return Section(
        id="origin",
        title="Origin",
        facts=[
            ("network", detector["network"]),
            ("trained on", detector["trained_on"]),
            ("recipe, seed", f"{detector['recipe_hash']}, {result['seed']}"),
            ("detector", detector["hash"]),
            ("judged on", f"{data['name']}, {data['split']}, data hash {data['hash']}"),
            ("measured again", f"asli evaluate DETECTOR DATA --split {data['split']}"),
        ],
    )


def _limits(result: dict[str, Any]) -> list[str]:
    data = result["data"]
    lines = [f"These figures hold for images like those of {data['name']}. They say nothing about others."]
    if data["split"] == "test":
        opened = result["test_opened"]
        lines.append(
            f"This test part has been opened {_times(opened['times'], 'time')} for {_times(opened['recipes'], 'recipe')}."
            " The more often, the more its figures flatter."
        )
    else:
        lines.append(f"This is the {data['split']} part. It took part in making the detector, so its figures flatter.")
    if result["unreadable"]:
        lines.append(f"{result['unreadable']:,} images of the data folder could not be read and are not counted.")
    lines.append(f"Photographs called fake: {percent_text(result['figures']['threshold']['false_positive_rate'])}.")
    return lines


def _times(number: int, unit: str) -> str:
    return f"{number:,} {unit}{'s' * (number != 1)}"
