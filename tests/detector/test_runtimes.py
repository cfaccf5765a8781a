"""How ONNX Runtime is set up."""

from pathlib import Path

import onnxruntime
import pytest

from asli.detector.runtimes import spinning


@pytest.mark.parametrize("version", ["1.20.1", "1.25.1"])
def test_versions_that_cannot_spin_for_a_short_time_do_not_spin(version):
    assert spinning(version) == {"allow_spinning": "0"}


@pytest.mark.parametrize("version", ["1.26.0", "1.32.0", "2.0.0rc1"])
def test_later_ones_spin_for_some_microseconds(version):
    assert spinning(version) == {"allow_spinning": "1", "spin_duration_us": "20"}


def test_the_library_here_takes_all_settings():
    """It takes unknown ones in silence: a name that it lacks would make threads spin for milliseconds."""
    names = [f"session.intra_op.{key}".encode() for key in spinning(onnxruntime.__version__)]
    (library,) = list(Path(onnxruntime.__file__).parent.glob("capi/onnxruntime_pybind11_state*"))
    content = library.read_bytes()
    assert [name for name in names if name not in content] == []
