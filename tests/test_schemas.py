"""Each schema in the package follows from a dataclass, and real output follows the schema."""

import json
import os
from pathlib import Path

import jsonschema
import pytest

import asli
from asli.datasets.cache import cached
from asli.errors import AsliError
from asli.files import read_json
from asli.models.trunks import list_trunks
from asli.sample import golden_images
from asli.scaling.merging import merge_parts
from asli.scaling.parts_result import PartsResult
from asli.scaling.sharded import scan_parts
from asli.schemas import SCHEMAS, generated, json_schema
from tests.conftest import run_asli
from tests.schemas import require_schema


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    for number, (_, data) in enumerate(golden_images()[:3]):
        (folder / f"{number}.jpg").write_bytes(data)
    (folder / "broken.jpg").write_bytes(b"no image")
    return folder


@pytest.mark.parametrize("name", SCHEMAS)
def test_the_package_ships_what_follows_from_the_dataclass(name):
    assert json_schema(name) == json.loads(generated(name)), "python tools/write_schemas.py writes it anew"
    jsonschema.Draft202012Validator.check_schema(json_schema(name))
    if not SCHEMAS[name].rows:
        assert len(json_schema(name)["properties"]["version"]["enum"]) == 1
        assert "version" in json_schema(name)["required"]


def test_no_schema_is_left_over_and_each_result_states_all_of_it():
    shipped = {path.name for path in (Path(asli.__file__).parent / "schemas").glob("*.json")}
    assert shipped == {f"{name}.schema.json" for name in SCHEMAS}
    for name in SCHEMAS:
        assert all(part.get("additionalProperties") is not None for part in objects(json_schema(name))), name


def objects(value):
    if isinstance(value, dict):
        if value.get("type") == "object":
            yield value
        for item in value.values():
            yield from objects(item)


def test_predictions_and_explanations(finished, pictures, tmp_path):
    detector = asli.Detector.load(finished.path)
    plain = require_schema("predict", detector.predict(pictures).to_dict())
    assert [image["error"] is None for image in plain["images"]] == [True, True, True, False]
    moved = detector.predict(pictures, stability=True, force_domain=True).to_dict()
    assert require_schema("predict", moved)["detector"]["force_domain"] is True
    for wrong in ({"version": 2}, {"images": [{"path": "a"}]}, {"more": 1}):
        with pytest.raises(jsonschema.ValidationError):
            require_schema("predict", {**plain, **wrong})
    family = asli.predict([pictures / "0.jpg"])  # its members and thresholds are described, too
    assert require_schema("predict", family.to_dict())["detector"]["members"]
    require_schema("predict-several", asli.predict_with(pictures, [detector, "default"]).to_dict())
    explained = asli.explain(pictures.iterdir(), detector, out=tmp_path, method="occlusion", check=True)
    assert require_schema("explain", explained.to_dict()) == read_json(tmp_path / "explain.json")


def test_scans(finished, pictures, tmp_path):
    require_schema("scan", asli.scan([pictures], tmp_path / "scores.parquet", finished.path).to_dict())
    parts = scan_parts([str(pictures)], f"{tmp_path}/scores/", finished.path)
    content = require_schema("scan-parts", parts.to_dict())
    assert PartsResult.from_dict(content) == parts  # as another process sends it
    require_schema("scan-merge", merge_parts(f"{tmp_path}/scores/").to_dict())


def test_detectors_and_machines(finished, sample):
    for name in (finished.path, "default", "photo-large"):
        require_schema("info", asli.info(name).to_dict())
    report = asli.doctor(offline=True)
    assert require_schema("doctor", report.to_dict())["problems"] == sum(one.status == "problem" for one in report)
    require_schema("trunks", [one.to_dict() for one in list_trunks()])
    place = Path(os.environ["ASLI_CACHE"]) / "mine"
    place.mkdir(parents=True)
    try:
        (found,) = require_schema("cache", [one.to_dict() for one in cached() if one.path == place])
    finally:
        place.rmdir()
    assert found == {"path": str(place), "bytes": 0, "openings": 0}


def test_the_command_prints_and_lists_them():
    listed = run_asli("schema").stdout.splitlines()
    assert [line.split()[0] for line in listed] == list(SCHEMAS)
    assert json.loads(run_asli("schema", "predict").stdout) == json_schema("predict")
    with pytest.raises(AsliError, match="no schema named 'prediction'; there are predict"):
        json_schema("prediction")
