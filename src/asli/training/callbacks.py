"""What watches a training run. A callback overrides the hooks it needs; none can change the result."""

from contextlib import ExitStack
from typing import Any

from asli.progress import Progress, progress

Metrics = dict[str, float]


class Callback:
    """Empty hooks."""

    def on_start(self, *, update: int, total: int) -> None:
        """Training begins, or resumes, after `update` of `total` updates."""

    def on_update(self, *, update: int, metrics: Metrics, images: int) -> None:
        """An update was done; updates are counted from 1.

        Args:
            update: Its number.
            metrics: loss (mean over its images), lr, grad_norm (before clipping); with float16 also loss_scale.
            images: How many it took.
        """

    def on_skipped(self, *, update: int, metrics: Metrics, images: int) -> None:
        """An update was left out since its gradients overflowed in float16; the weights stay.

        Args:
            update: Its number.
            metrics: loss_scale, of the update that overflowed.
            images: How many it took.
        """

    def on_evaluation(self, *, update: int, metrics: Metrics) -> None:
        """The validation part was scored after an update."""

    def on_end(self) -> None:
        """Training ended, was interrupted or failed."""


class ProgressBar(Callback):
    """Images a second and time left."""

    def __init__(self, images: int, images_per_update: int) -> None:
        self._images, self._images_per_update = images, images_per_update
        self._stack = ExitStack()
        self._bar: Progress | None = None

    def on_start(self, *, update: int, total: int) -> None:
        """Open the bar."""
        images = min(total * self._images_per_update, self._images)
        done = min(update * self._images_per_update, images)
        self._bar = self._stack.enter_context(progress("training", images, unit="images", done=done))

    def on_update(self, *, update: int, metrics: Metrics, images: int) -> None:
        """Advance it."""
        assert self._bar is not None
        self._bar.advance(images, f"update {update:,}, loss {metrics['loss']:.4f}")

    def on_skipped(self, *, update: int, metrics: Metrics, images: int) -> None:
        """Advance it, too."""
        assert self._bar is not None
        self._bar.advance(images, f"update {update:,} skipped")

    def on_end(self) -> None:
        """Close it."""
        self._stack.close()


class Callbacks(Callback):
    """Several as one."""

    def __init__(self, callbacks: list[Callback]) -> None:
        self._callbacks = callbacks

    def _all(self, hook: str, **values: Any) -> None:
        for callback in self._callbacks:
            getattr(callback, hook)(**values)

    def on_start(self, *, update: int, total: int) -> None:
        """Pass on."""
        self._all("on_start", update=update, total=total)

    def on_update(self, *, update: int, metrics: Metrics, images: int) -> None:
        """Pass on."""
        self._all("on_update", update=update, metrics=metrics, images=images)

    def on_skipped(self, *, update: int, metrics: Metrics, images: int) -> None:
        """Pass on."""
        self._all("on_skipped", update=update, metrics=metrics, images=images)

    def on_evaluation(self, *, update: int, metrics: Metrics) -> None:
        """Pass on."""
        self._all("on_evaluation", update=update, metrics=metrics)

    def on_end(self) -> None:
        """Pass on."""
        self._all("on_end")
