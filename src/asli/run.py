"""The run folder: one place for everything a training run leaves, and the only module that knows its layout.

recipe.toml  environment.json  data.json  train.log  metrics.jsonl
checkpoints/step-001200/  checkpoints/last  checkpoints/best  checkpoints/recovery/
folds/fold-1/  folds/fold-1.parquet  folds/scores.parquet     with --folds
detector/  evaluation/DATASET/
"""

import dataclasses
import json
import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Self

from filelock import FileLock, Timeout

from asli.errors import RunError
from asli.files import FILE_MODE, read_json, write_json, write_text, writing
from asli.notebook import html_text
from asli.recipe import Recipe, load_recipe

METRICS = "metrics.jsonl"
"""Everything measured during training, one JSON object a line."""

logger = logging.getLogger("asli")


class Run:
    """A run folder.

    Attributes:
        path: The folder.
        recipe: What determines the run.
    """

    def __init__(self, path: Path, recipe: Recipe) -> None:
        self.path, self.recipe = path, recipe

    def __repr__(self) -> str:
        recipe = self.recipe
        size = f"{recipe.data.size} px, seed {recipe.loop.seed}, recipe {recipe.hash()[:16]}"
        return f"<run {self.path}: {recipe.model.name}, {size}>"

    def _repr_html_(self) -> str:
        return html_text(repr(self))

    @classmethod
    def create(cls, path: Path, recipe: Recipe, data: dict[str, Any], environment: dict[str, Any]) -> Self:
        """Make a new run folder.

        Args:
            path: Must not exist, or be empty but for what a call left that was cut while it made the folder.
            recipe: Kept as `recipe.toml`.
            data: Name, hash and counts of the data, kept as `data.json`.
            environment: Versions and machine, kept as `environment.json`.

        Raises:
            RunError: Something is there already.
        """
        if path.exists() and (not path.is_dir() or any(not _made_before(item.name) for item in path.iterdir())):
            raise RunError(f"{path} exists; go on with --resume or give another --out")
        path.mkdir(parents=True, exist_ok=True)
        run = cls(path, recipe)
        write_json(path / "data.json", data)
        write_json(path / "environment.json", environment)
        write_text(path / "recipe.toml", recipe.to_toml())  # last: with it, the folder is a run
        return run

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open a run folder.

        Raises:
            RunError: It is none.
        """
        if not (path / "recipe.toml").is_file():
            raise RunError(f"{path} is no run folder: it has no recipe.toml")
        return cls(path, load_recipe(path / "recipe.toml"))

    def require_same(self, recipe: Recipe, data_hash: str, folds: int = 0) -> None:
        """Refuse to go on with another recipe, other data or another number of folds.

        Raises:
            RunError: They differ; the message names the settings.
        """
        if recipe.hash() != self.recipe.hash():
            here, there = dataclasses.asdict(recipe), dataclasses.asdict(self.recipe)
            differing = [
                f"{section}.{key} is {there[section][key]} there and {value} here"
                for section, settings in here.items()
                for key, value in settings.items()
                if value != there[section][key]
            ]
            raise RunError(f"{self.path} was made with another recipe: {'; '.join(differing)}; give another --out")
        data = read_json(self.path / "data.json")
        if data["hash"] != data_hash:
            raise RunError(f"{self.path} was made with other data; give that data, or another --out")
        if data.get("folds", 0) != folds:
            raise RunError(f"{self.path} was made with --folds {data.get('folds', 0)}, not {folds}; give another --out")

    def copy_to(self, out: Path) -> None:
        """Copy everything that a resume needs into a new folder, all at once; this run is only read.

        It copies the newest and the best checkpoint, and everything else except evaluations.

        Raises:
            RunError: Something is there already.
        """
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise RunError(f"{out} exists and is no run; give another --out")
        aside = out.with_name(f".{out.name}.part")
        shutil.rmtree(aside, ignore_errors=True)
        with writing(out):
            try:
                shutil.copytree(
                    self.path, aside, symlinks=False, copy_function=shutil.copyfile, ignore=self._not_needed
                )
                for item in [aside, *aside.rglob("*")]:  # a read-only source's folders come without the right to write
                    item.chmod(0o755 if item.is_dir() else FILE_MODE)
                if out.exists():
                    out.rmdir()
                aside.rename(out)
            finally:
                shutil.rmtree(aside, ignore_errors=True)
        logger.info("starting from %s, which is only read", self.path)

    def _not_needed(self, folder: str, names: list[str]) -> set[str]:
        """Return what `copy_to` leaves out of a folder."""
        left = {name for name in names if name in (".lock", "evaluation", "latest-run") or name.endswith(".part")}
        left |= {name for name in names if (Path(folder) / name).is_symlink()}  # W&B's, to its newest folder
        if Path(folder) == self.checkpoints:
            steps = sorted(name for name in names if name.startswith("step-"))
            whole = [name for name in steps if any((self.checkpoints / name).glob("optimi?er.safetensors"))]
            named = {
                (self.checkpoints / name).read_text(encoding="utf-8").strip()
                for name in ("last", "best")
                if (self.checkpoints / name).is_file()
            }
            left |= set(steps) - named - set(whole[-1:])
        return left

    @property
    def checkpoints(self) -> Path:
        """Return the folder of checkpoints."""
        return self.path / "checkpoints"

    @property
    def detector(self) -> Path:
        """Return the folder of the detector."""
        return self.path / "detector"

    @property
    def folds(self) -> Path:
        """Return the folder of what cross-validation leaves: the networks' states, and out-of-fold scores."""
        return self.path / "folds"

    @property
    def metrics(self) -> Path:
        """Return the file of everything measured during training, one JSON object a line."""
        return self.path / METRICS

    def evaluation(self, dataset: str) -> Path:
        """Return the folder of an evaluation."""
        return self.path / "evaluation" / dataset

    def read_metrics(self) -> list[dict[str, Any]]:
        """Return everything measured during training, in order."""
        if not self.metrics.exists():
            return []
        return [json.loads(line) for line in self.metrics.read_text(encoding="utf-8").splitlines()]

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the run for this process and keep its log in `train.log`.

        Raises:
            RunError: Another process holds it.
        """
        handler = _LogFile(self.path / "train.log", encoding="utf-8")
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        try:
            with FileLock(self.path / ".lock", timeout=0):
                logger.addHandler(handler)
                yield
        except Timeout:
            raise RunError(f"another process is working on {self.path}; wait for it or give another --out") from None
        finally:
            logger.removeHandler(handler)
            with suppress(OSError):  # no room for what is left of the log
                handler.close()


class _LogFile(logging.FileHandler):
    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """Pass over a line there is no room for: the file that is missed will be named, this log is none."""


def _made_before(name: str) -> bool:
    """Tell whether `create` writes a file of this name before the recipe that makes the folder a run."""
    return name in ("data.json", "environment.json") or (name.startswith(".") and name.endswith(".part"))
