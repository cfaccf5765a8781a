"""Scoring pictures of the same bytes once."""

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from asli.detector.base import Detector
from asli.scanning import score_table
from asli.scanning.reading import Read, Readable, read_images

KEPT = 50_000
"""Rows kept to be used again; the oldest go first. About 50 MB."""


def score_once(
    images: Sequence[Read], places: Readable, detector: Detector, known: dict[str, Any], *, force_domain: bool
) -> pa.Table:
    """Score a batch, pictures whose bytes were scored before by their former row.

    Args:
        images: The batch.
        places: Gives their names.
        detector: Scores them.
        known: Rows by SHA-256; those of this batch are added.
        force_domain: The same as in a scan.
    """
    first: dict[str, int] = {}
    fresh: list[Read] = []
    for image in images:
        key = image.sha256
        if key is not None and (key in known or key in first):
            continue
        if key is not None:
            first[key] = len(fresh)
        if key is not None and image.found.prepared is None and image.found.error is None:
            image = read_images([image.item], places, detector)[0]  # its row was there when it was read, and went
        fresh.append(image)
    scored = score_table.score_batch(fresh, places, detector, force_domain=force_domain).to_pylist() if fresh else []
    rows = iter(scored)
    result = []
    for image in images:
        key = image.sha256
        if key is not None and key in known:
            id, path = places.ids(image.item)
            result.append({**known[key], "id": id, "path": path})
            continue
        row = next(rows)
        result.append(row)
        if key is not None:
            known[key] = row
    while len(known) > KEPT:
        del known[next(iter(known))]
    return pa.Table.from_pylist(result, schema=score_table.SCHEMA)
