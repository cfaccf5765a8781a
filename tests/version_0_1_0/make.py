"""Make written.tar.xz with asli 0.1.0 (README.md has the command): one of each thing that version writes."""

import contextlib
import json
import os
import shutil
import signal
import sys
import tarfile
import zipfile
from importlib import resources
from pathlib import Path

from asli import DataFolder, __version__, evaluate, load_recipe, open_folders, predict, scan, train
from asli.errors import Interrupted
from asli.recipe import bundled_recipes
from asli.sample import sample_archive
from asli.training.callbacks import ProgressBar

SETTINGS = [
    "model.name='bird_lotfi'",
    "weights.train='head'",  # so that weights repeat in network, average and detector, and the archive stays small
    "data.sample=0",
    "data.window='centre-crop'",
    "data.drop_crossing_twins=true",
    "augment.colour=0.1",
    "loop.epochs=4",
    "loop.micro_batch=4",
    "loop.max_updates=0",
    "loop.checkpoint_every=0",
    "loop.average=0.9",
]
IMAGES = {"train": 8, "validation": 4, "calibration": 6, "test": 6}
"""Images a label."""
STOP = 5
"""Update after which the interrupted run is asked to stop."""


def make_images(path: Path) -> None:
    """Write a zip of real and fake images; one image of the training part is in the test part, too."""
    with sample_archive() as sample, zipfile.ZipFile(sample) as archive, zipfile.ZipFile(path, "w") as made:
        names = sorted(name for name in archive.namelist() if not name.endswith("/"))
        for split, count in IMAGES.items():
            for label in ("REAL", "FAKE"):
                chosen = [name for name in names if name.startswith(f"{split}/{label}/")][:count]
                for name in chosen:
                    made.writestr(name, archive.read(name))
                if split == "train" and label == "REAL":
                    made.writestr("test/REAL/copy.jpg", archive.read(chosen[0]))


def interrupted(recipe: Path, data: DataFolder, out: Path) -> None:
    """Leave a run that Ctrl-C ended."""
    original = ProgressBar.on_update

    def stopping(self, *, update, **measured):
        original(self, update=update, **measured)
        if update == STOP:
            os.kill(os.getpid(), signal.SIGINT)

    ProgressBar.on_update = stopping
    with contextlib.suppress(Interrupted):
        train(recipe, data, out, threads=1)
    ProgressBar.on_update = original
    assert (out / f"checkpoints/recovery/step-{STOP:06d}").is_dir()


def main(work: Path) -> None:
    """Make everything in an empty folder, then the archive beside this script."""
    assert __version__ == "0.1.0", __version__
    os.chdir(work)
    make_images(Path("images.zip"))
    data = open_folders("images.zip", "data")
    Path("recipe.toml").write_text(load_recipe("smoke", SETTINGS).to_toml())
    interrupted(Path("recipe.toml"), data, Path("interrupted"))
    train(Path("recipe.toml"), data, "finished", threads=1)
    shutil.rmtree("finished/checkpoints")
    evaluate("finished", data, threads=1)
    with zipfile.ZipFile("images.zip") as archive:
        archive.extractall("images", [name for name in archive.namelist() if name.startswith("test/")])
    files = sorted(Path("images").rglob("*.jpg"))
    scan(["images"], "scan.parquet", "finished", runtime="torch", threads=1)
    scan(["images"], "scan.csv", "finished", runtime="torch", threads=1)
    for name, detector in (("predict.json", "finished"), ("predict-default.json", "default")):
        Path(name).write_text(json.dumps(predict(files, detector, runtime="torch", threads=1), indent=2) + "\n")
    hashes = {}
    for name in bundled_recipes():
        place = Path("recipes") / f"{name}.toml"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text((resources.files("asli") / "recipes" / f"{name}.toml").read_text())
        hashes[name] = load_recipe(name).hash()
    Path("recipes/hashes.json").write_text(json.dumps(hashes, indent=2) + "\n")
    for folder in ("images", "finished/evaluation/data-test/figures"):  # in the zip; drawings
        shutil.rmtree(folder)
    kept = [path for path in Path().rglob("*") if path.is_file() and path.name not in (".lock", "report.html")]
    with tarfile.open(Path(__file__).with_name("written.tar.xz"), "w:xz", preset=9) as archive:
        for path in sorted(kept, key=lambda path: (path.suffix, path)):  # like beside like: smaller
            entry = archive.gettarinfo(path)
            entry.mtime, entry.uid, entry.gid, entry.uname, entry.gname, entry.mode = 0, 0, 0, "", "", 0o644
            with path.open("rb") as stream:
                archive.addfile(entry, stream)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
