"""What tests of explanations share."""

import pytest

from asli.transforms.preprocessing import Preprocessing
from tests.golden import golden_files


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    return golden_files(tmp_path_factory.mktemp("pictures"), 12)


def plain(size, window="resize"):
    return Preprocessing(size, "bilinear", (0.5,) * 3, (0.5,) * 3, window)
