"""Tables that stream by give what arrays give."""

import json
import logging

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest

from asli.errors import DataError
from asli.evaluation.arrays import evaluate_scores
from asli.tables.binning import Binning, fine_bins
from asli.tables.evaluate_table import evaluate_table
from tests.conftest import run_asli


def drawn(n, seed=0):
    """Return a table of labeled scores with groups, a tenth of them duplicates of another row."""
    random = np.random.default_rng(seed)
    scene = random.integers(0, int(n * 0.9), n)
    _, first, inverse = np.unique(scene, return_index=True, return_inverse=True)
    fake = random.integers(0, 2, n)[first][inverse]
    margin = (random.normal(size=n) * 2 + (fake[first][inverse] * 2 - 1))[first][inverse]
    names = np.array(["sd", "gan", "flux"])[random.integers(0, 3, n)]
    return pa.table(
        {
            "id": [f"shard/{number}.jpg" for number in range(n)],
            "score": 1 / (1 + np.exp(-margin)),
            "label": np.where(fake == 1, "fake", "real"),
            "generator": [name if is_fake else None for name, is_fake in zip(names, fake, strict=True)],
            "source": np.array(["web", "phone"])[random.integers(0, 2, n)],
            "scene": scene,
        }
    )


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    path = tmp_path_factory.mktemp("table") / "scores.parquet"
    found = drawn(3000)
    pq.write_table(found, path, row_group_size=700)
    return path, found


def arrays(found, **settings):
    groups = {name: found[name].to_pylist() for name in ("generator", "source")}
    return evaluate_scores(found["label"].to_pylist(), found["score"].to_numpy(), groups=groups, **settings)


def flat(value, before=""):
    """Return the leaves of a result by their path."""
    if isinstance(value, dict):
        return {key: leaf for name, item in value.items() for key, leaf in flat(item, f"{before}.{name}").items()}
    if isinstance(value, list):
        return {key: leaf for at, item in enumerate(value) for key, leaf in flat(item, f"{before}.{at}").items()}
    return {before: value}


TOLERANCES = (
    # Ends of average precision: the jackknife against 2,000 resamples; chance errors: normal draws against labels.
    (("average_precision.low", "average_precision.high", "ece_if_calibrated"), 5e-4),
    (("calibration.bins", "calibration.rms_error", "calibration.ece"), 2e-3),  # rows at the edges of bins
    (("by_group",), 2e-4),  # ends: duplicates by their effective number
    (("tpr_at_fpr",), 1e-4),  # two fakes at the edge of a bin
    (("",), 1e-5),
)
EXACT = (".figures.threshold.", ".figures.argmax.", ".confusion", ".verdicts.", ".prevalences.", ".curves.histogram")


def differing(one, other):
    found = []
    for key, value in one.items():
        if not key.startswith(
            (".figures", ".confusion", ".verdicts", ".calibration", ".tpr", ".prev", ".by_group", ".curves.histogram")
        ):
            continue
        if key.startswith(".calibration.bins") and key.endswith(".n"):
            assert abs(value - other[key]) <= 20
        elif isinstance(value, float):
            tolerance = 1e-12 if key.startswith(EXACT) else next(b for a, b in TOLERANCES if any(w in key for w in a))
            if abs(value - other[key]) > tolerance:
                found.append((key, value, other[key]))
        elif value != other[key]:
            found.append((key, value, other[key]))
    return found


@pytest.mark.slow
@pytest.mark.parametrize("duplicates", [None, "scene"])
def test_fifty_thousand_rows_give_what_arrays_give(duplicates, tmp_path):
    found = drawn(50_000)
    pq.write_table(found, tmp_path / "scores.parquet", row_group_size=4096)
    scenes = None if duplicates is None else found["scene"].to_numpy()
    expected = arrays(found, thresholds=(0.3, 0.6), duplicates=scenes)
    result = evaluate_table(tmp_path / "scores.parquet", threshold=(0.3, 0.6), duplicates=duplicates)
    assert differing(flat(expected.to_dict()), flat(result.to_dict())) == []
    assert result.data.duplicates == expected.data.duplicates


def test_scores_rounded_to_bins_give_the_very_ranks(table, tmp_path):
    """With scores that bins cannot part, nothing is left of the tolerance but the intervals by simulation."""
    _, found = table
    rounded = np.round(found["score"].to_numpy(), 2)  # many ties, and scores of 0 and 1
    few = found.set_column(1, "score", pa.array(rounded))
    pq.write_table(few, tmp_path / "scores.parquet")
    expected = arrays(few, duplicates=few["scene"].to_numpy()).to_dict()
    result = evaluate_table(tmp_path / "scores.parquet", duplicates="scene").to_dict()
    keys = ("tpr_at_fpr", "by_group", "confusion")
    for name in keys:
        one, other = flat(expected[name]), flat(result[name])
        assert one.keys() == other.keys()
        for key, value in one.items():
            if not key.endswith("above") and not (name == "by_group" and "auroc" in key):
                assert value == pytest.approx(other[key], abs=1e-12), key
    for key, value in flat(expected["figures"]).items():
        if "average_precision" not in key or key.endswith("value"):
            assert value == pytest.approx(flat(result["figures"])[key], abs=1e-12), key
    for key in ("ece", "rms_error", "bins"):
        for leaf, value in flat(expected["calibration"][key]).items():
            assert value == pytest.approx(flat(result["calibration"][key])[leaf], abs=1e-9), leaf


def test_bins_ascend_and_cuts_are_their_edges():
    random = np.random.default_rng(0)
    scores = np.sort(np.concatenate([random.random(500), 10 ** random.uniform(-25, 0, 500), [0.0, 0.5, 1.0]]))
    assert (np.diff(fine_bins(scores)) >= 0).all()
    binning = Binning([0.3, 0.5, 0.937])
    for cut in (0.3, 0.5, 0.937):
        below, at = binning.of(np.array([np.nextafter(cut, 0), cut]))
        assert below < at == binning.begins(cut)
        assert binning.first(int(at)) == cut
        assert binning.last(int(below)) == np.nextafter(cut, 0)


def joined_files(found, folder):
    """Write scores as two parts, and labels as CSV in another order with more rows."""
    folder.mkdir()
    order = np.random.default_rng(1).permutation(len(found))
    scores = found.select(["id", "score"])
    pq.write_table(scores.slice(0, 1000), folder / "a.parquet")
    pq.write_table(scores.slice(1000), folder / "b.parquet")
    labels = found.drop_columns(["score"]).append_column("split", pa.array(["test"] * len(found)))
    train = labels.slice(0, 5).set_column(0, "id", pa.array([f"train/{n}" for n in range(5)]))
    train = train.set_column(train.column_names.index("split"), "split", pa.array(["train"] * 5))
    unscored = labels.slice(0, 2).set_column(0, "id", pa.array(["new/1", "new/2"]))
    pa_csv.write_csv(pa.concat_tables([labels.take(pa.array(order)), train, unscored]), folder.parent / "labels.csv")
    return folder, folder.parent / "labels.csv"


def test_scores_and_labels_are_joined_by_id(table, tmp_path, caplog):
    path, found = table
    scores, labels = joined_files(found, tmp_path / "parts")
    with caplog.at_level(logging.WARNING):
        result = evaluate_table(scores, labels, duplicates="scene")
    assert differing(flat(evaluate_table(path, duplicates="scene").to_dict()), flat(result.to_dict())) == []
    assert (result.unscored.missing, result.unscored.extra, result.unscored.elsewhere) == (2, 0, 5)
    assert "2 images without a row of scores" in caplog.text
    everything = evaluate_table(scores, labels, split=None)
    assert everything.data.images == len(found)
    assert everything.unscored.missing == 7


def test_the_command_writes_json_and_a_report(table, tmp_path):
    path, found = table
    done = run_asli("table", "evaluate", path, "--threshold", "0.6", "--out", tmp_path / "report", "--json")
    result = json.loads(done.stdout)
    assert result["data"]["images"] == len(found)
    assert result == json.loads((tmp_path / "report" / "metrics.json").read_text())
    assert "AUROC" in (tmp_path / "report" / "report.html").read_text()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"score": [0.5, 1.5, 0.2]}, "row 2 of .* has the score 1.5"),
        ({"score": [0.5, None, None], "label": ["", "real", "fake"]}, "no labeled score"),
        ({"label": ["real", "fake", "cat"]}, "row 3 of .* has the label 'cat'"),
        ({"label": None}, "lacks the column 'label'.*--labels"),
        ({"score": None}, "lacks the column 'score'"),
    ],
)
def test_wrong_tables_are_refused_in_one_line(change, words, tmp_path):
    columns = {"id": ["a", "b", "c"], "score": [0.1, 0.2, 0.9], "label": ["real", "real", "fake"], **change}
    pq.write_table(pa.table({k: v for k, v in columns.items() if v is not None}), tmp_path / "scores.parquet")
    with pytest.raises(DataError, match=words):
        evaluate_table(tmp_path / "scores.parquet")


def test_an_id_that_occurs_twice_is_refused(table, tmp_path):
    path, found = table
    twice = pa.concat_tables([found, found.slice(7, 1)])
    pq.write_table(twice, tmp_path / "labels.parquet")
    with pytest.raises(DataError, match=r"rows 8 and 3,001 of .*labels.parquet have the same id"):
        evaluate_table(path, tmp_path / "labels.parquet")


def test_one_label_alone_leaves_ranks_undefined(tmp_path):
    few = pa.table({"score": [0.1, 0.4, 0.8, 0.9], "label": [1, 1, 1, 1]})
    pq.write_table(few, tmp_path / "scores.parquet")
    expected = evaluate_scores([1] * 4, [0.1, 0.4, 0.8, 0.9])
    result = evaluate_table(tmp_path / "scores.parquet")
    assert result.metrics["auroc"].value is None
    assert result.metrics["recall"] == expected.metrics["recall"]
    assert result.metrics["f1"] == expected.metrics["f1"]
    assert result.tpr_at_fpr == ()
