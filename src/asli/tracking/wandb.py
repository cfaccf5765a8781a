"""Weights & Biases, from the extra `wandb`. WANDB_MODE=offline keeps everything on this machine."""

import os
import re
import secrets
from pathlib import Path
from typing import Any

from asli.errors import AsliError, MissingExtraError
from asli.files import read_json
from asli.tracking.replay import Replaying
from asli.training.callbacks import Metrics

KEY_ADVICE = "set WANDB_API_KEY (on Kaggle: a secret, see docs/kaggle.md), run wandb login, or set WANDB_MODE=offline"


def key_problem() -> str | None:
    """Return in a line why W&B would refuse this user's runs, or None; the server is asked, and nothing is created.

    Raises:
        MissingExtraError: wandb is not installed.
    """
    wandb = _library()
    if {os.environ.get("WANDB_MODE"), wandb.setup().settings.mode} & {"offline", "disabled", "dryrun"}:
        return None
    server = os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai")
    try:
        if wandb.login(verify=True, prompt=False):
            return None
        return f"W&B has no API key here: {KEY_ADVICE}"
    except wandb.errors.Error as error:
        why = " ".join(str(error).split())[:200]
        return f"W&B at {server} does not take the API key, or cannot be reached ({why}): {KEY_ADVICE}"


def _plain(name: str) -> str:
    """Return a name with letters that W&B takes for artifacts only."""
    return re.sub(r"[^\w.-]+", "-", name)


def _library() -> Any:
    try:
        import wandb
    except ImportError as error:
        raise MissingExtraError("wandb", "wandb") from error
    return wandb


class WeightsAndBiases(Replaying):
    """Log `train/...` and `validation/...` over `update` to one W&B run a run folder, wherever that is moved.

    A W&B step is a line of metrics.jsonl. Online, a resumed run sends the lines the server lacks; a resume is exact,
    so those it has are the same. Offline, the new folder holds all lines, and the former ones get another name, so that
    `wandb sync RUN/wandb/offline-run-*` sends each step once.

    Args:
        run: The run folder; its name is the run's name, and files go to `RUN/wandb`.
        config: The recipe, as nested dictionaries.
        project: W&B's project.

    Raises:
        MissingExtraError: wandb is not installed.
        AsliError: There is no API key, or the server does not take it.
    """

    def __init__(self, run: Path, config: dict[str, Any], project: str = "asli") -> None:
        wandb = _library()
        problem = key_problem()
        if problem is not None:
            raise AsliError(problem)
        super().__init__(run)
        self._wandb, self._config, self._project = wandb, config, project
        self._run: Any = None
        self._first = 0

    def open(self) -> None:
        """Begin the W&B run, or go on with it after a resume."""
        former = sorted((self.run_folder / "wandb").glob("*run-*-*"), key=lambda folder: folder.name.split("run-")[1])
        identity = former[-1].name.rpartition("-")[2] if former else secrets.token_hex(8)
        self._run = self._wandb.init(
            project=self._project,
            name=self.run_folder.name,
            id=identity,
            resume="allow",
            dir=str(self.run_folder),
            config=self._config,
        )
        self._run.define_metric("*", step_metric="update")
        self._first = self._run.step
        if getattr(self._run, "offline", False):
            own = Path(self._run.dir).resolve().parent
            for folder in former:
                if folder.name.startswith("offline-run-") and folder.resolve() != own:
                    folder.rename(folder.with_name(f"superseded-{folder.name}"))

    def write(self, line: int, kind: str, update: int, metrics: Metrics) -> None:
        """Log the figures of an update or an evaluation."""
        if line >= self._first:
            values = {f"{kind}/{name}": value for name, value in metrics.items()}
            self._run.log({"update": update, **values}, step=line)

    def log_evaluation(self, folder: Path) -> None:
        """Add a saved evaluation to the run: metrics, confusion matrix, figures, and its folder as an artifact.

        Offline, the new run folder takes the place of the former ones, so it also gets the run's other evaluations.

        Args:
            folder: Where `EvaluationResult.save` wrote it.
        """
        self.on_start(update=0, total=0)
        try:
            if getattr(self._run, "offline", False):
                others = self.run_folder.glob("evaluation/*/metrics.json")
                for other in sorted(file.parent.resolve() for file in others):
                    if other != folder.resolve():
                        self._take_evaluation(other)
            self._take_evaluation(folder)
        finally:
            self.on_end()

    def _take_evaluation(self, folder: Path) -> None:
        content, wandb = read_json(folder / "metrics.json"), self._wandb
        part = content["data"]["split"] or content["data"]["name"]
        kinds = content["figures"]
        free = kinds["threshold_free"] if "threshold_free" in kinds else kinds["ranking"]  # as asli 0.1.0 named them
        figures = {**kinds["threshold"], **free}  # not those at 0.5
        values = {
            f"evaluation/{part}/{name}": figure["value"]
            for name, figure in figures.items()
            if figure["value"] is not None
        }
        counts = content["confusion"]
        truth = [0] * (counts["tn"] + counts["fp"]) + [1] * (counts["fn"] + counts["tp"])
        calls = [0] * counts["tn"] + [1] * counts["fp"] + [0] * counts["fn"] + [1] * counts["tp"]
        step = max(self._lines, self._run.step)
        self._run.log(
            {
                **values,
                f"evaluation/{part}/confusion_matrix": wandb.plot.confusion_matrix(
                    y_true=truth, preds=calls, class_names=["real", "fake"]
                ),
                **{
                    f"figures/{part}/{file.stem}": wandb.Image(str(file))
                    for file in sorted(folder.glob("figures/*.png"))
                },
            },
            step=step,
        )
        self._lines = step + 1
        for name, figure in figures.items():
            if figure["value"] is not None:
                self._run.summary[f"evaluation/{part}/{name}_low"] = figure["low"]
                self._run.summary[f"evaluation/{part}/{name}_high"] = figure["high"]
        artifact = wandb.Artifact(f"{self._run.id}-{_plain(folder.name)}", type="evaluation")
        artifact.add_dir(str(folder))
        self._run.log_artifact(artifact)

    def on_end(self) -> None:
        """Finish the W&B run."""
        if self._run is not None:
            self._run.finish()
