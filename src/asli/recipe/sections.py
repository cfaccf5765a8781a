"""The sections of a recipe: what each setting means, its default, and which values are allowed."""

import math
from dataclasses import dataclass
from typing import Literal

from asli.errors import RecipeError

Interpolation = Literal["bilinear", "bicubic", "lanczos"]
Resampling = Literal["fast", "pillow"]
CropMode = Literal["resize", "mirrored", "center-crop", "tiles", "grid", "texture"]
Pooling = Literal["mean", "trimmed", "top", "max"]


@dataclass(frozen=True, kw_only=True, slots=True)
class DataSettings:
    """The part of an image that the network sees at evaluation."""

    size: int = 224
    """Height and width of the network's input, in pixels."""
    crop_mode: CropMode = "resize"
    """Cropping at evaluation. `resize` shrinks the shorter side to `size` and takes the central square. `mirrored`
    averages the logits of that square and its mirror image. `center-crop` takes the central square without resampling.
    `tiles` takes up to 16 squares and averages their logits. `grid` takes `crops` squares, each in the middle of its
    cell of a square grid, without resampling. `texture` takes the `crops` squares of most texture."""
    crops: int = 4
    """Windows of crop modes `grid` (a square number) and `texture`."""
    pooling: Pooling = "mean"
    """How the logits of an image's windows are combined: `mean`; `trimmed`, without the lowest and highest quarter by
    log-odds of fake; `top`, of the upper half; `max`, the highest."""
    short_side: int = 0
    """A larger shorter side is shrunk to this many pixels before windows are cut by `grid` and `texture`; 0 never
    shrinks."""
    interpolation: Interpolation = "bilinear"
    """Kernel of every resize, in training and at evaluation; always antialiased."""
    resampling: Resampling = "fast"
    """Arithmetic of resizes in training; evaluation always resizes by Pillow, to 8 bits. `fast` resizes small images of
    one size in float32, a whole batch on the device, and other images by Pillow. `pillow` resizes all by Pillow."""
    drop_cross_split_duplicates: bool = False
    """Leave out of training the images whose exact duplicate lies in another official split."""
    balance: float = 0.0
    """With `optim.name=logistic`, weight of sources and generators within their label: 0 by their size, 0.5 by
    its root, 1 all the same. Both labels always count the same."""
    sample: int = 0
    """Train on this many images, drawn in proportion over label and category; 0 takes all."""
    sample_seed: int = 0
    """Seed of the draw of `sample` images; independent of `loop.seed`."""

    def __post_init__(self) -> None:
        _require(self.size > 0, "data.size", "must be positive")
        for name in ("sample", "sample_seed", "short_side"):
            _require(getattr(self, name) >= 0, f"data.{name}", "must not be negative")
        _require(self.crops > 0, "data.crops", "must be 1 or more")
        _require(0 <= self.balance <= 1, "data.balance", "must lie in [0, 1]")
        square = math.isqrt(self.crops) ** 2 == self.crops
        _require(square or self.crop_mode != "grid", "data.crops", "must be a square number for crop_mode grid: 4, 9")


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelSettings:
    """The network."""

    name: str = "resnet152"
    """A timm classifier, or one of asli's own (`asli models` lists them)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class WeightSettings:
    """Start weights, and the layers that training changes."""

    start: str = "scratch"
    """`scratch`, a .safetensors file, a folder in the hub's format, or `hub:owner/name[@revision]`."""
    train: str = "all"
    """`all`, `head`, or `stages:K` for the head and the K stages before it."""
    head: Literal["network", "uniform"] = "network"
    """Initial weights of a new head: `network` draws them as the network's own code does. `uniform` draws weights and
    biases of every network from the uniform distribution of torch's `Linear`, within 1 / sqrt(inputs)."""

    def __post_init__(self) -> None:
        kind, _, count = self.train.partition(":")
        fine = self.train in ("all", "head") or (kind == "stages" and count.isdigit() and int(count) > 0)
        _require(fine, "weights.train", "must be all, head or stages:K with K of 1 or more")


@dataclass(frozen=True, kw_only=True, slots=True)
class AugmentSettings:
    """Random changes of a training image. Each draw is a function of (seed, epoch, image)."""

    crop: Literal["none", "random", "random-resized", "padded"] = "none"
    """`random` takes a square of the network's size anywhere, without resampling; `random-resized` is torchvision's
    RandomResizedCrop; `padded` shifts the whole image by up to `padding`, without resampling."""
    scale: tuple[float, float] = (0.08, 1.0)
    """Area of a random-resized crop, as a share of the image."""
    ratio: tuple[float, float] = (0.75, 4 / 3)
    """Width over height of a random-resized crop."""
    padding: int = 4
    """Black pixels on each side before a padded crop."""
    flip: float = 0.5
    """Probability of a horizontal flip."""
    degrade: float = 0.0
    """Share of the images that are degraded at random, as pictures are on their way (`transforms/degrade.py`)."""
    brightness: float = 0.2
    """Largest change of a degraded image's brightness, as a share."""
    rescale: float = 0.6
    """Smallest share of its size to which a degraded image is shrunk before it is enlarged again."""
    blur: float = 1.0
    """Largest standard deviation of a degraded image's blur, in pixels."""
    sharpen: float = 2.0
    """Largest amount of a degraded image's unsharp mask."""
    noise: float = 6.0
    """Largest standard deviation of a degraded image's noise, of 255."""
    quality: tuple[int, int] = (40, 95)
    """Lowest and highest JPEG quality a degraded image is encoded at."""
    views: int = 0
    """With `optim.name=logistic`, degraded views of each training image beside the image itself
    (`transforms/chain.py`)."""
    consistency: float = 0.0
    """With `optim.name=logistic`, penalty on the mean squared difference between the log-odds of an image and of its
    degraded views."""
    color: float = 0.0
    """Strength of the random change of every image's contrast, brightness, saturation and white balance
    (`transforms/color.py`)."""
    cutmix: float = 0.0
    """Share of the images that get a rectangle of another image of the micro-batch, and that much of its label
    (CutMix, Yun et al. 2019, arXiv 1905.04899)."""

    def __post_init__(self) -> None:
        _require(0 < self.scale[0] <= self.scale[1] <= 1, "augment.scale", "must be two shares, smaller first")
        _require(0 < self.ratio[0] <= self.ratio[1], "augment.ratio", "must be two positive numbers, smaller first")
        _require(self.padding >= 0, "augment.padding", "must not be negative")
        _require(self.views >= 0, "augment.views", "must not be negative")
        _require(self.consistency >= 0, "augment.consistency", "must not be negative")
        for name in ("flip", "degrade", "cutmix"):
            _require(0 <= getattr(self, name) <= 1, f"augment.{name}", "must lie in [0, 1]")
        _require(0 <= self.brightness < 1, "augment.brightness", "must lie in [0, 1)")
        _require(0 < self.rescale <= 1, "augment.rescale", "must lie in (0, 1]")
        for name in ("blur", "sharpen", "noise", "color"):
            _require(getattr(self, name) >= 0, f"augment.{name}", "must not be negative")
        _require(
            1 <= self.quality[0] <= self.quality[1] <= 100, "augment.quality", "must be two of 1 to 100, lower first"
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class OptimSettings:
    """The optimizer."""

    name: Literal["adamw", "sgd", "logistic"] = "adamw"
    """AdamW (Loshchilov & Hutter 2019), SGD with Nesterov momentum `betas[0]`, or `logistic`. `logistic` makes no
    updates: it fits the head on a frozen trunk's features by logistic regression with the penalty `weight_decay`."""
    lr: float = 5e-5
    """Peak learning rate."""
    betas: tuple[float, float] = (0.9, 0.999)
    """Decay of the first and second moment."""
    eps: float = 1e-8
    """Added to AdamW's denominator."""
    weight_decay: float = 0.0
    """Decoupled decay; biases and normalization layers are spared."""
    clip: float = 1.0
    """Largest norm of the whole gradient; 0 does not clip."""
    label_smoothing: float = 0.0
    """Share of each target spread evenly over the labels."""

    def __post_init__(self) -> None:
        _require(self.lr > 0, "optim.lr", "must be positive")
        _require(all(0 <= beta < 1 for beta in self.betas), "optim.betas", "must lie in [0, 1)")
        _require(self.eps > 0, "optim.eps", "must be positive")
        _require(self.weight_decay >= 0, "optim.weight_decay", "must not be negative")
        _require(self.clip >= 0, "optim.clip", "must not be negative")
        _require(0 <= self.label_smoothing < 1, "optim.label_smoothing", "must lie in [0, 1)")


@dataclass(frozen=True, kw_only=True, slots=True)
class ScheduleSettings:
    """Learning rate over updates."""

    shape: Literal["linear", "cosine", "constant"] = "linear"
    """Schedule after the warm-up; `linear` and `cosine` end at 0."""
    warmup: float = 0.1
    """Share of all updates over which the rate rises linearly from 0."""

    def __post_init__(self) -> None:
        _require(0 <= self.warmup < 1, "schedule.warmup", "must lie in [0, 1)")


@dataclass(frozen=True, kw_only=True, slots=True)
class LoopSettings:
    """How long, in what portions, and when the loop looks up."""

    epochs: int = 5
    """Passes over the training images."""
    micro_batch: int = 32
    """Images in one forward and backward pass."""
    accumulation: int = 4
    """Micro-batches summed into one update."""
    evaluate_every: int = 600
    """Updates between evaluations on the validation part; 0 evaluates after the last update only."""
    checkpoint_every: int = 1200
    """Updates between checkpoints that are kept; 0 keeps the last only."""
    max_updates: int = 0
    """Stop after this many updates without changing the schedule; 0 runs to the end."""
    ema: float = 0.0
    """Decay of the exponential moving average of the weights; 0 keeps none. Averaged weights are the ones judged."""
    select: Literal["best", "last"] = "best"
    """Weights that become the detector: the best on the validation part by `select_by`, or the last."""
    select_by: Literal["f1", "loss", "auroc"] = "f1"
    """Validation metric that decides which weights are best. F1 has a floor that a constant answer reaches (0.667 where
    half of the images are fake); loss and AUROC have none."""
    reestimate_batchnorm: int = 0
    """Micro-batches of training images from which BatchNorm's statistics are computed anew before each evaluation; 0
    keeps the running averages, which lag behind in short runs."""
    seed: int = 42
    """Seed of initial weights, order, augmentation and dropout. The split has its own seed, in the data folder."""

    def __post_init__(self) -> None:
        for name in ("epochs", "micro_batch", "accumulation"):
            _require(getattr(self, name) > 0, f"loop.{name}", "must be 1 or more")
        for name in ("evaluate_every", "checkpoint_every", "max_updates", "seed", "reestimate_batchnorm"):
            _require(getattr(self, name) >= 0, f"loop.{name}", "must not be negative")
        _require(0 <= self.ema < 1, "loop.ema", "must lie in [0, 1)")


@dataclass(frozen=True, kw_only=True, slots=True)
class PrecisionSettings:
    """Arithmetic: it changes the last bits of the result, so it belongs to the recipe."""

    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    """Type of the forward pass in training (autocast); weights and evaluation stay float32. float16 scales the loss and
    skips updates whose gradients overflow. GPUs before Ampere only emulate bfloat16 and refuse it."""
    tf32: Literal["off", "convolutions", "all"] = "convolutions"
    """Operations of float32 training that may use TensorFloat-32, on GPUs that have it (Ampere and later). torch's own
    default is convolutions alone. Evaluation never uses it."""
    deterministic: bool = False
    """Use deterministic algorithms only (cuDNN, cuBLAS, torch): needed for the same bits again on a GPU, and slower."""
    channels_last: bool = False
    """Memory layout; usually faster on GPUs with tensor cores, slower on most CPUs."""
    compile: bool = False
    """Run the network through torch.compile."""


def _require(fine: bool, key: str, rule: str) -> None:
    if not fine:
        raise RecipeError(f"recipe key '{key}' {rule}")
