"""What `metrics.json` holds, as sections of the report; each function is pure."""

from collections.abc import Sequence
from typing import Any

from asli.evaluation.sections.figures import (
    RATES,
    calibration_section,
    figures_section,
    groups_section,
    verdicts_section,
)
from asli.reports import plots
from asli.reports.kit import Box, Page, Picture, Section, interval_text, percent_text, value_text


def page_of(result: dict[str, Any], further: Sequence[Section] = ()) -> Page:
    """Return the report of what `metrics.json` holds.

    Args:
        result: The whole of it.
        further: Sections of what only some evaluations measure; they stand before the origin.
    """
    data, at, ranking = result["data"], result["figures"]["threshold"], result["figures"]["ranking"]
    shown = (
        ("F1", at["f1"]),
        ("accuracy", at["accuracy"]),
        ("photos called fake", at["false_positive_rate"]),
        ("fakes called fake", at["recall"]),
        ("AUROC", ranking["auroc"]),
    )
    sections = [
        figures_section(result),
        verdicts_section(result),
        calibration_section(result),
        groups_section(result),
        *further,
        origin_section(result),
    ]
    return Page(
        title=f"{result['detector']['network']} on {data['name']}, {data['split']} part",
        origin=f"{data['images']:,} images ({data['real']:,} real, {data['fake']:,} fake), {result['date'][:10]},"
        f" asli {result['asli']}. Fake is the positive class; figures at the saved threshold, with 95% intervals.",
        boxes=[Box(title=name, value=value_text(f), interval=interval_text(f)) for name, f in shown],
        limits=limits(result),
        sections=[section for section in sections if section is not None],
    )


def limits(result: dict[str, Any]) -> list[str]:
    """Return what a reader must know who reads nothing else."""
    data, opened, out = result["data"], result["test_opened"], result["unscored"]
    lines = [f"This detector is {caveat}." for caveat in result["detector"].get("caveats", ())]
    lines.append(f"These figures hold for images like those of {data['name']}; they say nothing about others.")
    if result["detector"].get("scores"):
        lines.append(f"The scores come from a file; where fake begins ({result['threshold']:.4g}) was given.")
    elif data["split"] != "test":
        flatter = {
            "train": "The detector was trained on it",
            "validation": "It may have chosen the detector's weights",
            "calibration": "The detector's thresholds were fitted on it",
        }[data["split"]]
        lines.append(f"This is a {data['split']} part. {flatter}, so its figures flatter.")
    if result["seen_in_training"]:
        lines.append(
            f"{result['seen_in_training']:,} of {data['images']:,} images were seen in the detector's training, to the"
            " pixel. There it remembers, so the figures flatter."
        )
    if data["split"] == "test":
        lines.append(
            f"This test part has been opened {_count(opened['times'], 'time')} for"
            f" {_count(opened['recipes'], 'recipe or score file', 'recipes or score files')}. The more often, the more"
            " its figures flatter."
        )
    if out and out["missing"]:
        lines.append(
            f"{out['missing']:,} of {out['missing'] + data['images']:,} images have no score and are not counted, for"
            f" example {out['missing_names'][0]}; the figures hold for the others only."
        )
    if out and out["extra"]:
        lines.append(f"{out['extra']:,} scores belong to no image of the data, for example {out['extra_names'][0]}.")
    if result["unreadable"]:
        lines.append(
            f"{_count(result['unreadable'], 'image')} of the data folder could not be read and not be counted."
        )
    lines.append(_scale(result))
    for rate, worst in result["groups"]["worst"].items():
        lines.append(
            f"Worst of {worst['of']} groups for {RATES[rate]}: {worst['property']} {worst['name']},"
            f" {percent_text(worst['figure'])} of {worst['figure']['n']:,}."
        )
    if result["without_cross_split_duplicates"]:
        without = result["without_cross_split_duplicates"]
        lines.append(
            f"{data['cross_split_duplicates']:,} images have a duplicate in another official split; without them F1 is"
            f" {value_text(without['figures']['f1'])} [{interval_text(without['figures']['f1'])}]."
        )
    return lines


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
    if detector.get("scores"):
        facts = [("scores", detector["network"]), ("SHA-256", detector["hash"])]
        again = f"asli evaluate SCORES DATA --split {data['split']} --threshold {result['threshold']:g} --out REPORT"
    else:
        facts = [
            ("network", detector["network"]),
            ("trained on", detector["trained_on"]),
            ("start weights", detector["start_weights"]),
            ("recipe, seed", f"{detector['recipe_hash']}, {result['seed']}"),
            ("detector", detector["hash"]),
        ]
        again = f"asli evaluate DETECTOR DATA --split {data['split']} --out REPORT"
    facts += [
        ("judged on", f"{data['name']}, {data['split']} part, data hash {data['hash']}"),
        ("measured again by", again),
        ("as data", "metrics.json holds every number about these images, scores.parquet every score"),
    ]
    return Section(id="origin", title="Origin", facts=facts)


def _scale(result: dict[str, Any]) -> str:
    always, data = result["always_fake"], result["data"]
    if not data["real"] or not data["fake"]:
        only = "fake" if data["fake"] else "real"
        return f"All images are {only}: what needs both labels (F1, precision, AUROC, ...) is undefined."
    return f'For scale: answering "fake" always gives F1 {always["f1"]:.4f} and accuracy {always["accuracy"]:.4f} here.'


def _count(number: int, unit: str, plural: str | None = None) -> str:
    return f"{number:,} {unit if number == 1 else plural or unit + 's'}"
