"""TensorBoard, from the extra `tensorboard`."""

from pathlib import Path
from typing import Any

from asli.errors import MissingExtraError
from asli.training.callbacks import Callback, Metrics


class TensorBoard(Callback):
    """Write scalars `train/...` and `validation/...` over updates into `RUN/tensorboard`.

    Raises:
        MissingExtraError: TensorBoard is not installed.
    """

    def __init__(self, run: Path) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise MissingExtraError("tensorboard", "tensorboard") from error
        self._make, self._folder = SummaryWriter, run / "tensorboard"
        self._writer: Any = None

    def on_start(self, *, update: int, total: int) -> None:
        """Open the event file; on resume, hide what an interrupted run wrote after the checkpoint."""
        self._writer = self._make(str(self._folder), purge_step=update + 1)

    def on_update(self, *, update: int, metrics: Metrics, images: int) -> None:
        """Write the update's scalars."""
        self._write("train", update, metrics)

    def on_evaluation(self, *, update: int, metrics: Metrics) -> None:
        """Write the evaluation's scalars."""
        self._write("validation", update, metrics)

    def on_end(self) -> None:
        """Close the event file."""
        if self._writer is not None:
            self._writer.close()

    def _write(self, kind: str, update: int, metrics: Metrics) -> None:
        for name, value in metrics.items():
            self._writer.add_scalar(f"{kind}/{name}", value, update)
