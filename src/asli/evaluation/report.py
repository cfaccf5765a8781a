"""The report: one HTML file that needs nothing else and prints well."""

from importlib import resources
from pathlib import Path
from typing import Any

from jinja2 import Environment
from markupsafe import Markup

from asli.detector.bundle import Detector
from asli.files import write_text
from asli.metrics.intervals import Figure

NAMES = {
    "f1": "F1",
    "precision": "precision",
    "recall": "recall (true positive rate)",
    "accuracy": "accuracy",
    "false_positive_rate": "false positive rate",
    "auroc": "AUROC",
    "loss": "loss (nats)",
}


def write_report(
    path: Path,
    result: dict[str, Any],
    figures: dict[str, dict[str, Figure]],
    pictures: list[tuple[str, str]],
    detector: Detector,
) -> None:
    """Write the report of an evaluation.

    Args:
        path: Of the HTML file.
        result: What `metrics.json` holds.
        figures: At the saved threshold, at the argmax, and without one.
        pictures: Title and SVG of each.
        detector: The one judged.
    """
    source = (resources.files("asli") / "evaluation" / "report.html.j2").read_text(encoding="utf-8")
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    page = environment.from_string(source).render(
        result=result,
        figures=figures,
        names=NAMES,
        pictures=[(title, Markup(svg)) for title, svg in pictures],  # noqa: S704 - drawn by matplotlib, not input
        card=detector.card,
        network=detector.network,
        preprocessing=detector.preprocessing,
    )
    write_text(path, page)
