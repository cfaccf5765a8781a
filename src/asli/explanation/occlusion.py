"""Occlusion (Zeiler & Fergus 2014, arXiv 1311.2901): how far the log-odds fall where a part of the picture is covered.

It asks the detector and nothing else, so it explains any, int8 ones too.
"""

import numpy as np

from asli.explanation.view import LogOdds, View
from asli.metrics.classification import Floats

BLOCK = 2
"""Cells along a side of what is covered at a time; it moves by one."""


def calls(view: View) -> int:
    """Return how often `occlusion` calls the detector."""
    return 1 + int(view.grid()[0][-1]) + BLOCK


def occlusion(view: View, log_odds: LogOdds) -> Floats:
    """Cover block after block with the view's mean color.

    Args:
        view: What the detector looks at.
        log_odds: The detector's.

    Returns:
        height x width: how far the log-odds fall where a pixel is covered, in nats a pixel: the mean over the blocks
        that cover it. Positive is evidence for fake. NaN where no window looks.
    """
    rows, columns = view.grid()
    color = view.pixels.mean(axis=(0, 1)).round().astype(np.uint8)
    before = float(log_odds([view.fitted()])[0])
    heat = np.zeros(view.pixels.shape[:2])
    for top in range(1 - BLOCK, int(rows[-1]) + 1):
        within = (rows >= top) & (rows < top + BLOCK)
        blocks, covered = [], []
        for left in range(1 - BLOCK, int(columns[-1]) + 1):
            block = within[:, None] & ((columns >= left) & (columns < left + BLOCK))[None, :]
            changed = view.pixels.copy()
            changed[block] = color
            blocks.append(block)
            covered.append(view.fitted(changed))
        for block, after in zip(blocks, log_odds(covered), strict=True):
            heat[block] += (before - after) / block.sum() / BLOCK**2
    return np.where(view.seen, heat, np.nan)
