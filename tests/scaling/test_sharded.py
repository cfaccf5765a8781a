"""Inputs by URL, parts, shards and merging: rows and scores of every way are those of a local scan."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from asli.scaling.merging import merge_parts
from asli.scaling.sharded import scan_parts
from tests.compare import differences
from tests.scaling.conftest import COUNT, DETECTOR, zipped


def rows_of(out, name_of=lambda id: id):
    """Return rows by id, without what depends on where the image lies; logits may differ as batches do."""
    rows = pq.read_table(out).to_pylist()
    found = {name_of(row["id"]): row for row in rows}
    assert len(found) == len(rows)
    return found


def differing(found, expected):
    """Name what differs between rows by id, apart from `id`, `path` and the last bits of logits."""
    away = ("id", "path", "logit_real", "logit_fake")
    plain = [
        {key: {k: v for k, v in rows[key].items() if k not in away} for key in sorted(rows)}
        for rows in (found, expected)
    ]
    return differences(*plain)[:5]


def base(id):
    return id.rpartition("/")[2]


@pytest.mark.slow
def test_every_kind_of_object_gives_the_rows_of_a_local_scan(store, thumbnails, shards, local_rows, tmp_path):
    """While every seventh read fails."""
    table = tmp_path / "t.parquet"
    pq.write_table(
        pa.table({"image": [{"bytes": data, "path": name} for name, data in thumbnails.items()]}),
        table,
        row_group_size=300,
    )
    names = list(thumbnails)
    few = names[:60]
    links = tmp_path / "l.parquet"
    pq.write_table(pa.table({"id": few, "url": [f"s3://kinds/one/{name}" for name in few]}), links)
    store.put(
        "kinds",
        {
            **{f"tar/{file.name}": file.read_bytes() for file in shards.iterdir()},
            "all.zip": zipped(thumbnails),
            "all.parquet": table.read_bytes(),
            "links.parquet": links.read_bytes(),
            "one/list.txt": "\n".join(few).encode(),
            **{f"one/{name}": thumbnails[name] for name in few},
        },
    )
    ways = {
        "tar": ("s3://kinds/tar/{000..019}.tar", base, names),
        "star": ("s3://kinds/tar/00*.tar", base, [n for k in range(10) for n in names[k::20]]),
        "zip": ("s3://kinds/all.zip", base, names),
        "parquet": ("s3://kinds/all.parquet", lambda id: names[int(id)], names),
        "links": ("s3://kinds/links.parquet", base, few),
        "list": ("s3://kinds/one/list.txt", base, few),
    }
    store.faults.every = 7
    try:
        for way, (url, name_of, wanted) in ways.items():
            result = scan_parts(url, f"s3://kinds/scores/{way}/", DETECTOR, part_rows=COUNT // 3)
            assert result.errors == 0, result.first_error
            merged = merge_parts(f"s3://kinds/scores/{way}", tmp_path / f"{way}.parquet")
            assert merged.images == len(wanted)
            found = rows_of(tmp_path / f"{way}.parquet", name_of)
            assert differing(found, {name: local_rows[name] for name in wanted}) == [], way
    finally:
        store.faults.every = 0
    assert min(store.faults.made.values()) > 5
