"""Make a data folder: read every image once, find duplicates, split, pack. Rerun an interrupted call to resume it."""

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, astuple
from pathlib import Path
from typing import Any, Unpack

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from filelock import FileLock, Timeout

from asli._version import __version__
from asli.datasets import cifake as cifake_data
from asli.datasets import fetch, manifest
from asli.datasets.archived import open_source
from asli.datasets.chunks import CHUNK, Chunks
from asli.datasets.division import Division, as_plan, spread, whole_groups
from asli.datasets.folder import DataFolder
from asli.datasets.groups import COLUMNS
from asli.datasets.layouts import LABELS, SPLITS, Entry, LabelNames, Listing, table_layout
from asli.datasets.parquet_rows import ParquetRows
from asli.datasets.sources import Source
from asli.datasets.splits import SEED, Shares, assign_splits, fitting_shares
from asli.datasets.survey import Survey, SurveyOptions, understand
from asli.errors import DataError
from asli.files import (
    keeping,
    replacing,
    sha256_of_file,
    sha256_of_json,
    sha256_of_json_array,
    write_json,
    write_text,
)

_RESULTS = ("images.npy", "manifest.parquet", "problems.txt")
"""Files that are made from the chunks, before `data.json` completes the folder."""

logger = logging.getLogger("asli")


def open_cifake(path: str | Path | None, out: str | Path, *, hub: str | None = None) -> DataFolder:
    """Make a data folder of CIFAKE.

    Args:
        path: A folder of the four zips, one archive (as Kaggle serves it), or the unpacked tree; None fetches it.
        out: Where the data folder goes.
        hub: Fetch this Hugging Face data set (`OWNER/NAME[@REVISION]`) and not Kaggle's.

    Raises:
        DataError: This is not CIFAKE, it cannot be fetched, or `out` holds something else.
    """
    out = Path(out)
    if path is not None:
        if hub is not None:
            raise DataError("give --from or --hub, not both")
        return ingest(Path(path), out, cifake_data.cifake, "cifake")
    if hub is None:
        return ingest(fetch.fetch_kaggle(), out, cifake_data.cifake, "cifake")
    snapshot = fetch.fetch_hub(hub)
    logger.info(
        "revision %s; %d of %d files have the SHA-256 the hub records, the others its size",
        *(snapshot.revision, snapshot.checked, len(snapshot.paths)),
    )
    source = ParquetRows(snapshot.root, snapshot.paths)
    listing = cifake_data.mirrored(table_layout.listing(source.rows, LabelNames(), hub), source.original_names())
    found = Survey(source, listing, "cifake", f"{hub.partition('@')[0]}@{snapshot.revision}")
    logger.info("%s", found.describe())
    return make(found, out)


def open_folders(
    path: str | Path | None,
    out: str | Path,
    *,
    division: Division | None = None,
    fractions: Shares | None = None,
    **how: Unpack[SurveyOptions],
) -> DataFolder:
    """Make a data folder of a user's own images. The label of each folder is logged before any image is read.

    Args:
        path: A folder, an archive, a folder of archives, a table, or Parquet files.
        out: Where the data folder goes.
        division: Which images are test and which groups stay whole; None draws by chance.
        fractions: Shares of the parts that the source does not name; None takes those that fit the number of images.
        how: `real`, `fake`, `layout`, `labels`, `generator`, `include_hidden`: see `asli.datasets.survey.understand`.

    Raises:
        DataError: A label cannot be told, two layouts disagree, or `out` holds something else.
    """
    found = understand(path, **how)
    logger.info("%s", found.describe())
    return make(found, Path(out), division or Division(), fractions)


def ingest(path: Path, out: Path, layout: Callable[[Iterable[str]], Listing], layout_name: str) -> DataFolder:
    """Make a data folder of the files at `path`, whose names `layout` reads.

    Raises:
        DataError: See the callers.
    """
    source = open_source(path)
    return make(Survey(source, layout(source.names()), layout_name, str(path.resolve())), out)


def make(
    found: Survey,
    out: Path,
    division: Division = Division(),  # noqa: B008 - it is frozen
    fractions: Shares | None = None,
) -> DataFolder:
    """Make a data folder of a source and its listing.

    Args:
        found: The source and its listing.
        out: Where the data folder goes.
        division: Which images are test and which groups stay whole.
        fractions: See `open_folders`.

    Raises:
        DataError: `out` holds something else, or another process writes it.
    """
    source, listing = found.source, found.listing
    plan = {
        "version": manifest.VERSION,
        "layout": found.layout,
        "source": source.fingerprint([entry.name for entry in listing.entries]),
        "listing": sha256_of_json_array(map(astuple, listing.entries)),
        "chunk": CHUNK,
        **as_plan(division),
        **({} if fractions is None else {"fractions": asdict(fractions)}),
    }
    if (out / "data.json").exists():
        return _complete(found, (plan, *_former_plans(plan, listing)), out)
    out.mkdir(parents=True, exist_ok=True)
    if _others(out):
        raise DataError(f"{out} is not empty; give a new folder")
    try:
        with keeping("what was read is safe; make room and repeat the command"), FileLock(out / ".lock", timeout=0):
            return _Ingest(source, listing, plan, out, division, fractions).run(found.origin)
    except Timeout:
        raise DataError(f"another process is writing {out}; wait for it or give another folder") from None


def _former_plans(plan: dict[str, Any], listing: Listing) -> Iterator[dict[str, Any]]:
    """Yield the plans under which earlier versions of asli made a folder of these images: with less that is known."""
    for generators in (True, False):
        known = ((e.id, e.label, e.split, e.category, e.generator if generators else None) for e in listing.entries)
        yield {**plan, "version": 1, "listing": sha256_of_json_array(map(list, known))}


def _complete(found: Survey, plans: Iterable[dict[str, Any]], out: Path) -> DataFolder:
    """Return the finished data folder at `out`, told where its images lie now."""
    data = DataFolder.open(out)
    if data.info.get("plan") not in [sha256_of_json(plan) for plan in plans]:
        raise DataError(
            f"{out} holds a data folder of something else, its images have changed since, or it was made with other"
            " --fractions; give another folder"
        )
    logger.info("%s is complete already", out)
    if data.info["reopen"] == found.source.spec():
        return data
    write_json(out / "data.json", {**data.info, "source": found.origin, "reopen": found.source.spec()})
    logger.info("its images are now read from %s", found.origin)
    return DataFolder.open(out)


def _others(out: Path) -> set[str]:
    """Return what lies in a folder beside the work of an interrupted call."""
    names = {item.name for item in out.iterdir()} - {".lock", ".parts"}
    begun = (out / ".parts" / "plan.json").exists()
    return {name for name in names if not (begun and (name in _RESULTS or name.endswith(".part")))}


class _Ingest:
    def __init__(
        self,
        source: Source,
        listing: Listing,
        plan: dict[str, Any],
        out: Path,
        division: Division,
        fractions: Shares | None,
    ) -> None:
        self.source, self.listing, self.plan, self.out = source, listing, plan, out
        self.division, self.fractions = division, fractions
        self.chunks = Chunks(source, listing, out / ".parts")

    def run(self, origin: str) -> DataFolder:
        for stale in (*self.out.glob(".*.part"), *(self.out / name for name in _RESULTS)):
            stale.unlink(missing_ok=True)  # of a call that was cut after the last image was read
        self.chunks.read_all(self.plan)
        self.chunks.require_readable()
        packed = self.chunks.pack(self.out / "images.npy")
        fractions = self._write_manifest()
        problems = self._problems()
        manifest_path = self.out / "manifest.parquet"
        write_json(
            self.out / "data.json",
            {
                "version": manifest.VERSION,
                "asli": __version__,
                "layout": self.plan["layout"],
                "source": origin,
                "reopen": self.source.spec(),
                "plan": sha256_of_json(self.plan),
                "labels": {"real": 0, "fake": 1},
                "counts": _counts(manifest_path),
                "problems": {kind: len(names) for kind, names in problems.items()},
                "hidden": dict(self.source.left_out.hidden),
                "dropped": dict(self.listing.dropped),
                "packed": packed,
                "split_seed": SEED,
                "fractions": asdict(fractions),
                "division": self.division.describe(),
                "manifest_sha256": sha256_of_file(manifest_path),
                "content_hash": manifest.content_hash(manifest_path),
            },
        )
        self.chunks.remove()
        return DataFolder.open(self.out)

    def _write_manifest(self) -> Shares:
        """Write the manifest; return the shares by which the source's open images were split."""
        columns = ["id", "label", "named_split", "category", "pixel_sha256"]
        brief = pa.concat_tables(table.select(columns) for table in self.chunks.tables())
        named = brief["named_split"]
        if self.division.names_test:
            named = pa.chunked_array([self._named_test(brief)])
        groups, crosses = manifest.group_duplicates(brief["pixel_sha256"], named)
        splits, fractions = self._splits(brief, named.to_pylist(), groups)
        if self.division != Division():
            _, crosses = manifest.group_duplicates(brief["pixel_sha256"], pa.chunked_array([splits]))

        def finished() -> Iterator[pa.Table]:
            start = 0
            for table in self.chunks.tables():
                part = slice(start, start + len(table))
                yield manifest.finish(table, pa.array(splits[part]), groups[part], crosses[part])
                start += len(table)

        with replacing(self.out / "manifest.parquet") as temporary:
            manifest.write(temporary, finished())
        return fractions

    def _columns(self) -> dict[str, list[str | None]]:
        table = pa.concat_tables(part.select(list(COLUMNS)) for part in self.chunks.tables())
        return {name: table[name].to_pylist() for name in COLUMNS}

    def _named_test(self, brief: pa.Table) -> pa.Array:
        """Return `test` for the images that the division holds out, null for the others."""
        ids, labels = brief["id"].to_pylist(), brief["label"].to_pylist()
        tests = self.division.tests(self._columns(), labels, ids, (self.fractions or Shares()).test)
        duplicates, _ = manifest.group_duplicates(brief["pixel_sha256"], brief["named_split"])
        groups = self.division.groups(self._columns(), ids, duplicates)
        tests = spread(tests, duplicates if groups is None else groups)
        if brief["named_split"].null_count < len(brief):
            logger.warning("the splits that the data names are not used: the division says which images are test")
        return pa.array(["test" if held else None for held in tests.tolist()], pa.string())

    def _splits(
        self, brief: pa.Table, named: list[str | None], duplicates: npt.NDArray[np.int64]
    ) -> tuple[list[str], Shares]:
        """Return every image's split, and the shares by which those that the source leaves open were drawn."""
        ids, labels, categories = (brief[name].to_pylist() for name in ("id", "label", "category"))
        strata = [f"{label}/{category}" for label, category in zip(labels, categories, strict=True)]
        shares = self.fractions or fitting_shares(strata, named)
        groups = self.division.groups(self._columns(), ids, duplicates) if self.division != Division() else None
        if groups is None:
            return assign_splits(ids, strata, named, duplicates, shares=shares), shares
        have = {split for split in named if split}
        wanted = {"validation": shares.validation, "calibration": shares.calibration, "test": shares.test}
        drawn = {split: share for split, share in wanted.items() if split not in have and (split != "test" or not have)}
        return whole_groups(labels, named, groups, drawn), shares

    def _problems(self) -> dict[str, list[str]]:
        """Name every file that is not used as it is: in `problems.txt`, one a line."""
        unreadable = []
        for table in self.chunks.tables():
            bad = table.filter(pa.compute.is_valid(table["error"])).select(["id", "error"]).to_pylist()
            unreadable += [f"{line['id']}: {line['error']}" for line in bad]
        problems = {
            "unreadable": unreadable,
            "missing": self.listing.missing,
            "extra": self.listing.extra,
            "unsafe": self.source.left_out.unsafe,
            "ignored": self.listing.ignored,
        }
        lines = [f"{kind}\t{name}\n" for kind, names in problems.items() for name in names]
        if lines:
            write_text(self.out / "problems.txt", "".join(lines))
        return problems


def _counts(path: Path) -> dict[str, dict[str, int]]:
    table = pq.read_table(path, columns=["split", "label", "error"])
    table = table.filter(pa.compute.is_null(table["error"]))
    counts = Counter(zip(table["split"].to_pylist(), table["label"].to_pylist(), strict=True))
    return {s: {label: counts[s, label] for label in LABELS} for s in SPLITS if any(key[0] == s for key in counts)}


__all__ = ["Entry", "ingest", "open_cifake", "open_folders"]
