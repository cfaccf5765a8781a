"""An audit of a manifest alone counts what the audit of the images counts."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from asli.auditing import facts
from asli.auditing.duplicates import find_duplicates
from asli.auditing.read_pixels import PixelReader
from asli.errors import DataError
from asli.tables.audit_table import audit_table
from tests.conftest import run_asli

COUNTED = (
    *("pairs", "within_a_split", "across_splits", "across_test", "across_labels"),
    *("test_images", "test_images_real", "test_images_fake", "identical_bytes"),
)


@pytest.mark.slow
def test_a_manifest_gives_the_counts_of_its_images(duplicated):
    expected = find_duplicates(duplicated, PixelReader(duplicated)).summary
    result = audit_table(duplicated.path)
    found, wanted = result.duplicates.exact.to_dict(), expected.exact.to_dict()
    for key in COUNTED:
        assert found[key] == wanted[key], key
    assert result.duplicates.test_total == expected.test_total
    table = facts.read(duplicated)
    assert result.counts == facts.counts(table)
    assert result.oddities == facts.oddities(table)
    severities = {finding.check: str(finding.severity) for finding in result.findings}
    assert severities["exact-duplicates"] == "fail"
    assert severities["near-duplicates"] == "not checked"


@pytest.mark.slow
def test_labels_in_file_settings_are_found(tmp_path):
    n = 400
    rows = {
        "id": [str(number) for number in range(n)],
        "label": ["real", "fake"] * (n // 2),
        "split": ["train"] * n,
        "format": ["JPEG", "PNG"] * (n // 2),
        "width": [512] * n,
        "height": [512] * n,
        "sha256": [f"{number % 390:064x}" for number in range(n)],
    }
    pq.write_table(pa.table(rows), tmp_path / "manifest.parquet")
    result = audit_table(tmp_path / "manifest.parquet")
    found = {finding.check: finding for finding in result.findings}
    assert "labels are readable from the files" in found["file-settings"].finding
    assert str(found["file-size"].severity) == "not checked"
    assert result.duplicates.exact.counts.pairs == 10
    done = run_asli("table", "audit", tmp_path / "manifest.parquet", "--strict")
    assert done.returncode == 3
    assert "checks failed" in done.stderr


def test_a_table_of_one_label_is_refused(tmp_path):
    pq.write_table(pa.table({"id": ["a", "b"], "label": ["real", "real"]}), tmp_path / "manifest.parquet")
    with pytest.raises(DataError, match="no readable fake image"):
        audit_table(tmp_path / "manifest.parquet")
