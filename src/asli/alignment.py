"""Make aligned fakes of one's own photographs: the function behind `asli align`.

Each photograph gives a pair: a window of it, and the same window through an autoencoder, blended with the original.
Both are saved with the photograph's own JPEG tables, or both without loss. So content, size and compression are the
same, and only the autoencoder's traces tell the two apart.
"""

import csv
import io
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image, JpegImagePlugin

from asli.datasets.cache import open_data
from asli.datasets.folder import DataFolder
from asli.datasets.reopen import reopen
from asli.errors import DataError
from asli.files import read_json, replacing, sha256_of_file, write_json
from asli.models.autoencoders import MULTIPLE, UPSAMPLINGS, Reconstruct, from_hub, taef2, train_small
from asli.models.device import set_threads
from asli.progress import progress
from asli.transforms.randomness import uniforms

logger = logging.getLogger("asli")

SETTINGS = "align.json"
SIDE = 512
GRID = 16
CROP = 96
BUILTIN_PHOTOGRAPHS = 200
_SEED = 0x616C69676E

Array = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Aligned:
    """Result of `align`.

    Attributes:
        folder: Holds `real`, `fake`, `manifest.csv`, `groups.csv` and `align.json`, the settings.
        pairs: Pairs written or found there.
        small: Photographs left out, since they are smaller than a window can be.
    """

    folder: Path
    pairs: int
    small: int


def align(
    data: str | Path | DataFolder,
    out: str | Path,
    autoencoder: str,
    *,
    blend: float = 0.5,
    side: int = SIDE,
    updates: int = 400,
    seed: int = 0,
    threads: int | None = None,
) -> Aligned:
    """Write a pair for each photograph, `real/ROW` and `fake/ROW` by its row in the data. An interrupted call resumes.

    Args:
        data: A data folder; its readable real images are used.
        out: The folder to write; open it with `asli data open OUT DATA --group-file OUT/groups.csv`, which keeps each
            fake in its photograph's group.
        autoencoder: The file `...encoder.safetensors` of TAEF2; `hub:owner/name` or `hub:FOLDER` for diffusers'
            `AutoencoderKL`; or `builtin`: three small ones, each with other upsampling, trained on these photographs.
        blend: Largest share of the original that is mixed into a fake; each share is drawn evenly from 0 to this.
        side: Side of the largest window, in pixels.
        updates: Updates of the training of each small autoencoder.
        seed: Seed of every random choice.
        threads: CPU threads of one operation; None leaves torch's choice.

    Raises:
        DataError: There are no photographs, a setting makes no sense, or `out` holds pairs of other data or settings.
        WeightsError, MissingExtraError: The autoencoder cannot be had.
    """
    if not 0 <= blend < 1:
        raise DataError(f"a blend of {blend} makes no sense; give a share from 0 to below 1, such as 0.5")
    if side < 8 * MULTIPLE:
        raise DataError(f"windows of {side} px are too small; give {8 * MULTIPLE} or more")
    set_threads(threads)
    data, out = open_data(data), Path(out)
    rows = np.flatnonzero(data.readable & (data.labels == 0))
    if not len(rows):
        raise DataError(f"{data.path} has no readable photograph to align")
    settings = _settings(data, autoencoder, blend=blend, side=side, updates=updates, seed=seed)
    _require_same(out, settings)
    names, models = _autoencoders(autoencoder, data, rows, updates, seed)
    write_json(out / SETTINGS, settings)
    source = reopen(data.info["reopen"])
    table = data.table(["id", "source"], rows).to_pylist()
    keys = (data.keys(rows) >> np.uint64(1)).astype(np.int64)
    draws = uniforms(_SEED + seed, 0, keys, 4)
    listed, small = [], 0
    with progress("aligning", len(rows), unit="photographs") as bar:
        for row, facts, (place_y, place_x, share, which) in zip(rows.tolist(), table, draws.tolist(), strict=True):
            image = data.pixels.image(row)
            bar.advance(1)
            extent = min(side, *image.shape[:2]) // MULTIPLE * MULTIPLE
            if extent < 8 * MULTIPLE:
                small += 1
                continue
            number = int(which * len(models))
            tables = _jpeg_settings(source.read(facts["id"]))
            stem = f"{row:06}.{'jpg' if tables else 'png'}"
            pair = [out / label / stem for label in ("real", "fake")]
            if not all(file.is_file() for file in pair):
                top, left = (
                    int(place * ((length - extent) // GRID + 1)) * GRID
                    for place, length in zip((place_y, place_x), image.shape[:2], strict=True)
                )
                window = np.ascontiguousarray(image[top : top + extent, left : left + extent])
                fake = reconstructed(window, models[number], blend * share)
                for file, pixels in zip(pair, (window, fake), strict=True):
                    _save(file, pixels, tables)
            listed.append((stem, facts, names[number]))
    _write_tables(out, listed)
    return Aligned(out, len(listed), small)


def reconstructed(window: Array, model: Reconstruct, share: float) -> Array:
    """Return a window through an autoencoder, blended with the original.

    Args:
        window: uint8, height x width x 3; sides are multiples of 8.
        model: The autoencoder.
        share: Share of the original.
    """
    with torch.inference_mode():
        pixels = torch.from_numpy(window).permute(2, 0, 1)[None].float() / 255
        mixed = (1 - share) * model(pixels).clamp(0, 1) + share * pixels
    found: Array = (mixed[0].permute(1, 2, 0) * 255).round().clamp(0, 255).to(torch.uint8).numpy()
    return found


def _settings(data: DataFolder, autoencoder: str, **others: float) -> dict[str, Any]:
    """Return all that pairs depend on, as plain JSON."""
    file = Path(autoencoder)
    digest = sha256_of_file(file) if file.is_file() else None
    return {"data": data.hash, "autoencoder": autoencoder if digest is None else digest, **others}


def _require_same(out: Path, settings: dict[str, Any]) -> None:
    """Refuse a folder of pairs that were made otherwise: old and new ones would stand side by side.

    Raises:
        DataError: They were.
    """
    if not (out / SETTINGS).is_file():
        return
    before = read_json(out / SETTINGS)
    differing = [
        f"{name} was {before.get(name)}, not {value}" for name, value in settings.items() if before.get(name) != value
    ]
    if differing:
        raise DataError(f"{out} holds other pairs: {'; '.join(differing)}; give another folder")


def _autoencoders(
    name: str, data: DataFolder, rows: npt.NDArray[np.int64], updates: int, seed: int
) -> tuple[list[str], list[Reconstruct]]:
    if name.startswith("hub:"):
        return [name.removeprefix("hub:")], [from_hub(name.removeprefix("hub:"))]
    if name != "builtin":
        return [Path(name).stem], [taef2(Path(name))]
    chosen = rows[np.unique(np.linspace(0, len(rows) - 1, BUILTIN_PHOTOGRAPHS).astype(np.int64))]
    crops = [crop for row in chosen.tolist() for crop in _crops(data.pixels.image(row))]
    if not crops:
        raise DataError(f"no photograph of {data.path} reaches {CROP} px a side: nothing to train autoencoders on")
    models = []
    for number, upsampling in enumerate(UPSAMPLINGS):
        logger.info("training a small autoencoder with %s upsampling on %s crops", upsampling, f"{len(crops):,}")
        models.append(train_small(upsampling, crops, updates=updates, seed=seed + number))
    return [f"small autoencoder ({upsampling})" for upsampling in UPSAMPLINGS], [*models]


def _crops(image: Array) -> Iterator[torch.Tensor]:
    """Yield up to nine crops spread over an image, uint8, 3 x CROP x CROP each."""
    height, width = image.shape[:2]
    for top in range(0, height - CROP + 1, max(CROP, height // 3)):
        for left in range(0, width - CROP + 1, max(CROP, width // 3)):
            yield torch.from_numpy(image[top : top + CROP, left : left + CROP].copy()).permute(2, 0, 1)


def _jpeg_settings(file: bytes) -> dict[str, object] | None:
    """Return tables and subsampling of a color JPEG file, as Pillow takes them; None for any other file."""
    if not file.startswith(b"\xff\xd8"):
        return None
    image = Image.open(io.BytesIO(file))
    if not isinstance(image, JpegImagePlugin.JpegImageFile) or image.mode != "RGB" or not image.quantization:
        return None
    subsampling = JpegImagePlugin.get_sampling(image)
    return {"qtables": image.quantization, "subsampling": subsampling if subsampling in (0, 1, 2) else 0}


def _save(file: Path, pixels: Array, settings: dict[str, object] | None) -> None:
    stream = io.BytesIO()
    if settings is None:
        Image.fromarray(pixels).save(stream, "PNG")
    else:
        Image.fromarray(pixels).save(stream, "JPEG", **settings)
    with replacing(file) as temporary:
        temporary.write_bytes(stream.getvalue())


def _write_tables(out: Path, listed: list[tuple[str, dict[str, str | None], str]]) -> None:
    with (out / "manifest.csv").open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["path", "label", "generator", "source"])
        for stem, facts, name in listed:
            writer.writerow([f"real/{stem}", "real", "", facts["source"] or ""])
            writer.writerow([f"fake/{stem}", "fake", f"aligned: {name}", facts["source"] or ""])
    with (out / "groups.csv").open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["id", "group"])
        for stem, facts, _ in listed:
            writer.writerows([[f"{label}/{stem}", facts["id"]] for label in ("real", "fake")])
