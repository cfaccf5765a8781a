"""Maps of where a score comes from, by either method, and whether they hold."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from hashlib import sha256

import numpy as np
import torch

from asli.detector.classifier import Classifier
from asli.explanation.gradcam import choose, enlarged, gradcam_and_log_odds
from asli.explanation.gradcam import layers as layers_of
from asli.explanation.map_check import calls as calls_of_check
from asli.explanation.map_check import check as check_map
from asli.explanation.map_check import likeness
from asli.explanation.map_check_result import MapCheck
from asli.explanation.occlusion import calls, occlusion
from asli.explanation.view import Array, LogOdds, Method, View
from asli.metrics.classification import Floats
from asli.models.device import pick_device

RANDOM_NETWORKS = 3
"""Networks with fresh weights that the check asks."""

PIXELS = 256 * 256
"""Pixels of the windows that go through a network at a time, at least one window. It bounds memory, and ONNX Runtime
computes a large window faster alone: its layers stay in the processor's cache."""

TOO_ALIKE = 0.5
"""From this mean rank correlation with maps of random networks, a map does not show what was learned."""


class Abandoned(Exception):  # noqa: N818 - nobody waits for the map any more: no fault of anything
    """A map was given up before it was ready."""


@dataclass(frozen=True, slots=True)
class Explained:
    """A picture's map.

    Attributes:
        heat: height x width of the view, in nats of log-odds a pixel; positive is evidence for fake.
        layer: Whose map it is; None where no layer was asked.
        side: Side of that layer's map.
    """

    heat: Floats
    layer: str | None = None
    side: int | None = None


Watch = Callable[[float, Explained | None], None]
"""Is called between forward passes with the share of the work that is done, and the map once there is one, which is not
checked then; may raise `Abandoned`."""


class MapMaker:
    """Makes maps of images by one network, and checks them.

    Args:
        detector: The network's detector.
        method: How.
        layer: Whose map Grad-CAM takes; None for the last one with a map of 4 x 4 or more.
        device: Where to compute gradients; None takes the best there is.
        check: Also measure whether maps hold.

    Raises:
        DetectorError: Its network cannot be explained this way.
    """

    def __init__(
        self,
        detector: Classifier,
        method: Method = "grad-cam",
        layer: str | None = None,
        device: str | None = None,
        *,
        check: bool = False,
    ) -> None:
        self._detector, self._check = detector, check
        self._maps: _Occlusion | _GradCam = _Occlusion() if method == "occlusion" else _GradCam(detector, layer, device)

    def log_odds(self, fitted: list[Array]) -> Floats:
        """Return the detector's log-odds of fitted images, n."""
        logits = self._detector.engine.logits(fitted)
        odds: Floats = logits[:, 1] - logits[:, 0]
        return odds

    def make(self, view: View, watch: Watch = lambda share, found: None) -> tuple[Explained, MapCheck | None]:
        """Return the map of a view and the result of its check, which is None where none was asked for.

        Args:
            view: What the network looks at.
            watch: Called with the progress, see `Watch`.

        Raises:
            Abandoned: `watch` raised it.
        """
        remembered = _Remembered(self._detector)
        steps = self._maps.calls(view) + (self._maps.others + calls_of_check(view) if self._check else 0)
        found: Explained | None = None
        done = 0

        def step() -> None:
            nonlocal done
            watch(done / steps, found)
            done += 1

        def log_odds(fitted: list[Array]) -> Floats:
            step()
            return remembered.log_odds(fitted)

        found = self._maps.explain(view, log_odds)
        if not self._check:
            return found, None
        others = self._maps.explain_others(view, step)
        measured = check_map(view, found.heat, log_odds)
        alike = likeness(view, found.heat, others) if others else None
        holds = measured.holds and (alike is None or alike < TOO_ALIKE)
        return found, replace(measured, likeness_to_random=alike, holds=holds)


class _Remembered:
    """A detector's log-odds of many versions of one picture, in which windows recur: each goes through once.

    A change of one part of a large picture leaves most windows as they are. Logits are linear in those of the windows,
    so their log-odds add up by the same weights.
    """

    def __init__(self, detector: Classifier) -> None:
        self._detector = detector
        self._known: dict[bytes, float] = {}

    def log_odds(self, fitted: list[Array]) -> Floats:
        names = [[sha256(window.tobytes()).digest() for window in windows] for windows in fitted]
        new: dict[bytes, Array] = {}
        for windows, digests in zip(fitted, names, strict=True):
            new |= {name: window for name, window in zip(digests, windows, strict=True) if name not in self._known}
        todo, each = list(new.items()), _at_a_time(self._detector.preprocessing.size)
        for start in range(0, len(todo), each):
            part = dict(todo[start : start + each])
            logits = self._detector.engine.logits([window[None] for window in part.values()])
            self._known |= zip(part, (logits[:, 1] - logits[:, 0]).tolist(), strict=True)
        odds = [np.array([self._known[name] for name in digests]) for digests in names]
        return np.array([float(one @ self._detector.preprocessing.weights(one)) for one in odds])


class _Occlusion:
    others = 0

    def calls(self, view: View) -> int:
        return calls(view)

    def explain(self, view: View, log_odds: LogOdds) -> Explained:
        return Explained(occlusion(view, log_odds))

    def explain_others(self, _: View, __: Callable[[], None]) -> list[Floats]:
        return []


class _GradCam:
    others = RANDOM_NETWORKS

    def __init__(self, detector: Classifier, layer: str | None, device: str | None) -> None:
        network, size = detector.network, detector.preprocessing.size
        found = layers_of(network.module, size)
        self._layer = choose(found, layer)
        self._side = found[self._layer]
        self._place = pick_device(device)
        self._module = network.module.eval().to(self._place)
        self._untrained = detector.untrained

    def calls(self, _: View) -> int:
        return 0

    def explain(self, view: View, _: LogOdds) -> Explained:
        return Explained(self._heat(self._module, view), self._layer, self._side)

    def explain_others(self, view: View, step: Callable[[], None]) -> list[Floats]:
        """Return the maps of networks with random weights; of these one at a time is in memory."""
        maps = []
        for seed in range(1, RANDOM_NETWORKS + 1):
            step()
            maps.append(self._heat(self._untrained(seed).eval().to(self._place), view))
        return maps

    def _heat(self, module: torch.nn.Module, view: View) -> Floats:
        size, windows = view.preprocessing.size, view.fitted()
        each = _at_a_time(size)
        maps, odds = [], []
        for start in range(0, len(windows), each):
            inputs = view.preprocessing.batch(windows[start : start + each], self._place)
            found, values = gradcam_and_log_odds(module, inputs, self._layer)
            maps.append(enlarged(found, size))
            odds.append(values)
        return view.joined(np.concatenate(maps), np.concatenate(odds))


def _at_a_time(size: int) -> int:
    return max(1, PIXELS // size**2)
