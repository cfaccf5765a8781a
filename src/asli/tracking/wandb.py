"""Weights & Biases, from the extra `wandb`. WANDB_MODE=offline keeps everything on this machine."""

from pathlib import Path
from typing import Any

from asli.errors import MissingExtraError
from asli.files import sha256_of_json
from asli.training.callbacks import Callback, Metrics


class WeightsAndBiases(Callback):
    """Log `train/...` and `validation/...` over `update` to one W&B run a run folder.

    Args:
        run: The run folder; its name is the run's name, and files go to `RUN/wandb`.
        config: The recipe, as nested dictionaries.
        project: W&B's project.

    Raises:
        MissingExtraError: wandb is not installed.
    """

    def __init__(self, run: Path, config: dict[str, Any], project: str = "asli") -> None:
        try:
            import wandb
        except ImportError as error:
            raise MissingExtraError("wandb", "wandb") from error
        self._wandb, self._run_folder, self._config, self._project = wandb, run, config, project
        self._run: Any = None

    def on_start(self, *, update: int, total: int) -> None:
        """Begin the W&B run, or go on with it after a resume."""
        self._run = self._wandb.init(
            project=self._project,
            name=self._run_folder.name,
            id=sha256_of_json([str(self._run_folder.resolve()), self._config])[:16],
            resume="allow",
            dir=str(self._run_folder),
            config=self._config,
        )
        self._run.define_metric("*", step_metric="update")

    def on_update(self, *, update: int, metrics: Metrics, images: int) -> None:
        """Log the update's figures."""
        self._log("train", update, metrics)

    def on_evaluation(self, *, update: int, metrics: Metrics) -> None:
        """Log the evaluation's figures."""
        self._log("validation", update, metrics)

    def on_end(self) -> None:
        """Finish the W&B run."""
        if self._run is not None:
            self._run.finish()

    def _log(self, kind: str, update: int, metrics: Metrics) -> None:
        self._run.log({"update": update, **{f"{kind}/{name}": value for name, value in metrics.items()}})
