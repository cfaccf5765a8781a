import numpy as np
import pytest

from asli.exporting.onnx import export_onnx
from tests.golden import golden_files


@pytest.fixture(scope="session")
def files(tmp_path_factory):
    """The golden images, as files."""
    return golden_files(tmp_path_factory.mktemp("golden"))


@pytest.fixture(scope="session")
def exported(finished, tmp_path_factory):
    folder = tmp_path_factory.mktemp("exported") / "detector"
    export_onnx(finished.detector, folder)
    return folder


def scores(result):
    images = result["images"] if isinstance(result, dict) else result.to_dict()["images"]
    return np.array([image["score"] for image in images])
