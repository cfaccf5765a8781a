"""Several detectors at once: side by side, with conflicts marked, never merged."""

import json

import pytest

from asli.detector.calibrate import calibrate
from asli.detector.predict import predict
from asli.detector.several import predict_with
from asli.errors import DetectorError
from asli.metrics.thresholds import Policy
from asli.sample import golden_images
from tests.conftest import run_asli


@pytest.mark.slow
def test_answers_are_each_detectors_own_and_conflicts_are_marked(finished, sample, tmp_path):
    careful = tmp_path / "careful"
    calibrate(finished.path, sample, careful, Policy(name="target-fpr", target=0.01))
    files = []
    for number, (_, data) in enumerate(golden_images()):
        files.append(tmp_path / f"{number:03}.jpg")
        files[-1].write_bytes(data)
    files.insert(1, tmp_path / "nowhere.jpg")
    several = predict_with(files, [finished.path, careful])
    alone = [predict(files, one) for one in (finished.path, careful)]
    first, second = several.detectors
    for number, answers in enumerate(several.images):
        assert answers.by_detector == {first: alone[0][number], second: alone[1][number]}
        verdicts = {alone[0][number].verdict, alone[1][number].verdict}
        assert answers.conflict == (verdicts == {"real", "fake"})
    conflicts = sum(answers.conflict for answers in several.images)
    assert conflicts > 0, "a stricter threshold calls some fakes real"
    done = run_asli("predict", *files, "--detector", finished.path, "--detector", careful)
    assert done.returncode == 1, "one picture cannot be read"
    assert done.stdout.count("CONFLICT") == conflicts
    assert f"verdicts conflict on {conflicts} of {len(files)} images" in done.stdout
    as_json = run_asli("predict", files[0], "--detector", finished.path, "--detector", careful, "--json")
    found, expected = json.loads(as_json.stdout)["images"][0], several.to_dict()["images"][0]
    for name, answer in expected["answers"].items():  # one image alone or among others: the last bits may differ
        assert found["answers"][name].pop("score") == pytest.approx(answer.pop("score"), abs=1e-6)
    assert found == expected | {"path": str(files[0])}
    with pytest.raises(DetectorError, match="is the same detector as"):
        predict_with(files[:1], [careful, careful])
