import pytest

from asli.sample import golden_images


@pytest.fixture(scope="session")
def files(tmp_path_factory):
    """The golden images, as files."""
    folder = tmp_path_factory.mktemp("golden")
    for number, (_, data) in enumerate(golden_images()):
        (folder / f"{number:03}.jpg").write_bytes(data)
    return sorted(folder.iterdir())
