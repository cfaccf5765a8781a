"""The golden images as files."""

from pathlib import Path

from asli.sample import golden_images


def golden_files(folder: Path, step: int = 1, name: str = "") -> list[Path]:
    """Write every `step`-th golden image into a folder; return the files in order."""
    for number, (_, data) in list(enumerate(golden_images()))[::step]:
        (folder / f"{name}{number:03}.jpg").write_bytes(data)
    return sorted(folder.iterdir())
