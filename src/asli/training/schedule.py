"""Learning rate over updates."""

from dataclasses import dataclass
from math import ceil, cos, pi

from asli.recipe import ScheduleSettings


@dataclass(frozen=True, slots=True)
class Schedule:
    """Linear warm-up from 0 to the peak, then the recipe's shape; a function of the update alone.

    The warm-up takes ceil(share x total) updates and the first one runs at rate 0, as in Hugging Face's Trainer; the
    rate after the last update would be 0.
    """

    settings: ScheduleSettings
    peak: float
    total: int
    """Updates of the whole run."""

    def __call__(self, update: int) -> float:
        """Return the rate of an update, counted from 0."""
        warmup = ceil(self.settings.warmup * self.total)
        if update < warmup:
            return self.peak * update / warmup
        left = (self.total - update) / max(self.total - warmup, 1)
        if self.settings.shape == "linear":
            return self.peak * left
        if self.settings.shape == "cosine":
            return self.peak * (1 + cos(pi * (1 - left))) / 2
        return self.peak
