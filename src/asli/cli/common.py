"""What the commands share: the application, options that mean the same everywhere, and how results are printed."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn

import cyclopts
from cyclopts import Parameter
from cyclopts.validators import Number

from asli._version import __version__
from asli.files import visible

app = cyclopts.App(
    name="asli",
    help="Is this picture a photograph or AI-generated, and how sure can we be?",
    version=__version__,
    help_format="plaintext",
    result_action="return_value",
    suppress_keyboard_interrupt=False,
)

Device = Annotated[
    Literal["cuda", "mps", "cpu"] | None, Parameter(help="Where to compute; the best there is by default.")
]
Threads = Annotated[
    int | None, Parameter(help="CPU threads of one operation; torch's choice by default.", validator=Number(gte=1))
]
Seed = Annotated[int, Parameter(validator=Number(gte=0))]
Count = Annotated[int, Parameter(validator=Number(gte=1))]
GroupBy = Annotated[
    str | None,
    Parameter(help="Column whose groups count as one: source, generator, category, date or prompt."),
]
GroupFile = Annotated[Path | None, Parameter(help="Table of id,group whose groups count as one.")]
IncludeHidden = Annotated[
    bool,
    Parameter(negative="", help="Take in hidden files, and those in system and thumbnail folders such as @eaDir."),
]
AsJson = Annotated[bool, Parameter(name="--json", negative="", help="Print JSON for programs.")]


def _share(_: Any, tokens: Sequence[cyclopts.Token]) -> float:
    text = tokens[0].value.strip()
    return float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)


Share = Annotated[float, Parameter(converter=_share, n_tokens=1)]
"""A share, written as 0.01 or 1%."""


def leave(message: str, status: int) -> NoReturn:
    """Print one line on standard error and exit."""
    print(f"asli: {visible(message)}", file=sys.stderr)
    sys.exit(status)


def figure_text(figure: dict[str, Any]) -> str:
    """Return a figure with its interval."""
    if figure["value"] is None:
        return "undefined"
    return f"{figure['value']:.4f} [{figure['low']:.4f}, {figure['high']:.4f}]"


def image_text(image: dict[str, Any]) -> str:
    """Return what `predict` says of one image."""
    if image["error"]:
        return visible(f"{image['path']}: {image['error']}")
    reasons = f"  ({'; '.join(image['reasons'])})" if image["reasons"] else ""
    stability = image["stability"]
    span = f", {stability['low']:.4f} to {stability['high']:.4f} when re-encoded or resized" if stability else ""
    line = f"{image['path']}: {image['verdict']}  P(fake) {image['score']:.4f}{span}{reasons}"
    said = image["provenance"]["says"] if image["provenance"] else ()
    return "\n".join(map(visible, [line, *(f"  its file: {statement}" for statement in said)]))


def explanation_text(explanation: dict[str, Any]) -> str:
    """Return what `explain` says of one image's map."""
    size, check = explanation["map_size"], explanation["check"]
    where = f" at {explanation['layer']} ({size} x {size})" if explanation["layer"] else ""
    lines = [f"  {explanation['method']}{where}: {explanation['picture']}"]
    if explanation["feature_maps"]:
        lines.append(f"  feature maps: {explanation['feature_maps']}")
    if check:
        likeness = check["likeness_to_random"]
        random = "" if likeness is None else f"; likeness to maps of random weights {likeness:.2f}"
        said = "holds" if check["holds"] else "does not hold: do not read it"
        lines.append(f"  the map {said} (better than {check['beats']:.0%} of {check['orders']} random orders{random})")
    return "\n".join(map(visible, lines))
