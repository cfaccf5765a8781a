r"""Compute the features of the pictures in a table, in one of the views that training and tests use.

Both labels go through one chain, so that neither size nor format tells them apart: margins cut, a size drawn, a kernel
drawn, a format drawn (PNG, JPEG, WebP, AVIF, HEIC). Each draw follows from the file's SHA-256 and the view's name.

| view | what is done after margin and size |
|---|---|
| A | one save, quality 75 to 96, or none |
| B | shrunk to 0.4 to 1 of the size; sharpened in 1 of 5; saved once or twice, quality 40 to 95 |
| C | half the size, JPEG 60 |
| R | photographs only: the middle 224 px of A, before it is saved, through an autoencoder; up to half is the original |
| K0 to K4 | instead of all that: longest side 512 px by box, bilinear, Hamming, bicubic or Lanczos, JPEG 90 |

Needs the extra `heif`. Each picture's features are a file `OUT/VIEW/SHA256[:20].npy`, float16, windows x features; a
call that was interrupted goes on.

    python benchmarks/photographs/features.py final.csv --pictures PICTURES --network clip-b16-early \
        --trunk clip-b16-early.safetensors --views A C --out features/final/early
"""

import argparse
import csv
import hashlib
import io
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pillow_heif
import torch
from PIL import Image, ImageFilter, ImageOps

from asli.alignment import reconstructed
from asli.detector.heads import crop_preprocessing, trunk_network
from asli.models.autoencoders import Reconstruct, taef2

Resampling = Image.Resampling
KERNELS = (Resampling.BOX, Resampling.BILINEAR, Resampling.HAMMING, Resampling.BICUBIC, Resampling.LANCZOS)
CROPS = {"lite0-stages": 9, "clip-b16-blocks": 1, "clip-b16-early": 4}
VIEWS = ("A", "B", "C", "R", "K0", "K1", "K2", "K3", "K4")
Saved = tuple[str, int, int]
"""Format, quality and chroma subsampling of a save."""
BLEND, MIDDLE = 0.5, 224
"""Largest share of the original in an aligned fake, and its side: that of a window."""
SHORTEST, LARGEST = 384, 1024
"""A margin is cut where this many pixels are left; shorter sides above the second are shrunk first."""


def shrink(image: Image.Image, short: float, kernel: Resampling) -> Image.Image:
    """Return a picture with its shorter side at most `short` pixels."""
    scale = short / min(image.size)
    if scale >= 1:
        return image
    return image.resize((max(1, round(image.width * scale)), max(1, round(image.height * scale))), kernel)


def saved(image: Image.Image, form: str, quality: int, subsampling: int) -> Image.Image:
    """Return a picture as it comes back from a file of a format."""
    if form == "PNG":
        return image
    settings: dict[str, Any] = {
        "JPEG": {"subsampling": subsampling},
        "WEBP": {"method": 3},
        "AVIF": {"speed": 8, "max_threads": 1},
        "HEIF": {},
    }[form]
    file = io.BytesIO()
    image.save(file, form, quality=quality, **settings)
    return Image.open(file).convert("RGB")


def drawn_format(rng: np.random.Generator, low: int, high: int, none: float) -> Saved:
    """Draw a save; `none` is the share that stays as it is."""
    share = rng.random()
    subsampling, quality = int(rng.choice([0, 2])), int(rng.integers(low, high + 1))
    share = (share - none) / (1 - none)
    names = ((0.0, "PNG"), (0.70, "JPEG"), (0.84, "WEBP"), (0.94, "AVIF"), (np.inf, "HEIF"))
    return next(name for limit, name in names if share < limit), quality, subsampling


def sized(image: Image.Image, rng: np.random.Generator, view: str) -> Image.Image:
    """Cut margins (signatures, watermarks) and the ends of panoramas, and shrink to a drawn size."""
    margin = int(min(image.size) * 0.06) // 16 * 16
    if min(image.size) - 2 * margin >= SHORTEST:
        image = image.crop((margin, margin, image.width - margin, image.height - margin))
    side = 2 * min(image.size)
    left, top = (max(0, (length - side) // 2 // 16 * 16) for length in image.size)
    if max(image.size) > side:
        image = image.crop((left, top, min(image.width, left + side), min(image.height, top + side)))
    kernel = KERNELS[rng.integers(len(KERNELS))]
    native, target, cap = rng.random() < 0.5, int(rng.integers(320, 769)), int(rng.integers(768, 1025))
    if min(image.size) > LARGEST:
        image = shrink(image, cap, kernel)
    if not native:
        image = shrink(image, target, kernel)
    if view == "B":
        short = max(256.0, min(image.size) * rng.uniform(0.4, 1))
        image = shrink(image, short, KERNELS[rng.integers(len(KERNELS))])
    if view == "C":
        image = shrink(image, max(224.0, min(image.size) / 2), Resampling.LANCZOS)
    return image


def seed_of(sha256: str, name: str) -> int:
    """Return the seed of a picture's draws."""
    return int(hashlib.sha256(f"{sha256}:{name}".encode()).hexdigest()[:16], 16)


def chain(rng: np.random.Generator, view: str) -> tuple[int | None, list[Saved]]:
    """Draw a view's sharpening in percent, or None, and its saves, one after another."""
    if view in ("A", "R"):
        return None, [drawn_format(rng, 75, 96, 0.15)]
    if view == "C":
        return None, [("JPEG", 60, 2)]
    percent = int(rng.uniform(50, 150)) if rng.random() < 0.2 else None
    first = [drawn_format(rng, 60, 95, 0)] if rng.random() < 0.5 else []
    return percent, [*first, drawn_format(rng, 40, 85, 0)]


def aligned(image: Image.Image, sha256: str, autoencoder: Reconstruct) -> Image.Image:
    """Return the middle of a picture, on JPEG's grid, through an autoencoder and blended with the original."""
    share = np.random.default_rng(seed_of(sha256, "blend")).uniform(0, BLEND)
    left, top = (max(0, (length - MIDDLE) // 2 // 16 * 16) for length in image.size)
    window = np.array(image.crop((left, top, left + MIDDLE, top + MIDDLE)))
    return Image.fromarray(reconstructed(window, autoencoder, share))


def viewed(image: Image.Image, sha256: str, view: str, autoencoder: Reconstruct | None = None) -> Image.Image:
    """Return a picture in a view; R needs the autoencoder."""
    if view.startswith("K"):
        scale = 512 / max(image.size)
        width, height = (max(224, round(length * scale)) for length in image.size)
        return saved(image.resize((width, height), KERNELS[int(view[1])]), "JPEG", 90, 2)
    rng = np.random.default_rng(seed_of(sha256, "WA" if view == "R" else f"W{view}"))
    image = sized(image, rng, view)
    percent, formats = chain(rng, view)
    if autoencoder is not None:
        image = aligned(image, sha256, autoencoder)
    if percent is not None:
        image = image.filter(ImageFilter.UnsharpMask(1.0, percent, 2))
    for form in formats:
        image = saved(image, *form)
    return image


def main() -> None:
    """Compute what is missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", type=Path, help="CSV with path and sha256: development.csv or final.csv")
    parser.add_argument("--pictures", type=Path, required=True, help="folder that the table's paths start from")
    parser.add_argument("--network", choices=CROPS, required=True)
    parser.add_argument("--trunk", type=Path, required=True, help="as asli trunk fetch writes it")
    parser.add_argument("--views", nargs="+", choices=VIEWS, default=["A"])
    parser.add_argument("--sources", nargs="+", help="only pictures of these groups")
    parser.add_argument("--limit", type=int, help="only the first so many")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--autoencoder", type=Path, help="encoder file of TAEF2, for view R")
    given = parser.parse_args()
    if "R" in given.views and given.autoencoder is None:
        parser.error("view R needs --autoencoder")
    autoencoder = taef2(given.autoencoder) if "R" in given.views else None
    pillow_heif.register_heif_opener()
    with given.table.open() as stream:
        rows = [row for row in csv.DictReader(stream) if given.sources is None or row["group"] in given.sources]
    network, _ = trunk_network(given.network, given.trunk)
    preprocessing = crop_preprocessing(network, "grid", CROPS[given.network], "mean", LARGEST)
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (network.mean, network.std))
    failed = 0
    for row in rows[: given.limit]:
        views = [view for view in given.views if view != "R" or row["label"] == "real"]
        targets = {view: given.out / view / f"{row['sha256'][:20]}.npy" for view in views}
        missing = {view: target for view, target in targets.items() if not target.exists()}
        if not missing:
            continue
        try:
            data = (given.pictures / row["path"]).read_bytes()
            if hashlib.sha256(data).hexdigest() != row["sha256"]:
                raise OSError("is another file than the table's")
            image = ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB")
        except OSError as error:
            print(f"{row['path']}: {error}", file=sys.stderr)
            failed += 1
            continue
        for view, target in missing.items():
            shown = viewed(image, row["sha256"], view, autoencoder if view == "R" else None)
            windows = preprocessing.to_input(np.asarray(shown))
            x = torch.from_numpy(windows).permute(0, 3, 1, 2).float() / 255
            with torch.inference_mode():
                features = network.module.encode((x - mean) / std)
            target.parent.mkdir(parents=True, exist_ok=True)
            part = target.with_suffix(".part")
            with part.open("wb") as file:
                np.save(file, features.numpy().astype(np.float16))
            part.replace(target)
    if failed:
        sys.exit(f"{failed} pictures are missing")


if __name__ == "__main__":
    main()
