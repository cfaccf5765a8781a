import pickle

import pyarrow as pa
import pytest

from asli.detector.base import Detector
from asli.errors import DataError
from asli.scaling.scorer import Scorer
from tests.scaling.conftest import DETECTOR, by_id
from tests.scaling.test_sharded import differing


def test_a_scorer_maps_tables_in_order_and_returns_errors_as_data(images, local_rows, tmp_path):
    scorer = pickle.loads(pickle.dumps(Scorer(DETECTOR)))
    few = images.slice(0, 50)
    table = scorer(few)
    assert table.schema == scorer.schema
    assert table["id"].to_pylist() == few["id"].to_pylist()
    assert differing(by_id(table.to_pylist()), {id: local_rows[id] for id in few["id"].to_pylist()}) == []
    odd = pa.table(
        {
            "key": [1, 2, 3],
            "image": [{"bytes": few["bytes"][0].as_py(), "path": "a.jpg"}, {"bytes": b"no", "path": "b"}, None],
        }
    )
    rows = scorer(odd).to_pylist()
    assert [(row["id"], row["path"], row["error"] is None) for row in rows] == [
        ("1", "a.jpg", True),
        ("2", "b", False),
        ("3", "3", False),
    ]
    (row,) = scorer(pa.table({"url": ["http://127.0.0.1:1/x.jpg"]})).to_pylist()
    assert "private address" in row["error"]
    assert len(scorer(few.slice(0, 0))) == 0
    with pytest.raises(DataError, match="no column of images"):
        scorer(pa.table({"x": [1]}))
    assert scorer.hash == Detector.load(DETECTOR).hash
