import zipfile
from pathlib import Path

import pytest

from asli.sample import sample_archive


@pytest.fixture(scope="session")
def pictures(tmp_path_factory) -> Path:
    """Twelve real images in two folders."""
    folder = tmp_path_factory.mktemp("pictures")
    with sample_archive() as path, zipfile.ZipFile(path) as archive:
        names = sorted(name for name in archive.namelist() if name.startswith("test/"))
        for number, name in enumerate(names[:: len(names) // 12][:12]):
            target = folder / ("one" if number % 2 else "two/deep") / Path(name).name.replace(" ", "_")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(archive.read(name))
    return folder
