"""A verdict for each trap, in plain words, with what to do: `fine`, `look`, `sprung`, or `not judged`."""

from typing import Any

from asli.errors import AsliError

LOOK, SPRUNG = 0.55, 0.60
"""AUROC by file settings alone."""

PIXELS_LOOK, PIXELS_SPRUNG = 0.60, 0.90
"""AUROC by thumbnails, spectra or bytes: these also hold what pictures show, so the bounds are wider."""

LEAK = 0.01
"""Share of the test images with a duplicate outside the test part from which the leak is called sprung."""

DAMAGED = 0.01
RATIO = 1.5
MAKERS_RATIO = 10
"""Most images of one generator to those of the rarest; figures by generator are weak for the rare one."""


class TrapSprungError(AsliError):
    """A trap is sprung and `--strict` was asked for."""

    exit_status = 3


def verdicts(result: dict[str, Any]) -> list[dict[str, str]]:
    """Judge an audit's findings.

    Returns:
        For each trap: `trap`, `verdict`, `says`, `do`.
    """
    return [
        damage(result),
        balance(result),
        _exact(result["duplicates"]),
        _near(result["duplicates"]),
        *(_shortcut(kind, result["shortcuts"]) for kind in ("files", "weight", "colors", "spectrum")),
    ]


def _verdict(trap: str, verdict: str, says: str, do: str = "") -> dict[str, str]:
    return {"trap": trap, "verdict": verdict, "says": says, "do": do}


def damage(result: dict[str, Any]) -> dict[str, str]:
    """Judge files that are damaged or unusual."""
    odd = result["oddities"]
    if not odd:
        return _verdict("files", "fine", f"all {result['data']['images']:,} files decode and none is unusual")
    unused = sum(kind["count"] for kind in odd if kind["treatment"] == "not used")
    verdict = "sprung" if unused > DAMAGED * result["data"]["images"] else "look"
    says = ", ".join(f"{kind['count']:,} {kind['kind']} ({kind['treatment']})" for kind in odd)
    return _verdict("files", verdict, says, "replace damaged files; see that unusual kinds are not those of one label")


def balance(result: dict[str, Any]) -> dict[str, str]:
    """Judge whether labels, categories and generators are even."""
    troubles, verdict = [], "fine"
    for split, by_label in result["counts"]["split"].items():
        real, fake = by_label["real"], by_label["fake"]
        if min(real, fake) == 0:
            verdict = "sprung"
            troubles.append(f"{split} has only {'fake' if fake else 'real'} images")
        elif max(real, fake) > RATIO * min(real, fake):
            verdict = "sprung" if verdict == "sprung" else "look"
            troubles.append(f"{split} has {real:,} real and {fake:,} fake")
    alone = [name for name, n in result["counts"]["category"].items() if min(n.values()) == 0]
    if alone:
        verdict = "sprung" if verdict == "sprung" else "look"
        troubles.append(f"{len(alone)} categories have one label only: {', '.join(alone[:5])}")
    uneven = [name for name, n in result["counts"]["category"].items() if max(n.values()) > RATIO * min(n.values()) > 0]
    if uneven:
        verdict = "sprung" if verdict == "sprung" else "look"
        troubles.append(f"{len(uneven)} categories are uneven between real and fake: {', '.join(uneven[:5])}")
    makers = {name: n["fake"] for name, n in result["counts"]["generator"].items() if n["fake"]}
    if makers and max(makers.values()) > MAKERS_RATIO * min(makers.values()):
        verdict = "sprung" if verdict == "sprung" else "look"
        least, most = min(makers, key=makers.__getitem__), max(makers, key=makers.__getitem__)
        troubles.append(f"generators are uneven: {makers[most]:,} of {most}, {makers[least]:,} of {least}")
    if not troubles:
        return _verdict("balance", "fine", "real and fake are balanced in every split")
    return _verdict("balance", verdict, "; ".join(troubles), "draw as many images of each label, of the same subjects")


def _exact(duplicates: dict[str, Any]) -> dict[str, str]:
    found = duplicates["exact"]
    if not found["pairs"]:
        return _verdict("exact duplicates", "fine", "no picture is there twice")
    share, where = _where(found, duplicates["test_total"])
    says = f"{found['pairs']:,} pairs of identical pictures ({found['identical_bytes']:,} byte for byte), {where}"
    sprung = found["across_labels"] or share >= LEAK
    return _verdict(
        "exact duplicates", "sprung" if sprung else "look", says, "keep duplicates in one split, or report without"
    )


def _near(duplicates: dict[str, Any]) -> dict[str, str]:
    found = duplicates["near"]
    missed = found["not_searched"] + found["candidates_not_looked_at"]
    if not found["pairs"] and not missed:
        return _verdict("near-duplicates", "fine", "no two pictures are nearly the same")
    share, where = _where(found, duplicates["test_total"])
    says = f"{found['pairs']:,} pairs differ by at most {found['rms_limit']:.0f} of 255 gray levels at 32 px, {where}"
    if missed:
        says += f"; {found['not_searched']:,} flat pictures were not searched"
        says += f" and {found['candidates_not_looked_at']:,} candidate pairs not looked at"
    return _verdict(
        "near-duplicates",
        "sprung" if share >= LEAK else "look",
        says,
        "look at those --json lists; keep them in one split",
    )


def _where(found: dict[str, Any], test_total: int) -> tuple[float, str]:
    """Return the share of test images that have a duplicate elsewhere, and in words where pairs lie."""
    share = found["test_images"] / max(test_total, 1)
    return share, (
        f"{found['across_splits']:,} across splits, {found['across_labels']:,} with both labels;"
        f" {found['test_images']:,} test images ({share:.1%}) have a duplicate elsewhere"
    )


_TRAPS = {
    "files": "labels in the file settings",
    "weight": "labels in the bytes",
    "colors": "labels in blurred colors",
    "spectrum": "labels in sharpness and resampling",
}
_DO = {
    "files": "make a copy in which both labels went through the same chain: asli audit DATA --equalize OUT",
    "weight": "equalize first; what is left is how much detail the pictures hold",
    "colors": "real and fake show different subjects, light or framing: match them, or beat this AUROC",
    "spectrum": (
        "either the generator's own trace or a different history of resizing and encoding: only pictures made alike "
        "can tell; test a detector on resized and re-encoded photographs"
    ),
}
_BY = {
    "files": "from format, JPEG tables, quality, size, mode and metadata alone",
    "weight": "from the size of the file in bytes alone",
    "colors": "from an 8x8 thumbnail alone",
    "spectrum": "from spectrum and resampling statistics alone",
}


def _shortcut(kind: str, shortcuts: dict[str, Any]) -> dict[str, str]:
    if kind not in shortcuts["kinds"]:
        return _verdict(_TRAPS[kind], "not judged", shortcuts["why"])
    found = shortcuts["kinds"][kind]
    area, null = found["auroc"], found["null"]
    look, sprung = (LOOK, SPRUNG) if kind == "files" else (PIXELS_LOOK, PIXELS_SPRUNG)
    by_chance = area["low"] <= 0.5 or null["auroc_there"] <= null["high"]
    told = f"AUROC {area['value']:.3f} [{area['low']:.3f}, {area['high']:.3f}] {_BY[kind]}"
    if by_chance or area["value"] < look:
        return _verdict(_TRAPS[kind], "fine", f"{told}; chance gives {null['low']:.2f} to {null['high']:.2f}")
    names = ", ".join(f"{line['feature']} ({line['auroc']:.2f})" for line in found["telling"][:3])
    verdict = "sprung" if area["value"] >= sprung else "look"
    lead = "your labels are readable from the files: " if kind == "files" and verdict == "sprung" else ""
    return _verdict(_TRAPS[kind], verdict, f"{lead}{told}; told by {names}", _DO[kind])
