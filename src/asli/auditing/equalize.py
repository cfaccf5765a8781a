"""A copy of a data set in which format, quality, size and metadata no longer tell the label."""

import io
from collections import Counter
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Literal, Self

import numpy as np
from PIL import Image

from asli.auditing.read_pixels import Image8, PixelReader
from asli.datasets.cache import open_data
from asli.datasets.folder import DataFolder
from asli.datasets.layouts import LABEL_ALIASES, SPLIT_ALIASES
from asli.errors import DataError
from asli.files import read_json, write_json, writing
from asli.progress import progress
from asli.records import Record

LARGEST = 256
"""Side of the copies, in pixels, unless images are smaller or another is asked for."""

LEAST_SHARE = 0.8
"""Smallest side of the random square crop, as a share of the short side."""

QUALITIES = (70, 95)
"""JPEG quality is drawn from these, evenly, both included."""

PLAN = ".equalize.json"
"""File with the settings of an unfinished copy."""

PART = ".equalize.part"
"""The image being written."""

_NOT_KEPT = {"..", "/", *LABEL_ALIASES, *SPLIT_ALIASES}
"""Parts of an id that would lead out of the copy, or say label and split a second time."""

_KERNELS = (Image.Resampling.BILINEAR, Image.Resampling.BICUBIC, Image.Resampling.LANCZOS)


@dataclass(frozen=True, slots=True, kw_only=True)
class CopiedData(Record):
    """The data folder that was copied.

    Attributes:
        name: Its name.
        hash: Its content hash.
    """

    name: str
    hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TooSmall(Record):
    """Images that are smaller than the copies.

    Attributes:
        real: Real ones.
        fake: Fake ones.
        names: Their ids.
    """

    real: int
    fake: int
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class EqualizedCopy(Record):
    """Result of `equalize`, and content of `equalize.json`.

    Attributes:
        version: Version of this structure.
        of: The data folder that was copied.
        size: Side of the copies, in pixels.
        seed: Seed of every random choice.
        images: Copies.
        unreadable: Images that could not be decoded.
        too_small: Images that were left out.
    """

    version: Literal[1] = 1
    of: CopiedData
    size: int
    seed: int
    images: int
    unreadable: int
    too_small: TooSmall

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read `equalize.json`."""
        return cls.from_dict(read_json(path))


def equalize(
    data: str | Path | DataFolder, out: str | Path, *, size: int | None = None, seed: int = 0
) -> EqualizedCopy:
    """Write every image as `SPLIT/LABEL/...jpg` after the same random chain; the originals are not touched.

    Each image gets a square crop of 0.8 to 1 of the short side at a random place. It is resized to `size` by a random
    kernel and saved as JPEG 4:2:0 of random quality, without metadata. Random choices depend on the seed and the pixels
    alone, so duplicates stay duplicates. Nothing is enlarged: `equalize.json` lists images that are too small.

    Args:
        data: A data folder, or images as `open_data` takes them.
        out: A new or empty folder, or one that a call with the same arguments began.
        size: Side in pixels; None takes 256, or what 95 of 100 images reach.
        seed: Seed of the chain.

    Returns:
        The content of `equalize.json`, which is written last. Repeat an interrupted call to resume it.

    Raises:
        DataError: `out` holds something else, or no image is large enough.
    """
    if size is not None and size < 8:
        raise DataError(f"a size of {size} px is too small; give 8 or more")
    data, out = open_data(data), Path(out)
    rows = np.flatnonzero(data.readable)
    if not len(rows):
        raise DataError(f"{data.path} has no readable image")
    table = data.table(["id", "label", "split", "generator", "width", "height", "pixel_sha256"], rows)
    short = np.minimum(table["width"].to_numpy(), table["height"].to_numpy())
    side = size or min(LARGEST, int(np.quantile(short, 0.05, method="lower")))
    large = short >= side
    if not large.any():
        raise DataError(f"no image has {side} px on its short side; give a smaller size")
    if not _begun(out, {"version": 1, "of": data.hash, "size": side, "seed": seed}):
        return EqualizedCopy.read(out / "equalize.json")
    digests, names = table["pixel_sha256"].to_pylist(), _names(table.to_pylist())
    fitting = [job for job, fits in zip(zip(rows.tolist(), digests, names, strict=True), large, strict=True) if fits]
    todo = [job for job in fitting if not (out / job[2]).exists()]
    pixels = PixelReader(data)
    with progress("equalizing", len(fitting), unit="images", done=len(fitting) - len(todo)) as bar:
        for start in range(0, len(todo), 256):
            block = todo[start : start + 256]
            images = pixels.map(lambda image: image, np.array([row for row, _, _ in block]))
            for (_, digest, name), image in zip(block, images, strict=True):
                with writing(out / name):
                    (out / name).parent.mkdir(parents=True, exist_ok=True)
                    (out / PART).write_bytes(chain(image, side, _random(seed, digest)))
                    (out / PART).replace(out / name)  # whole or not there; a power cut may cost what is in memory
            bar.advance(len(block))
    left_out = [identity.as_py() for identity in table["id"].filter(~large)]
    labels = Counter(table["label"].filter(~large).to_pylist())
    summary = EqualizedCopy(
        of=CopiedData(name=data.name, hash=data.hash),
        size=side,
        seed=seed,
        images=len(fitting),
        unreadable=int((~data.readable).sum()),
        too_small=TooSmall(real=labels["real"], fake=labels["fake"], names=tuple(left_out)),
    )
    write_json(out / "equalize.json", summary.to_dict())
    (out / PLAN).unlink()
    (out / PART).unlink(missing_ok=True)
    return summary


def _begun(out: Path, plan: dict[str, Any]) -> bool:
    """Return whether a copy is still to be made; its plan is then in `out`.

    Raises:
        DataError: `out` holds something else.
    """
    path, done = out / PLAN, out / "equalize.json"
    if path.exists():
        if read_json(path) == plan:
            return True
    elif done.exists():
        found = read_json(done)
        if {"version": 1, "of": found["of"]["hash"], "size": found["size"], "seed": found["seed"]} == plan:
            return False
    elif not out.exists() or not any(out.iterdir()):
        out.mkdir(parents=True, exist_ok=True)
        write_json(path, plan)
        return True
    raise DataError(f"{out} is not empty; give a new folder")


def chain(pixels: Image8, size: int, random: np.random.Generator) -> bytes:
    """Crop, resize and encode one image, uint8, height x width x 3; both sides are at least `size`."""
    height, width = pixels.shape[:2]
    short = min(height, width)
    crop = int(random.integers(max(size, int(LEAST_SHARE * short)), short + 1))
    top, left = int(random.integers(height - crop + 1)), int(random.integers(width - crop + 1))
    image = Image.fromarray(np.ascontiguousarray(pixels[top : top + crop, left : left + crop]))
    image = image.resize((size, size), _KERNELS[int(random.integers(len(_KERNELS)))])
    stream = io.BytesIO()
    quality = int(random.integers(QUALITIES[0], QUALITIES[1] + 1))
    image.save(stream, "JPEG", quality=quality, subsampling="4:2:0")
    return stream.getvalue()


def _random(seed: int, digest: str) -> np.random.Generator:
    return np.random.default_rng([seed, int(digest[:16], 16)])


def _names(lines: list[dict[str, Any]]) -> list[str]:
    """Return split, label, generator and what the id says beside them, as a path; no two are the same."""
    taken: Counter[str] = Counter()
    names = []
    for line in lines:
        path = PurePosixPath(line["id"])
        rest = [part for part in path.parent.parts if part.lower() not in _NOT_KEPT]
        maker = line["generator"]
        if maker and maker not in rest and maker.lower() not in _NOT_KEPT:
            rest.insert(0, maker.replace("/", "_"))
        name = "/".join([line["split"], line["label"], *rest, path.stem])
        taken[name.lower()] += 1
        again = taken[name.lower()]
        names.append(f"{name}.jpg" if again == 1 else f"{name}~{again}.jpg")
    return names
