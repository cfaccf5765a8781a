"""Does a map hold? What it marks is removed, and put back, before what it does not; and random weights are asked, too.

Deletion and insertion: Petsiuk, Das & Saenko 2018 (arXiv 1806.07421). Random weights: Adebayo et al. 2018 (arXiv
1810.03292): a map that a network without knowledge draws as well says nothing about knowledge.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter
from scipy.stats import rankdata

from asli.explanation.map_check_result import MapAndRandom, MapCheck
from asli.explanation.view import Array, LogOdds, View
from asli.metrics.classification import Floats

STEPS, FEWER_STEPS = 8, 3
"""Portions in which the cells are removed or put back; the latter where a picture has more than two windows."""

ORDERS, FEWER_ORDERS = 40, 26
"""Random orders a map is compared with: half of them drawn, and the same reversed; the latter where a picture has more
than two windows. A map without meaning passes equally often: it must be among the best 3 of 21 or 2 of 14."""

NEEDED = 0.95
"""Share of the random orders it must beat."""


def calls(view: View) -> int:
    """Return how often `check` calls the detector."""
    return 1 + 2 * (1 + _orders(view) // 2)


def check(view: View, heat: Floats, log_odds: LogOdds, *, seed: int = 0) -> MapCheck:
    """Remove the cells of a view in the order of a map, and put them back, against random orders.

    Removed cells are blurred, since a cover's sharp edge would itself be evidence.

    Args:
        view: What the detector looks at.
        heat: The map, height x width; positive is evidence for fake.
        log_odds: The detector's.
        seed: Seed of the random orders.

    Returns:
        The check, without a comparison with random weights.
    """
    side = 1.0 if log_odds([view.fitted()])[0] >= 0 else -1.0
    cells = _seen_cells(view)
    marked = (side * view.by_cell(heat))[cells]
    random = np.random.default_rng(seed)
    drawn = [random.permutation(len(marked)) for _ in range(_orders(view) // 2)]
    orders = [np.argsort(-marked, kind="stable"), *drawn]
    places = np.flatnonzero(cells)
    blurred = _blurred(view.pixels)
    deletion, insertion = (
        side * np.array([_area(view, start, end, places[order], log_odds) for order in orders])
        for start, end in ((view.pixels, blurred), (blurred, view.pixels))
    )
    # Reversed, an order passes the same states backwards: its insertion is this one's deletion, and the reverse. So
    # each drawn order stands for two.
    gained = insertion - deletion
    beats = float((gained[0] > np.concatenate([gained[1:], -gained[1:]])).mean())
    at_random = float(np.concatenate([deletion[1:], insertion[1:]]).mean())
    return MapCheck(
        deletion=MapAndRandom(map=float(deletion[0]), random=at_random),
        insertion=MapAndRandom(map=float(insertion[0]), random=at_random),
        orders=2 * len(drawn),
        beats=beats,
        needed=NEEDED,
        holds=beats >= NEEDED,
    )


def likeness(view: View, heat: Floats, others: Sequence[Floats]) -> float:
    """Return the mean rank correlation of a map, cell by cell, with maps of the same network with random weights.

    A map without any differences is like none. Cells no window looks at do not count: all maps are alike there.
    """
    cells = _seen_cells(view)
    own, *theirs = (rankdata(view.by_cell(one)[cells]) for one in (heat, *others))
    return float(np.mean([np.corrcoef(own, other)[0, 1] if np.ptp(own) and np.ptp(other) else 0.0 for other in theirs]))


def _orders(view: View) -> int:
    return ORDERS if _few_windows(view) else FEWER_ORDERS


def _few_windows(view: View) -> bool:
    return len(view.corners) <= 2


def _seen_cells(view: View) -> npt.NDArray[np.bool_]:
    """Return whether a window looks at each cell, or at a part of it: rows x columns."""
    return view.by_cell(view.seen.astype(np.float64)) > 0


def _area(view: View, start: Array, end: Array, order: npt.NDArray[np.int64], log_odds: LogOdds) -> float:
    """Return the mean log-odds while cells turn from `start` to `end`, portion after portion, in an order."""
    rows, columns = view.grid()
    steps = STEPS if _few_windows(view) else FEWER_STEPS
    turn = np.full((rows[-1] + 1) * (columns[-1] + 1), steps)  # cells no window looks at stay
    turn[order] = np.arange(len(order)) * steps // len(order)
    turned = turn.reshape(rows[-1] + 1, -1)[rows[:, None], columns[None, :]][..., None]
    states = [view.fitted(np.where(turned < step, end, start)) for step in range(1, steps)]
    return float(log_odds(states).mean())


def _blurred(pixels: Array) -> Array:
    radius = min(pixels.shape[:2]) / 8
    return np.asarray(Image.fromarray(np.ascontiguousarray(pixels)).filter(ImageFilter.GaussianBlur(radius)))
