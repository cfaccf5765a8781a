import numpy as np
import pytest

from asli.exporting.onnx import export_onnx
from asli.sample import golden_images


@pytest.fixture(scope="session")
def files(tmp_path_factory):
    """The golden images, as files."""
    folder = tmp_path_factory.mktemp("golden")
    for number, (_, data) in enumerate(golden_images()):
        (folder / f"{number:03}.jpg").write_bytes(data)
    return sorted(folder.iterdir())


@pytest.fixture(scope="session")
def exported(finished, tmp_path_factory):
    folder = tmp_path_factory.mktemp("exported") / "detector"
    export_onnx(finished.detector, folder)
    return folder


def scores(result):
    images = result["images"] if isinstance(result, dict) else result.to_dict()["images"]
    return np.array([image["score"] for image in images])
