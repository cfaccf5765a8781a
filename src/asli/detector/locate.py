"""Find the folder that a detector's name means."""

from importlib import resources
from pathlib import Path

from asli.detector.store import INFO, former
from asli.errors import DetectorError

DEFAULT = "default"
"""Names the detector that answers where none is named."""

BUNDLED = {
    DEFAULT: "default",
    "thumbnail": "default/members/thumbnail",
    "photo": "default/members/photo",
    "photo-large": "photo-large",
}
"""Detectors in the package: name, and folder beside this file. Folders of these names are `./default` and so on."""


def is_bundled(name: str | Path) -> bool:
    """Return whether a name means a detector in the package."""
    return str(name) in BUNDLED


def find_detector(name: str | Path) -> Path:
    """Return the folder that holds `detector.json`.

    Args:
        name: `default`, `thumbnail`, `photo` or `photo-large` for those in the package, `hub:owner/name[@revision]`, a
            detector folder, or a run folder that has one.

    Raises:
        DetectorError: There is none.
    """
    if is_bundled(name):
        folder = Path(str(resources.files("asli"))) / "detector" / BUNDLED[str(name)]
        if not (folder / INFO).is_file():
            raise DetectorError(f"this asli has no detector '{name}' in its package; name one with --detector")
        return folder
    if str(name).startswith("hub:"):
        from asli.detector.download import fetch_detector

        return fetch_detector(str(name).removeprefix("hub:"))
    path = Path(name)
    for folder in (path, path / "detector"):
        if (folder / INFO).is_file():
            return folder
        if not folder.exists() and (former(folder) / INFO).is_file():
            return former(folder)  # a crash hit the moment in which another detector took its place
    if (path / "recipe.toml").is_file():
        raise DetectorError(f"run {path} has no detector yet: finish it with asli train ... --resume")
    raise DetectorError(
        f"{path} is no detector: it has no detector.json; give a detector folder, a run folder or hub:owner/name"
    )


def short_name(name: str | Path) -> str:
    """Return what a title calls a detector: its name, or the end of its path."""
    if is_bundled(name) or str(name).startswith("hub:"):
        return str(name)
    own = Path(name).resolve()
    return "/".join((own.parent if own.name == "detector" else own).parts[-2:])


def require_own_folder(detector: str | Path) -> None:
    """Refuse to write into the package or the hub's cache.

    Raises:
        DetectorError: The name means one there.
    """
    package = Path(str(resources.files("asli"))).resolve()
    elsewhere = is_bundled(detector) or str(detector).startswith("hub:")
    if elsewhere or Path(detector).resolve().is_relative_to(package):
        raise DetectorError(f"'{detector}' lies in a place that is not yours to change; give a copy of it")
