"""Show where in a picture a score comes from: the function behind `asli explain`."""

import io
import warnings
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, Literal

from asli.detector.base import Detector
from asli.detector.classifier import Classifier, as_classifier
from asli.detector.description import DetectorDescription
from asli.detector.examining import examine_all
from asli.detector.image_inputs import ImageLike, inputs
from asli.detector.locate import DEFAULT
from asli.detector.prediction import Prediction
from asli.errors import DetectorError
from asli.explanation.feature_maps import draw_feature_maps
from asli.explanation.feature_maps import feature_maps as maps_of
from asli.explanation.gradcam import layers as layers_of
from asli.explanation.map_check_result import MapCheck
from asli.explanation.maps import TOO_ALIKE, MapMaker
from asli.explanation.page import check_text, reasons_of, title_of, write_page
from asli.explanation.picture import Panels, draw, draw_panels
from asli.explanation.view import Array, Method, View
from asli.files import printable, replacing, visible, write_json
from asli.messages import Language, message
from asli.models.device import set_threads
from asli.progress import Progress, progress
from asli.records import FLAT, Record


def explain(
    images: ImageLike | Iterable[ImageLike],
    detector: str | Path | Detector = DEFAULT,
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
) -> "Explanations":
    """Score pictures and draw the regions that change each score.

    Args:
        images: Images, as in `asli.predict`. One that cannot be read is reported in its place, not dropped.
        detector: A detector, a detector folder, a run folder, `hub:owner/name[@revision]`, or `default`.
        out: Folder of the pictures, of `explain.html` and of `explain.json`.
        method: `grad-cam` uses the network's gradients. `occlusion` covers one part after another, for any detector.
        layer: Layer for Grad-CAM; by default the last one with a map of 4 x 4 or more.
        check: Also test whether the map is valid (see `asli.explanation.map_check`).
        feature_maps: Also draw the feature maps of successive layers.
        force_domain: Give a verdict on images outside the detector's domain too.
        device: cuda, mps or cpu; None takes the best there is.
        threads: CPU threads of one operation; None leaves the library's choice.
        language: Language of pictures and page; None draws English pictures, and the page follows the browser.

    Returns:
        The prediction of each image with its explanation, which is None where the image could not be scored.

    Raises:
        DetectorError, MissingExtraError: The detector cannot be used, or not be explained this way.
    """
    if not isinstance(detector, Detector):
        detector = Detector.load(detector, device=device, threads=threads)
    folder = Path(out)
    set_threads(threads)  # of the gradients, whatever the runtime
    makers: dict[int, _Maker] = {}
    made: list[ExplainedImage] = []
    drawn: list[Panels | None] = []
    names: set[str] = set()
    given = list(inputs(images))
    with progress("explaining", len(given), unit="pictures") as bar:
        for one in given:
            (examined,) = examine_all([one.load], detector, keep_pixels=True)
            (prediction,) = detector.predictions([(one.name, examined)], force_domain=force_domain)
            if examined.pixels is None:
                made.append(ExplainedImage(prediction=prediction))
                drawn.append(None)
                bar.advance()
                continue
            leaf = as_classifier(detector.answering(examined.prepared)[0], "an explanation")
            if id(leaf) not in makers:
                makers[id(leaf)] = _Maker(leaf, method, layer, device, check=check, feature_maps=feature_maps)
            view = View.of(examined.pixels, leaf.preprocessing)
            stem = _new_name(_short(Path(one.name).stem), names)
            maker, place = makers[id(leaf)], folder / stem
            explanation, panels = maker.explain(prediction, examined.pixels, view, place, language or "en", bar)
            drawn.append(panels)
            made.append(ExplainedImage(prediction=prediction, explanation=explanation))
            bar.advance()
    result = Explanations(detector=detector.describe().forced(force_domain), images=tuple(made))
    write_json(folder / "explain.json", result.to_dict())
    write_page(folder, result, drawn, TOO_ALIKE, language, called=detector.called)
    return result


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation(Record):
    """Map of the regions of an image that change its score.

    Attributes:
        method: `grad-cam` or `occlusion`.
        of: The quantity that the map adds up to.
        layer: Layer of the map; None for occlusion.
        map_size: Side of that layer's map.
        log_odds: Log-odds of fake, for the image.
        cells: The map by cells, rows x columns, in nats of log-odds; positive is evidence for fake.
        check: Whether the map holds, by what measure (`asli.explanation.map_check`); None where it was not asked for.
        picture: Path of the drawn map.
        feature_maps: Path of the drawn feature maps, or None.
    """

    method: Method
    of: str
    layer: str | None
    map_size: int | None
    log_odds: float
    cells: tuple[tuple[float, ...], ...]
    check: MapCheck | None
    picture: str
    feature_maps: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainedImage(Record):
    """An image's prediction and, beside it, its explanation.

    Attributes:
        prediction: The prediction.
        explanation: The explanation; None where the image could not be scored.
    """

    prediction: Prediction = field(metadata=FLAT)
    explanation: Explanation | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanations(Record):
    """Result of `explain`, content of `explain.json` and output of `asli explain --json`.

    Attributes:
        version: Version of this structure.
        detector: The detector that answered.
        images: Predictions and explanations, in the order given.
    """

    version: Literal[1] = 1
    detector: DetectorDescription
    images: tuple[ExplainedImage, ...]


class _Maker:
    """Explains images by one network.

    Args:
        detector: The network's detector.
        method: How.
        layer: Whose map Grad-CAM takes, or None.
        device: Where to compute, or None.
        check: Also measure whether maps hold.
        feature_maps: Also draw feature maps.
    """

    def __init__(
        self,
        detector: Classifier,
        method: Method,
        layer: str | None,
        device: str | None,
        *,
        check: bool,
        feature_maps: bool,
    ) -> None:
        self._detector, self._method = detector, method
        self._maps = MapMaker(detector, method, layer, device, check=check)
        self._stages = _stages(detector) if feature_maps else []

    def explain(
        self, prediction: Prediction, pixels: Array, view: View, place: Path, language: Language, bar: Progress
    ) -> tuple[Explanation, Panels]:
        """Explain one image and draw the map; return its parts for the page, too.

        Args:
            prediction: Prediction of the image.
            pixels: uint8, height x width x 3.
            view: What the network sees of it.
            place: Path of the drawings, without their endings.
            language: Language of the drawing.
            bar: Where the share of the work is shown.
        """
        name = _short(visible(Path(prediction.path).name))
        found, check = self._maps.make(view, lambda share, _: bar.advance(0, note=f"{share:.0%} of {name}"))
        picture, maps = (place.with_name(f"{place.name}.{kind}.png") for kind in ("explained", "maps"))
        lines = [
            title_of(prediction, name),
            *reasons_of(prediction),
            check_text(check, TOO_ALIKE),
            message("explain.caption"),
            message("explain.legend"),
        ]
        failed = check is not None and not check.holds
        with replacing(picture) as temporary:
            temporary.write_bytes(_png(draw(pixels, view, found.heat, lines, failed=failed, language=language)))
        if self._stages:
            with replacing(maps) as temporary:
                temporary.write_bytes(_png(_draw_maps(self._detector, view, self._stages)))
        explanation = Explanation(
            method=self._method,
            of="log-odds of fake",
            layer=found.layer,
            map_size=found.side,
            log_odds=float(self._maps.log_odds([view.fitted()])[0]),
            cells=tuple(map(tuple, view.by_cell(found.heat).tolist())),
            check=check,
            picture=printable(picture),
            feature_maps=printable(maps) if self._stages else None,
        )
        return explanation, draw_panels(pixels, view, found.heat, failed=failed)


def _short(name: str) -> str:
    """Return the beginning of a name that leaves room for endings: file systems take 255 bytes."""
    return name.encode()[:150].decode(errors="ignore")


def _new_name(stem: str, taken: set[str]) -> str:
    """Return a name not taken yet, also where files' names do not differ by case, and take it."""
    found = next(name for n in count(1) if (name := stem if n == 1 else f"{stem}~{n}").lower() not in taken)
    taken.add(found.lower())
    return found


def _stages(detector: Classifier) -> list[str]:
    found = layers_of(detector.network.module, detector.preprocessing.size)
    if not found:
        raise DetectorError("this network has no feature maps to draw; leave out --feature-maps")
    return list(found)


def _draw_maps(detector: Classifier, view: View, stages: list[str]) -> Any:
    module = detector.network.module
    inputs = view.preprocessing.batch(view.fitted()[:1], next(module.parameters()).device)
    return draw_feature_maps(view.fitted()[0], maps_of(module, stages, inputs))


def _png(figure: Any) -> bytes:
    stream = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph")  # a name in a script the font does not have
        figure.savefig(stream, format="png", dpi=200)
    return stream.getvalue()
