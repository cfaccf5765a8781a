"""What the commands share: the application, options that mean the same everywhere, and how results are printed."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NoReturn

import cyclopts
from cyclopts import Group, Parameter
from cyclopts.validators import Number

from asli._version import __version__
from asli.files import visible
from asli.progress import seconds_of

if TYPE_CHECKING:
    from asli.detector.prediction import Prediction
    from asli.detector.several import DetectorAnswers
    from asli.explanation.explain import Explanation

USE = Group("Use a detector", sort_key=1)
DATA = Group("Data", sort_key=2)
TRAIN = Group("Train", sort_key=3)
EVALUATE = Group("Evaluate", sort_key=4)
MANAGE = Group("Manage detectors", sort_key=5)
PAPER = Group("The paper", sort_key=6)
OTHER = Group("Other", sort_key=9)
"""Headings of `asli --help`; every command is under one of them."""

EVERYWHERE = Group("Every command", sort_key=99)

app = cyclopts.App(
    name="asli",
    help="Is this picture a photograph or AI-generated, and how sure can we be?",
    version=__version__,
    help_format="plaintext",
    result_action="return_value",
    suppress_keyboard_interrupt=False,
)
for flag in ("--help", "--version"):
    app[flag].group = OTHER


def examples(*lines: str) -> str:
    """Return what stands below the help of a command.

    Args:
        lines: Command lines without `asli`.
    """
    return "\n".join([f"Example{'s' if len(lines) > 1 else ''}:", *(f"  asli {line}" for line in lines)])


app.help_epilogue = examples("predict photo.jpg", "demo", "train --help")

Device = Annotated[
    Literal["cuda", "mps", "cpu"] | None, Parameter(help="Where to compute; the best there is by default.")
]
Threads = Annotated[
    int | None,
    Parameter(
        help="CPU threads of one operation; by default one a core, fewer beside other work.", validator=Number(gte=1)
    ),
]
DetectorName = Annotated[str | Path, Parameter(metavar="DETECTOR")]
"""`Path` lets a shell complete file names; the value is text."""
InLanguage = Annotated[
    Literal["en", "id"] | None,
    Parameter(name="--language", help="English or Indonesian; the page follows the browser by default."),
]
Seed = Annotated[int, Parameter(validator=Number(gte=0))]
Count = Annotated[int, Parameter(validator=Number(gte=1))]
BatchSize = Annotated[Count | None, Parameter(help="Images computed at a time; by default chosen by input size.")]
GroupBy = Annotated[
    str | None,
    Parameter(help="Column whose groups count as one: source, generator, category, date or prompt."),
]
GroupFile = Annotated[Path | None, Parameter(help="Table of id,group whose groups count as one.")]
IncludeHidden = Annotated[
    bool,
    Parameter(negative="", help="Take in hidden files, and those in system and thumbnail folders such as @eaDir."),
]
FailOn = Annotated[
    Literal["fake", "error"] | None,
    Parameter(
        help="For automatic checks: with fake, exit with status 3 if an image is called fake; with either, exit with 1"
        " if one could not be scored (predict always does)."
    ),
]
AsJson = Annotated[bool, Parameter(name="--json", negative="", help="Print JSON for programs.")]


def _share(_: Any, tokens: Sequence[cyclopts.Token]) -> float:
    text = tokens[0].value.strip()
    return float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)


Share = Annotated[float, Parameter(converter=_share, n_tokens=1)]
"""A share, written as 0.01 or 1%."""


def _time(_: Any, tokens: Sequence[cyclopts.Token]) -> float:
    return seconds_of(tokens[0].value)


Time = Annotated[float, Parameter(converter=_time, n_tokens=1)]
"""A length of time in seconds, written as 11h, 11h30m, 45m or 90s."""


def leave(message: str, status: int) -> NoReturn:
    """Print one line on standard error and exit; of several processes the first one prints it."""
    if not follows():
        print(f"asli: {visible(message)}", file=sys.stderr)
    sys.exit(status)


def follows() -> bool:
    """Return whether torchrun started this process beside a first one, which has the same arguments."""
    return "TORCHELASTIC_RUN_ID" in os.environ and os.environ.get("RANK", "0") != "0"


def prediction_text(prediction: "Prediction") -> str:
    """Return a prediction for a person. Outside the domain a score means little, so none is shown."""
    p = prediction
    if p.error is not None or p.score is None:
        return visible(f"{p.path}: {p.error}")
    inside = p.domain is None or p.domain.inside
    member = f" ({p.member})" if p.member else ""
    score = f"  P(fake) {p.score:.4f}" if inside else ""
    if p.stability and inside:
        score += f", {p.stability.low:.4f} to {p.stability.high:.4f} when re-encoded or resized"
    reasons = f"  ({'; '.join(p.reasons)})" if p.reasons else ""
    says = p.provenance.says if p.provenance else ()
    lines = [f"{p.path}: {p.verdict}{member}{score}{reasons}", *(f"  file metadata: {text}" for text in says)]
    if p.provenance and (count := p.provenance.not_understood):
        lines.append(f"  file metadata: {count} more {'entry' if count == 1 else 'entries'}, shown by --json")
    return "\n".join(map(visible, lines))


def answers_text(images: Sequence["DetectorAnswers"]) -> str:
    """Return the answers of several detectors for a person: a line each, and where verdicts conflict."""
    lines = []
    for one in images:
        lines.append(visible(one.path))
        width = max(len(name) for name in one.by_detector)
        for name, p in one.by_detector.items():
            if p.error is not None or p.score is None:
                lines.append(visible(f"  {name:<{width}}  {p.error}"))
                continue
            inside = p.domain is None or p.domain.inside
            score = f"  P(fake) {p.score:.4f}" if inside else ""
            reasons = f"  ({'; '.join(p.reasons)})" if p.reasons else ""
            lines.append(visible(f"  {name:<{width}}  {p.verdict:<6}{score}{reasons}"))
        if one.conflict:
            lines.append("  CONFLICT: real by one detector, fake by another")
    conflicts = sum(one.conflict for one in images)
    lines.append(f"verdicts conflict on {conflicts:,} of {len(images):,} images")
    return "\n".join(lines)


def explanation_text(explanation: "Explanation") -> str:
    """Return an image's explanation for a person."""
    e = explanation
    where = f" at {e.layer} ({e.map_size} x {e.map_size})" if e.layer else ""
    lines = [f"  {e.method}{where}: {e.picture}"]
    if e.feature_maps:
        lines.append(f"  feature maps: {e.feature_maps}")
    if e.check:
        likeness = e.check.likeness_to_random
        random = "" if likeness is None else f"; likeness to maps of random weights {likeness:.2f}"
        result = "holds" if e.check.holds else "does not hold: do not read it"
        lines.append(f"  the map {result} (better than {e.check.beats:.0%} of {e.check.orders} random orders{random})")
    return "\n".join(map(visible, lines))
