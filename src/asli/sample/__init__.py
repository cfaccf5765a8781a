"""3,300 images of CIFAKE inside the package, so that demo and tests run anywhere, offline.

Per label and category 100 images for training, 15 for validation, 30 for calibration and 20 for testing; no image has
a duplicate. All of them, the test part too, come from CIFAKE's train split (Bird & Lotfi 2023, MIT license), so
CIFAKE's own test images are not touched. `tools/make_sample.py` draws it.
"""

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from importlib import resources
from pathlib import Path

from asli.datasets.build import ingest
from asli.datasets.cifake import cifake
from asli.datasets.folder import DataFolder


@contextmanager
def sample_archive() -> Iterator[Path]:
    """Yield the path of the zip archive."""
    with resources.as_file(resources.files("asli") / "sample" / "cifake_sample.zip") as path:
        yield path


def open_sample(out: str | Path) -> DataFolder:
    """Make a data folder of the bundled sample.

    Raises:
        DataError: `out` holds something else.
    """
    with sample_archive() as path:
        return ingest(path, Path(out), partial(cifake, complete=False), "cifake")


def sample_images(names: list[str], folder: Path) -> list[Path]:
    """Write images of the sample as files, under their base names with the label in front; return the paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    with sample_archive() as path, zipfile.ZipFile(path) as archive:
        for name in names:
            label, base = name.split("/")[-2:]
            paths.append(folder / f"{label.lower()}-{base}")
            paths[-1].write_bytes(archive.read(name))
    return paths


def golden_images() -> list[tuple[str, bytes]]:
    """Return 100 images of the sample, 50 real and 50 fake, by which two ways to a score are compared: name and file.

    Every fourth of the sample's test part, by name.
    """
    with sample_archive() as path, zipfile.ZipFile(path) as archive:
        names = sorted(name for name in archive.namelist() if name.startswith("test/") and not name.endswith("/"))
        return [(name, archive.read(name)) for name in names[::4]]
