"""TensorBoard, from the extra `tensorboard`."""

from pathlib import Path
from typing import Any

from asli.errors import MissingExtraError
from asli.tracking.replay import Replaying
from asli.training.callbacks import Metrics


class TensorBoard(Replaying):
    """Write scalars `train/...` and `validation/...` over updates into `RUN/tensorboard`.

    A resumed run writes one new event file from metrics.jsonl, in place of the former ones.

    Raises:
        MissingExtraError: TensorBoard is not installed.
    """

    def __init__(self, run: Path) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise MissingExtraError("tensorboard", "tensorboard") from error
        super().__init__(run)
        self._make = SummaryWriter
        self._writer: Any = None

    def open(self) -> None:
        """Open a new event file and remove those it takes the place of."""
        folder = self.run_folder / "tensorboard"
        for former in folder.glob("events.out.tfevents.*"):
            former.unlink()
        self._writer = self._make(str(folder))

    def write(self, line: int, kind: str, update: int, metrics: Metrics) -> None:
        """Write the scalars of an update or an evaluation."""
        for name, value in metrics.items():
            self._writer.add_scalar(f"{kind}/{name}", value, update)

    def on_end(self) -> None:
        """Close the event file."""
        if self._writer is not None:
            self._writer.close()
