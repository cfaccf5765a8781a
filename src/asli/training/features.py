"""Features of a frozen trunk, computed once for each image and view and kept.

The cache is keyed by all that a feature depends on: trunk, its rounding, preprocessing, view, and the image's pixels.
So folds, penalties and data folders share it, and an interrupted computation resumes.
"""

import dataclasses
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from asli.datasets.cache import cache_folder
from asli.datasets.folder import DataFolder
from asli.files import replacing, sha256_of_json, write_json
from asli.models.frozen import FrozenFeatures
from asli.models.networks import Network
from asli.progress import progress
from asli.transforms import chain
from asli.transforms.chain import degraded
from asli.transforms.preprocessing import Preprocessing

Rows = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]

VERSION = 1

AT_ONCE = 8
"""Images decoded and computed at a time."""


@dataclass(frozen=True, slots=True)
class Extractor:
    """Features of images, by a network with a frozen trunk.

    Attributes:
        network: Network with its trunk's weights.
        trunk_sha256: SHA-256 of the trunk's file.
        half: Whether its weights were rounded to 16 bits.
        preprocessing: Gives the windows.
    """

    network: Network
    trunk_sha256: str
    half: bool
    preprocessing: Preprocessing

    def place(self, view: int) -> Path:
        """Return the folder of the cache that holds the features of a view."""
        described = self.describe(view)
        return cache_folder() / "features" / f"{self.network.name}-view{view}-{sha256_of_json(described)[:16]}"

    def describe(self, view: int) -> dict[str, object]:
        """Return all that features of a view depend on, but the image."""
        windows = dataclasses.replace(self.preprocessing, pooling="mean").to_dict()
        return {
            "version": VERSION,
            "network": self.network.name,
            "trunk": self.trunk_sha256,
            "half": self.half,
            "preprocessing": windows,
            "view": view,
            "chain": chain.VERSION if view else None,
        }

    def of_rows(
        self, data: DataFolder, rows: Rows, view: int = 0, device: torch.device | None = None, views: int = 0
    ) -> list[Floats]:
        """Return each row's features, windows x features, float32, kept as 16-bit numbers.

        Args:
            data: The data folder.
            rows: Rows of its manifest.
            view: 0 for the images as they are, else the number of a degraded view.
            device: Where to compute what is not in the cache; None takes the CPU.
            views: How many degraded views the caller takes in all; for the progress alone.
        """
        place = self.place(view)
        hashes = data.table(["pixel_sha256"], rows)["pixel_sha256"].to_pylist()
        files = [place / digest[:2] / f"{digest[:32]}.npy" for digest in hashes]
        missing = [number for number, file in enumerate(files) if not file.is_file()]
        if missing:
            write_json(place / "features.json", self.describe(view))
            module = self.network.module.to(device or torch.device("cpu")).eval()
            name = f"features of {self.network.name}, pass {view + 1} of {max(view, views) + 1}"
            with progress(name, len(missing), unit="images") as bar:
                for start in range(0, len(missing), AT_ONCE):
                    part = missing[start : start + AT_ONCE]
                    seen = _windows(data, rows[part], view, self.preprocessing)
                    for number, found in zip(part, _computed(module, seen, self.preprocessing), strict=True):
                        _write(files[number], found)
                    bar.advance(len(part))
        return [np.load(file, allow_pickle=False).astype(np.float32) for file in files]


def _windows(data: DataFolder, rows: Rows, view: int, preprocessing: Preprocessing) -> list[npt.NDArray[np.uint8]]:
    """Return the windows of each row's image in a view."""
    keys = (data.keys(rows) >> np.uint64(1)).astype(np.int64).tolist()
    key_of = dict(zip(rows.tolist(), keys, strict=True))

    def one(row: int, image: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        return preprocessing.to_input(degraded(image, view=view, key=key_of[row]))

    return data.pixels.map(one, rows)


def _computed(module: torch.nn.Module, seen: list[npt.NDArray[np.uint8]], preprocessing: Preprocessing) -> list[Floats]:
    assert isinstance(module, FrozenFeatures)
    device = next(module.parameters()).device
    with torch.inference_mode():
        windows = preprocessing.batch(np.concatenate(seen), device)
        found = module.encode(windows).to("cpu", torch.float32).numpy()
    return np.split(found, np.cumsum([len(one) for one in seen])[:-1])


def _write(file: Path, found: Floats) -> None:
    buffer = io.BytesIO()
    np.save(buffer, found.astype(np.float16), allow_pickle=False)
    with replacing(file) as temporary:
        temporary.write_bytes(buffer.getvalue())
