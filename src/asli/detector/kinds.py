"""The kinds of detectors by name, and what opens a folder of any of them."""

from pathlib import Path
from pkgutil import resolve_name

from asli.detector.base import Detector
from asli.detector.store import identity, read_info
from asli.errors import DetectorError
from asli.plugins import plugins

KINDS = {
    "adopted": "asli.detector.adopted:Adopted",
    "classifier": "asli.detector.classifier:Classifier",
    "ensemble": "asli.detector.ensemble:Ensemble",
    "family": "asli.detector.family:Family",
}
"""The kinds in this package; entry points of the group `asli.detectors` add others."""


def load_folder(folder: Path) -> Detector:
    """Open the detector in a folder, whatever its kind.

    Raises:
        DetectorError: It is damaged, foreign, newer, or of a kind that is not installed.
    """
    info = read_info(folder)
    kind = info.get("kind", "classifier")
    if kind in KINDS:
        cls: type[Detector] = resolve_name(KINDS[kind])
    else:
        added = {plugin.name: plugin for plugin in plugins("detector")}
        if kind not in added:
            raise DetectorError(f"detector {folder} is of kind '{kind}'; installed are {', '.join((*KINDS, *added))}")
        cls = added[kind].load()
    try:
        opened = cls.from_folder(folder, info)
        opened._info, opened.folder, opened.hash = info, folder, identity(info)
    except (AttributeError, KeyError, TypeError, ValueError, OSError) as error:
        raise DetectorError(f"detector {folder} is damaged or foreign: {error}") from error
    return opened
