"""The texts of an explanation, and its page: each picture beside its map, with the result of the check."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from asli.detector.prediction import Prediction
from asli.explanation.picture import Panels
from asli.files import visible
from asli.messages import Language, Message, Number, message
from asli.messages.reasons import reason_text
from asli.reports.kit import CaptionedImage, Report, Section, Text
from asli.reports.numbers import score_text
from asli.reports.render import write_report

if TYPE_CHECKING:
    from asli.explanation.explain import ExplainedImage, Explanations
    from asli.explanation.map_check_result import MapCheck

NAME = "explain.html"
"""Name of the page, beside the drawn maps."""


def title_of(image: Prediction, name: str) -> Message:
    """Return a picture's name with its verdict and score; outside the domain a score means nothing, so none is shown.

    Args:
        image: The picture's prediction.
        name: Name of the file, as it can be shown.
    """
    verdict = message(f"verdict.{image.verdict}")
    if image.domain and not image.domain.inside:
        return message("explain.title_outside", name=name, verdict=verdict)
    assert image.score is not None, "a picture without a verdict has no title"
    return message("explain.title", name=name, verdict=verdict, score=Number(score_text(image.score)))


def check_text(check: "MapCheck | None", too_alike: float) -> Message:
    """Return in words whether a map holds.

    Args:
        check: The check; None where it was not asked for.
        too_alike: Likeness to maps of random weights from which a map fails.
    """
    if check is None:
        return message("explain.unchecked")
    alike = check.likeness_to_random
    values = {"beats": round(check.beats * check.orders), "orders": check.orders}
    if alike is not None and alike >= too_alike:
        passed = check.beats >= check.needed
        key = "fails_alike" if passed else "fails_both"
        return message(f"explain.{key}", **values, likeness=Number(f"{alike:.2f}"))
    return message("explain.holds" if check.holds else "explain.fails", **values)


def reasons_of(image: Prediction) -> list[Message]:
    """Return why there is no verdict, or that one was forced, and what limits a verdict."""
    given = [(reason.startswith("outside domain"), reason_text(visible(reason))) for reason in image.reasons]
    lines = [
        message("explain.reason", reason=text) if outside else message("web.caveat", caveat=text)
        for outside, text in given
    ]
    if image.domain and not image.domain.inside and image.verdict != "unsure":
        lines.append(message("explain.force"))
    return lines


def write_page(
    folder: Path,
    result: "Explanations",
    drawn: Sequence[Panels | None],
    too_alike: float,
    language: Language | None,
    *,
    called: str,
) -> Path:
    """Write the page of an explanation.

    Args:
        folder: Folder of the drawn maps.
        result: What `explain` returns.
        drawn: The pictures of each image; None where it could not be scored.
        too_alike: See `check_text`.
        language: Shown first; None takes the browser's.
        called: What the user calls the detector.
    """
    detector = result.detector
    digest = (detector.hash or "")[:16]
    sections = [
        _section(number, image, maps, folder, too_alike)
        for number, (image, maps) in enumerate(zip(result.images, drawn, strict=True), start=1)
    ]
    report = Report(
        title=message("explain.page_title"),
        origin=message("explain.origin", images=len(sections), detector=called, hash=digest),
        summary=[message("explain.caption"), message("explain.legend")],
        sections=sections,
        language=language,
    )
    return write_report(folder, report, NAME)


def _section(number: int, image: "ExplainedImage", drawn: Panels | None, folder: Path, too_alike: float) -> Section:
    prediction, found = image.prediction, image.explanation
    name = visible(Path(prediction.path).name)
    identity = f"image-{number}"
    if drawn is None or found is None:
        error = message("explain.not_scored", error=reason_text(visible(prediction.error or "")))
        return Section(id=identity, title=name, paragraphs=[error])
    layer = f", {found.layer} ({found.map_size} \u00d7 {found.map_size})" if found.layer else ""
    lines: list[Text] = [*reasons_of(prediction), check_text(found.check, too_alike)]
    strongest = max((cell for row in found.cells for cell in row), key=abs)
    strength = message("explain.strongest", value=Number(f"{strongest:+.2f}".replace("-", "\u2212")))
    parts: dict[str, bytes | Mapping[Language, bytes]] = {
        "picture": drawn.picture,
        "view": drawn.view,
        "map": drawn.map,
    }
    panels = [
        CaptionedImage(
            data=data,
            lines=[message(f"explain.{part}"), *([strength] if part == "map" else [])],
            alternative=_panel(name, part),
        )
        for part, data in parts.items()
    ]
    images = []
    if found.feature_maps:
        path = folder / Path(found.feature_maps).name
        title = message("explain.feature_maps")
        alternative = _panel(name, "feature_maps")
        images.append(CaptionedImage(data=path.read_bytes(), lines=[title], alternative=alternative, wide=True))
    return Section(
        id=identity,
        title=title_of(prediction, name),
        paragraphs=lines,
        panels=panels,
        images=images,
        notes=[message("explain.method", method=found.method, layer=layer)],
    )


def _panel(name: str, part: str) -> Message:
    return message("explain.panel", name=name, part=message(f"explain.{part}"))
