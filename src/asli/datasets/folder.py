"""The data folder: a manifest, packed pixels where images are small, and the record of every look at test."""

import datetime
import json
from collections import Counter
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, overload

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from asli.datasets import manifest, walking
from asli.datasets.images import SIDEWAYS
from asli.datasets.layouts import LABELS, SPLITS
from asli.datasets.layouts.listing import origins
from asli.datasets.reopen import reopen
from asli.errors import DataError
from asli.files import read_json, sha256_of_file, writing
from asli.notebook import html_text

if TYPE_CHECKING:
    from asli.datasets.pixels import Pixels

READABLE_VERSIONS = (1, 2)
PACK_LIMIT = 96
"""Images of one common size up to this many pixels a side are kept decoded, in one array."""


class DataFolder:
    """A data folder, opened for reading.

    Attributes:
        path: The folder.
        info: The content of `data.json`.
        labels: int8, one per row of the manifest: 0 real, 1 fake.
        readable: bool, one per row; rows that could not be decoded are never used for training or scored.
        duplicate_groups: int64, one per row: group of images with identical pixels, -1 without one.
        unit: int64, one per row: group that is resampled together; None resamples duplicates together (see
            `asli.datasets.groups.grouped`).
        grouped_by: Description of the units.
    """

    def __init__(self, path: Path, info: dict[str, Any]) -> None:
        self.path, self.info = path, info
        table = self.table(["label", "split", "error", "cross_split_duplicate", "duplicate_group"])
        self.labels = _codes(table["label"], LABELS)
        self._splits = _codes(table["split"], SPLITS)
        self.readable: npt.NDArray[np.bool_] = table["error"].is_null().to_numpy()
        self.cross_split_duplicate: npt.NDArray[np.bool_] = table["cross_split_duplicate"].to_numpy()
        self.duplicate_groups: npt.NDArray[np.int64] = table["duplicate_group"].fill_null(-1).to_numpy()
        self.unit: npt.NDArray[np.int64] | None = None
        self.grouped_by: str | None = None

    @classmethod
    def open(cls, path: str | Path) -> Self:
        """Open a data folder.

        Raises:
            DataError: There is no data folder, it is incomplete or changed, or a newer asli wrote it.
        """
        path = Path(path)
        try:
            info = read_json(path / "data.json")
        except FileNotFoundError:
            hint = "an interrupted one: run the same command again" if (path / ".parts").exists() else "make one"
            raise DataError(f"{path} is no data folder ({hint} with: asli data ...)") from None
        except (ValueError, OSError) as error:
            raise DataError(f"{path / 'data.json'} cannot be read: {error}; make the data folder again") from error
        if info.get("version") not in READABLE_VERSIONS:
            known = " and ".join(map(str, READABLE_VERSIONS))
            raise DataError(f"{path} has version {info.get('version')}, this asli reads {known}; update asli")
        file = path / "manifest.parquet"
        if not file.exists() or sha256_of_file(file) != info["manifest_sha256"]:
            raise DataError(f"{file} is not the one data.json describes; make the data folder again")
        return cls(path, info)

    @property
    def name(self) -> str:
        """Return the folder's name."""
        return self.path.resolve().name

    @property
    def hash(self) -> str:
        """Return the content hash of ids, labels, splits and pixels, independent of the program that wrote them."""
        return str(self.info["content_hash"])

    def __len__(self) -> int:
        return len(self.labels)

    def table(self, columns: list[str], rows: npt.NDArray[np.int64] | None = None) -> pa.Table:
        """Read columns of the manifest, of all rows or of these."""
        table = manifest.read(self.path / "manifest.parquet", columns)
        return table if rows is None else table.take(pa.array(rows))

    def rows(self, split: str) -> npt.NDArray[np.int64]:
        """Return the rows of a split that can be read, in the manifest's order.

        Raises:
            DataError: There are none.
        """
        rows = np.flatnonzero((self._splits == SPLITS.index(split)) & self.readable)
        if not len(rows):
            raise DataError(f"{self.path} has no readable image in its {split} part")
        return rows

    def groups(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return a number for each row that duplicates, and images grouped with them, share: the unit of resampling."""
        if self.unit is not None:
            return self.unit[rows]
        groups = self.duplicate_groups[rows]
        return np.where(groups >= 0, groups, len(self) + rows)

    def count_duplicates(self, rows: npt.NDArray[np.int64]) -> int:
        """Return how many of these rows repeat another one's pixels."""
        groups = self.duplicate_groups[rows]
        groups = groups[groups >= 0]
        return len(groups) - len(np.unique(groups))

    def keys(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.uint64]:
        """Return the first 64 bits of the hash of each row's decoded pixels: the same for identical images anywhere."""
        hashes = self.table(["pixel_sha256"], rows)["pixel_sha256"].to_pylist()
        return np.array([int(digest[:16], 16) for digest in hashes], dtype=np.uint64)

    @cached_property
    def images(self) -> npt.NDArray[np.uint8]:
        """Return the packed pixels, uint8, rows x height x width x 3, mapped from disk.

        Raises:
            DataError: The images are not packed (larger than 96 px or of several sizes), or the array is damaged.
        """
        if self.info["packed"] is None:
            raise DataError(f"{self.path} is not packed: its images are large or of several sizes")
        try:
            images = np.load(self.path / "images.npy", mmap_mode="r")
        except (OSError, ValueError) as error:
            raise DataError(f"{self.path / 'images.npy'} is damaged: {error}; make the data folder again") from error
        if images.shape != (len(self), *self.info["packed"]):
            raise DataError(f"{self.path / 'images.npy'} does not fit its manifest; make the data folder again")
        return images  # type: ignore[no-any-return]

    @cached_property
    def pixels(self) -> "Pixels":
        """Return the images' pixels: packed, or decoded on demand from the files the data folder was made of.

        Raises:
            DataError: These files are gone.
        """
        from asli.datasets.pixels import (  # brings torch: opening a data folder does not need it
            FilePixels,
            PackedPixels,
        )

        if self.info["packed"] is not None:
            return PackedPixels(self.images)
        table = self.table(["id", "height", "width", "orientation"])
        sizes = np.stack([table[side].fill_null(0).to_numpy() for side in ("height", "width")], axis=1)
        turned = np.isin(table["orientation"].fill_null(1).to_numpy(), SIDEWAYS)
        sizes[turned] = sizes[turned, ::-1]
        return FilePixels(reopen(self.info["reopen"]), _Texts(table["id"]), sizes.astype(np.int64))

    def record_opening(self, *, split: str, recipe_hash: str, detector_hash: str, images: int) -> None:
        """Record in `ledger.jsonl` that scores of a split were computed."""
        record_opening(self.path, split=split, recipe_hash=recipe_hash, detector_hash=detector_hash, images=images)

    def ledger(self) -> list[dict[str, Any]]:
        """Return every recorded opening of the test part, oldest first."""
        path = self.path / "ledger.jsonl"
        if not path.exists():
            return []
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]

    def describe(self) -> str:
        """Return a summary as text: counts by split and label, duplicates, problems."""
        counts, problems = self.info["counts"], self.info["problems"]
        lines = [f"{int(self.readable.sum()):,} images: " + self._polarity()]
        for split, by_label in counts.items():
            real, fake = by_label["real"], by_label["fake"]
            lines.append(f"  {split:<12}{real + fake:>9,}   {real:,} real + {fake:,} fake")
        lines += self._origins()
        groups = self.duplicate_groups[self.duplicate_groups >= 0]
        if len(groups):
            pairs = np.bincount(groups)
            across = int(self.cross_split_duplicate.sum())
            number = int((pairs * (pairs - 1) // 2).sum())
            lines.append(f"  {number:,} identical pairs; {across:,} images have a duplicate in another split")
        if division := self.info.get("division"):
            lines.append(f"  test: {division}")
        if dropped := self.info.get("dropped"):
            named = ", ".join(f"'{name}' {count:,}" for name, count in dropped.items())
            lines.append(f"  dropped as asked: {named}")
        if hidden := walking.describe(Counter(self.info.get("hidden", {}))):
            lines.append(f"  {hidden}")
        troubles = [f"{count:,} {kind}" for kind, count in problems.items() if count]
        if troubles:
            lines.append(f"  not used or not there: {', '.join(troubles)} (named in {self.path / 'problems.txt'})")
        lines.append(f"  data hash {self.hash[:16]}")
        return "\n".join(lines)

    def __repr__(self) -> str:
        return f"<data folder {self.path}: {self.describe()}>"

    def _repr_html_(self) -> str:
        return html_text(f"{self.path}\n{self.describe()}")

    def _origins(self) -> list[str]:
        """Return generators, sources, categories and dates of the readable images, and prompts of all, in words."""
        names = ["generator", "source", "category", "date"]
        table = self.table([*names, "label"]).filter(pa.array(self.readable))
        fake = table.filter(pa.compute.equal(table["label"], "fake"))
        counted = [_counts(part[name]) for name, part in zip(names, (fake, table, table, table), strict=True)]
        generators, sources, categories, dates = counted
        sources[None] -= pa.compute.sum(fake["source"].is_null()).as_py() or 0  # a fake has a generator instead
        prompts = manifest.count_known(self.path / "manifest.parquet", "prompt")
        return origins(generators, sources, categories, dates, prompts)

    def _polarity(self) -> str:
        real, fake = (int((self.labels[self.readable] == code).sum()) for code in (0, 1))
        return f"{real:,} real (0), {fake:,} fake (1, positive)"


def record_opening(folder: Path, *, split: str, recipe_hash: str, detector_hash: str, images: int) -> None:
    """Record in a data folder's `ledger.jsonl` that scores of a split were computed."""
    line = {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "split": split,
        "recipe_hash": recipe_hash,
        "detector_hash": detector_hash,
        "images": images,
    }
    path = folder / "ledger.jsonl"
    with writing(path), path.open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(line) + "\n")


def is_data_folder(path: Path) -> bool:
    """Return whether `asli data` made a folder or began to; a folder of images may contain another `data.json`."""
    begun, made = [".parts/plan.json"], ["data.json", "manifest.parquet"]
    return any(all((path / name).exists() for name in names) for names in (begun, made))


class _Texts(Sequence[str]):
    """A column of text that stays in Arrow's memory: a million Python strings would take three times as much."""

    def __init__(self, column: pa.ChunkedArray) -> None:
        self._column = column

    def __len__(self) -> int:
        return len(self._column)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> list[str]: ...
    def __getitem__(self, index: int | slice) -> str | list[str]:
        if isinstance(index, slice):
            return self._column[index].to_pylist()  # type: ignore[no-any-return]
        return self._column[int(index)].as_py()  # type: ignore[no-any-return]


def _counts(column: pa.ChunkedArray) -> Counter[str | None]:
    return Counter({line["values"]: line["counts"] for line in column.value_counts().to_pylist()})


def _codes(column: pa.ChunkedArray, names: tuple[str, ...]) -> npt.NDArray[np.int8]:
    codes = pa.compute.index_in(column, pa.array(names))
    if codes.null_count:
        raise DataError(f"the manifest holds names other than {', '.join(names)}; make the data folder again")
    return codes.to_numpy().astype(np.int8)  # type: ignore[no-any-return]
