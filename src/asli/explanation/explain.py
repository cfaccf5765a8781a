"""Show where in a picture a score comes from: the verb behind `asli explain`."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import count
from pathlib import Path
from typing import Any, Literal

from asli.datasets.images import decode
from asli.detector.bundle import Detector
from asli.detector.locate import DEFAULT
from asli.detector.predict import Scorer, read_file
from asli.errors import DetectorError
from asli.explanation.check import check as check_map
from asli.explanation.check import likeness
from asli.explanation.feature_maps import draw_feature_maps
from asli.explanation.feature_maps import feature_maps as maps_of
from asli.explanation.gradcam import choose, enlarged, gradcam
from asli.explanation.gradcam import layers as layers_of
from asli.explanation.occlusion import occlusion
from asli.explanation.page import check_text, reasons_of, title_of, write_page
from asli.explanation.picture import draw
from asli.explanation.view import Array, LogOdds, View
from asli.files import printable, replacing, visible, write_json
from asli.messages import Language, message
from asli.metrics.classification import Floats
from asli.models.device import pick_device, set_threads
from asli.models.networks import create_network
from asli.progress import progress

Method = Literal["grad-cam", "occlusion"]

RANDOM_NETWORKS = 3
"""Networks with fresh weights that the check asks."""

TOO_ALIKE = 0.5
"""Mean rank correlation with their maps from which on a map says nothing about what was learnt."""


@dataclass(frozen=True, slots=True)
class Explained:
    """A picture's map.

    Attributes:
        heat: height x width of the view, in nats of log-odds a pixel; positive is evidence for fake.
        layer: Whose map it is; None where no layer was asked.
        side: Of that layer's map.
        others: The same of networks with random weights, where the map is checked.
    """

    heat: Floats
    layer: str | None = None
    side: int | None = None
    others: tuple[Floats, ...] = ()


def explain(
    images: Sequence[str | Path],
    detector: str | Path = DEFAULT,
    *,
    out: str | Path = "explained",
    method: Method = "grad-cam",
    layer: str | None = None,
    check: bool = False,
    feature_maps: bool = False,
    force_domain: bool = False,
    device: str | None = None,
    threads: int | None = None,
    language: Language | None = None,
) -> dict[str, Any]:
    """Score pictures and draw where each score comes from.

    Args:
        images: Paths. One that cannot be read is reported in its place, not dropped.
        detector: A detector folder, a run folder, `hub:owner/name[@revision]`, or `default`.
        out: Folder of the pictures, of `explain.html` and of `explain.json`.
        method: `grad-cam` asks the network's gradients, `occlusion` covers part after part and asks any detector.
        layer: Whose map Grad-CAM takes; by default the last one with a map of 4 x 4 or more.
        check: Also measure whether the map holds (see `asli.explanation.check`).
        feature_maps: Also draw the feature maps of successive layers.
        force_domain: Give a verdict on images outside the detector's domain too.
        device: cuda, mps or cpu; None takes the best there is.
        threads: CPU threads of one operation; None leaves the library's choice.
        language: Of pictures and page; None draws English pictures, and the page follows the browser.

    Returns:
        What `predict` returns, each image with an `explanation`: method, layer, the map by cells, the check, and the
        pictures' paths; None where the image could not be scored.

    Raises:
        DetectorError, MissingExtraError: The detector cannot be used, or not be explained this way.
    """
    opened, folder = Detector.open(detector), Path(out)
    set_threads(threads)  # of the gradients, whatever the runtime
    runtime = opened.runtime(device, None, threads)

    def log_odds(fitted: list[Array]) -> Floats:
        logits = runtime.logits(fitted)
        odds: Floats = logits[:, 1] - logits[:, 0]
        return odds

    explainer = _Occlusion(log_odds) if method == "occlusion" else _GradCam(opened, layer, device, check=check)
    stages = _stages(opened) if feature_maps else []
    scorer, read = Scorer(opened, runtime), lru_cache(maxsize=1)(read_file)  # once for the score and the map
    scored: list[dict[str, Any]] = []
    names: set[str] = set()
    drawn: list[Path | None] = []
    with progress("explaining", len(images), unit="pictures") as bar:
        for path in map(Path, images):
            bar.advance(1)
            image = scorer.score(printable(path), partial(read, path), force_domain=force_domain)
            scored.append(image)
            image["explanation"] = None
            if image["error"]:
                drawn.append(None)
                continue
            picture = decode(read(path))[0]
            view = View.of(picture, opened.preprocessing)
            found = explainer.explain(view)
            stem = _new_name(_short(printable(path.stem)), names)
            image["explanation"] = {
                "method": method,
                "of": "log-odds of fake",
                "layer": found.layer,
                "map_size": found.side,
                "log_odds": float(log_odds([view.fitted()])[0]),
                "cells": view.by_cell(found.heat).tolist(),
                "check": _checked(view, found, log_odds) if check else None,
                "picture": printable(folder / f"{stem}.explained.png"),
                "feature_maps": printable(folder / f"{stem}.maps.png") if feature_maps else None,
            }
            checked = image["explanation"]["check"]
            lines = [
                title_of(image, _short(visible(printable(path.name)))),
                *reasons_of(image),
                check_text(checked, TOO_ALIKE),
                message("explain.caption"),
            ]
            failed = checked is not None and not checked["holds"]
            figure = draw(picture, view, found.heat, lines, failed=failed, language=language or "en")
            drawn.append(folder / f"{stem}.explained.png")
            _write(figure, folder / f"{stem}.explained.png")
            if feature_maps:
                _write(_draw_maps(opened, view, stages), folder / f"{stem}.maps.png")
    result = scorer.result(scored, force_domain=force_domain)
    write_json(folder / "explain.json", result)
    write_page(folder, result, drawn, TOO_ALIKE, language)
    return result


class _Occlusion:
    def __init__(self, log_odds: LogOdds) -> None:
        self._log_odds = log_odds

    def explain(self, view: View) -> Explained:
        return Explained(occlusion(view, self._log_odds))


class _GradCam:
    def __init__(self, detector: Detector, layer: str | None, device: str | None, *, check: bool) -> None:
        network, size = detector.network, detector.preprocessing.size
        found = layers_of(network.module, size)
        self._layer = choose(found, layer)
        self._side = found[self._layer]
        self._place = pick_device(device)
        fresh = range(1, RANDOM_NETWORKS + 1) if check else ()
        modules = [network.module, *(create_network(network.name, size=size, seed=seed).module for seed in fresh)]
        self._modules = [module.eval().to(self._place) for module in modules]

    def explain(self, view: View) -> Explained:
        size = view.preprocessing.size
        inputs = view.preprocessing.batch(view.fitted(), self._place)
        own, *others = (view.joined(enlarged(gradcam(module, inputs, self._layer), size)) for module in self._modules)
        return Explained(own, self._layer, self._side, tuple(others))


def _checked(view: View, found: Explained, log_odds: LogOdds) -> dict[str, Any]:
    measured = check_map(view, found.heat, log_odds)
    alike = likeness(view, found.heat, found.others) if found.others else None
    holds = measured["holds"] and (alike is None or alike < TOO_ALIKE)
    return {**measured, "likeness_to_random": alike, "holds": holds}


def _short(name: str) -> str:
    """Return the beginning of a name that leaves room for endings: file systems take 255 bytes."""
    return name.encode()[:150].decode(errors="ignore")


def _new_name(stem: str, taken: set[str]) -> str:
    """Return a name not taken yet, also where files' names do not differ by case, and take it."""
    found = next(name for n in count(1) if (name := stem if n == 1 else f"{stem}~{n}").lower() not in taken)
    taken.add(found.lower())
    return found


def _stages(detector: Detector) -> list[str]:
    found = layers_of(detector.network.module, detector.preprocessing.size)
    if not found:
        raise DetectorError("this network has no feature maps to draw; leave out --feature-maps")
    return list(found)


def _draw_maps(detector: Detector, view: View, stages: list[str]) -> Any:
    module = detector.network.module
    inputs = view.preprocessing.batch(view.fitted()[:1], next(module.parameters()).device)
    return draw_feature_maps(view.fitted()[0], maps_of(module, stages, inputs))


def _write(figure: Any, path: Path) -> None:
    with replacing(path) as temporary, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph")  # a name in a script the font does not have
        figure.savefig(temporary, format="png", dpi=200)
