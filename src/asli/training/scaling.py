"""Loss scaling for float16, whose smallest numbers vanish and whose largest overflow."""

from typing import Any

import torch

from asli.errors import RunError

START, FACTOR, INTERVAL, LEAST = 65536.0, 2.0, 2000, 1.0
"""As in torch.amp.GradScaler: the first scale, what it is multiplied or divided by, and updates until it grows."""


class LossScaler:
    """A power of two that the loss is multiplied by before the backward pass, and gradients are divided by after it.

    Dividing by a power of two is exact. Where gradients overflow, the update is skipped and the scale halved; after
    2,000 updates without an overflow it is doubled (Micikevicius et al. 2018, arXiv 1710.03740, section 3.2). The
    state is three numbers, so a checkpoint holds all of it.

    Attributes:
        scale: In force.
        skipped: Updates skipped so far.
    """

    def __init__(self) -> None:
        self.scale, self.skipped, self._good = START, 0, 0

    def unscale(self, gradients: list[torch.Tensor]) -> None:
        """Divide gradients by the scale, in place."""
        torch._foreach_mul_(gradients, 1 / self.scale)

    def adjust(self, *, finite: bool) -> None:
        """Take in whether an update's gradients were finite.

        Raises:
            RunError: They overflow at a scale of 1 too: it is not the scale.
        """
        if finite:
            self._good += 1
            if self._good == INTERVAL:
                self.scale, self._good = self.scale * FACTOR, 0
            return
        self.skipped += 1
        self._good = 0
        if self.scale <= LEAST:
            raise RunError("float16 overflows without any loss scaling; set precision.dtype to float32 or bfloat16")
        self.scale /= FACTOR

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint keeps."""
        return {"scale": self.scale, "good": self._good, "skipped": self.skipped}

    def restore(self, state: dict[str, Any]) -> None:
        """Put back what `state` returned."""
        self.scale, self._good, self.skipped = state["scale"], state["good"], state["skipped"]
