"""From an author's image processor or timm's configuration to asli's preprocessing; what cannot be said is refused."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from asli.detector.adopted_network import refusing
from asli.errors import DetectorError
from asli.transforms.author_preprocessing import AuthorPreprocessing, Fitting
from asli.transforms.preprocessing import Kernel

KERNELS: dict[int, Kernel] = {0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic", 4: "box", 5: "hamming"}
"""Pillow's numbers of its kernels, which `resample` holds."""

PLAIN = frozenset({"ViT", "DeiT", "Beit", "Siglip", "Bit", "CLIP", "MobileNetV1", "MobileNetV2", "EfficientNet"})
"""Image processors that resize, crop, rescale and normalize as their settings state."""

SPECIAL = frozenset({"ConvNext", "Levit", "PoolFormer", "MobileViT"})
"""Those with a rule of their own, which `_resize` holds."""

LARGEST_INPUT = 2048
"""Pixels of a side of the network's input, or of what a picture is resized to; files of others may state anything."""

LARGE = 384
"""From this `shortest_edge` on ConvNeXt's processor squashes an image instead of cropping it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Translated:
    """An author's preprocessing in asli's terms.

    Attributes:
        preprocessing: The same, for pixels with red first.
        bgr: Whether the network takes blue first.
        matched: Class and kind of the processor, in words.
    """

    preprocessing: AuthorPreprocessing
    bgr: bool
    matched: str


def from_processor(processor: Any) -> Translated:
    """Translate an image processor of transformers.

    Args:
        processor: Processor, as `AutoImageProcessor` opens it.

    Raises:
        DetectorError: It does something that asli's preprocessing cannot.
    """
    name = type(processor).__name__
    fast = getattr(processor, "backend", "") == "torchvision"
    base = name.removesuffix("Fast").removesuffix("Pil").removesuffix("ImageProcessor")
    if base not in PLAIN | SPECIAL:
        known = ", ".join(sorted(PLAIN | SPECIAL))
        raise DetectorError(f"the image processor {name} is not translated; known are those of {known}")
    with refusing(f"the settings of {name} cannot be read"):
        return _from_settings(name, base, {key: _plain(value) for key, value in vars(processor).items()}, fast)


def _from_settings(name: str, base: str, settings: Mapping[str, Any], fast: bool) -> Translated:
    if settings.get("do_pad"):
        raise DetectorError(f"{name} pads after normalization (do_pad), which asli does not do")
    fitting, edge = _resize(base, settings)
    size = _crop(name, base, settings, edge, fitting)
    _require_sides(name, size, *([] if fitting == "none" else [edge]))
    mean, std = _normalization(base, settings)
    return Translated(
        preprocessing=AuthorPreprocessing(
            size=size,
            interpolation=_kernel(settings.get("resample"), default=2),
            mean=mean,
            std=std,
            fitting=fitting,
            edge=edge,
            resampler="torchvision" if fast else "pillow",
            rounding="floor" if fast else "pad-ceil",
        ),
        bgr=bool(base == "MobileViT" and settings.get("do_flip_channel_order")),
        matched=f"{name} ({'fast, torchvision' if fast else 'slow, Pillow'})",
    )


def from_timm(config: Mapping[str, Any]) -> Translated:
    """Translate what timm's `resolve_data_config` returns.

    Raises:
        DetectorError: It does something that asli's preprocessing cannot.
    """
    with refusing("timm's configuration cannot be read"):
        return _from_timm(config)


def _from_timm(config: Mapping[str, Any]) -> Translated:
    _, height, width = config["input_size"]
    if height != width:
        raise DetectorError(f"timm's configuration asks for {height} x {width} pixels; asli takes square inputs")
    if config.get("crop_border_pixels"):
        raise DetectorError("timm's configuration trims a border (crop_border_pixels), which asli does not do")
    mode = config.get("crop_mode") or "center"
    fittings: dict[str, Fitting] = {"center": "shortest-edge", "squash": "squash", "border": "pad"}
    if mode not in fittings:
        raise DetectorError(f"timm's configuration has the crop mode '{mode}'; known are {', '.join(fittings)}")
    mean, std = _three(config["mean"]), _three(config["std"])
    red, green, blue = (round(255 * value) for value in mean)
    edge = math.floor(height / (config.get("crop_pct") or 0.875))
    _require_sides("timm's configuration", height, edge)
    kernel = str(config.get("interpolation", "bicubic"))
    if kernel not in KERNELS.values():
        raise DetectorError(f"timm's configuration has the interpolation '{kernel}', which is not deterministic")
    return Translated(
        preprocessing=AuthorPreprocessing(
            size=height,
            interpolation=_kernel(kernel, default=3),
            mean=mean,
            std=std,
            fitting=fittings[mode],
            edge=edge,
            rounding="round",
            fill=(red, green, blue) if mode == "border" else (0, 0, 0),
        ),
        bgr=False,
        matched=f"timm's evaluation transform (Pillow, crop mode {mode})",
    )


def _require_sides(name: str, *sides: Any) -> None:
    wrong = next((side for side in sides if type(side) is not int or not 0 < side <= LARGEST_INPUT), None)
    if wrong is not None:
        raise DetectorError(
            f"{name} states a side of {wrong!r} pixels; asli takes whole numbers from 1 to {LARGEST_INPUT}"
        )


def _resize(base: str, settings: Mapping[str, Any]) -> tuple[Fitting, int]:
    """Return how an image is resized, and to what."""
    size = settings.get("size") or {}
    if not settings.get("do_resize"):
        return "none", 0
    if "longest_edge" in size or "max_height" in size:
        raise DetectorError(f"the image processor resizes to {size}, whose result has no fixed size")
    shortest = size.get("shortest_edge")
    percent = settings.get("crop_pct")
    if shortest is None and "height" not in size:
        raise DetectorError(f"the image processor's size is {size or 'not stated'}; asli cannot tell what it means")
    if base == "ConvNext":
        if shortest is None or percent is None:
            raise DetectorError(f"ConvNeXt's image processor needs a shortest_edge and a crop_pct; its size is {size}")
        return ("squash", shortest) if shortest >= LARGE else ("shortest-edge", int(shortest / percent))
    if base == "Levit" and shortest is not None:
        return "shortest-edge", int((256 / 224) * shortest)
    if base == "PoolFormer" and percent is not None:
        return "shortest-edge", int((shortest or size["height"]) / percent)
    if shortest is not None:
        return "shortest-edge", shortest
    if size["height"] != size["width"]:
        raise DetectorError(f"the image processor resizes to {size}; asli takes square inputs")
    return "squash", size["height"]


def _crop(name: str, base: str, settings: Mapping[str, Any], edge: int, fitting: Fitting) -> int:
    """Return the side of the network's input."""
    if base == "ConvNext":  # its resize crops, too
        return int(settings["size"]["shortest_edge"])
    if settings.get("do_center_crop"):
        crop = settings.get("crop_size") or {}
        if crop.get("height") is None or crop.get("height") != crop.get("width"):
            raise DetectorError(f"{name} crops to {crop or 'no stated size'}; asli takes square inputs")
        return int(crop["height"])
    if fitting != "squash":
        raise DetectorError(f"{name} neither crops nor resizes to a square, so its result has no fixed size")
    return edge


def _normalization(
    base: str, settings: Mapping[str, Any]
) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
    """Return mean and std such that pixel / 255 / std - mean / std is what the processor makes of a pixel."""
    factor = float(settings["rescale_factor"]) if settings.get("do_rescale") else 1.0
    scale, shift = [factor] * 3, [0.0] * 3
    if base == "EfficientNet" and settings.get("do_rescale") and settings.get("rescale_offset"):
        shift = [-1.0] * 3
    std = settings.get("image_std")
    if settings.get("do_normalize") and base != "MobileViT":  # which never does
        mean = settings.get("image_mean")
        scale, shift = _normalized(scale, shift, mean, std)
    if base == "EfficientNet" and settings.get("include_top"):
        scale, shift = _normalized(scale, shift, 0.0, std)
    deviations = [1 / (255 * value) for value in scale]
    means = [-offset * deviation for offset, deviation in zip(shift, deviations, strict=True)]
    return _three(means), _three(deviations)


def _normalized(scale: list[float], shift: list[float], mean: Any, std: Any) -> tuple[list[float], list[float]]:
    means, stds = ([float(v)] * 3 if isinstance(v, (int, float)) else list(_three(v)) for v in (mean, std))
    return (
        [value / deviation for value, deviation in zip(scale, stds, strict=True)],
        [(value - center) / deviation for value, center, deviation in zip(shift, means, stds, strict=True)],
    )


def _three(values: Sequence[Any]) -> tuple[float, float, float]:
    if not isinstance(values, (list, tuple)) or len(values) != 3:
        raise DetectorError(f"mean or std is {values!r}; asli takes networks of three color channels")
    red, green, blue = (float(value) for value in values)
    if not all(map(math.isfinite, (red, green, blue))):
        raise DetectorError(f"mean or std is {values!r}, which is not finite")
    return red, green, blue


def _kernel(value: Any, *, default: int) -> Kernel:
    if isinstance(value, str):
        named = next((kernel for kernel in KERNELS.values() if kernel == value), None)
    else:
        named = KERNELS.get(int(default if value is None else value))
    if named is None:
        raise DetectorError(f"the image processor's resample is {value!r}; known are Pillow's numbers 0 to 5")
    return named


def _plain(value: Any) -> Any:
    """Return sizes, which are objects in newer versions of transformers, as dictionaries without empty entries."""
    if hasattr(value, "items") or type(value).__name__ == "SizeDict":
        items = value.items() if hasattr(value, "items") else vars(value).items()
        return {key: one for key, one in items if one is not None}
    return value
