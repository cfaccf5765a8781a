"""What tests of explanations share."""

import pytest

from asli.sample import golden_images
from asli.transforms.preprocessing import Preprocessing


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    for number, (_, data) in list(enumerate(golden_images()))[::12]:
        (folder / f"{number:02}.jpg").write_bytes(data)
    return sorted(folder.iterdir())


def plain(size, window="resize"):
    return Preprocessing(size, "bilinear", (0.5,) * 3, (0.5,) * 3, window)
