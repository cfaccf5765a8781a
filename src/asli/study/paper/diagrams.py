"""Figures 1, 3, 4 and 11: drawn from the recipe and from the modules of the network, not by hand."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Arc, FancyBboxPatch, Rectangle
from torch import nn

from asli.models.networks import create_network, skeleton
from asli.recipe import Recipe
from asli.reports.colors import RAISED
from asli.reports.plots import FAKE, INK, REAL, canvas

CHOSEN_BY = {"f1": "F1", "loss": "loss", "auroc": "AUROC"}


def research_flow(recipe: Recipe, trained: int, scored: Mapping[str, int], seeds: int) -> Figure:
    """Draw the way from data to tables, with the values of a recipe (figure 1).

    Args:
        recipe: Recipe of the runs.
        trained: Training images.
        scored: Images of the other parts, those that are known.
        seeds: Runs of each cell at most.
    """
    optim, loop, schedule = recipe.optim, recipe.loop, recipe.schedule
    counts = {part: f"{scored[part]:,} " if part in scored else "" for part in ("validation", "calibration", "test")}
    steps = [
        ("Data", f"{trained:,} training images, real and fake"),
        ("Preprocessing", f"{recipe.augment.crop} crop, flip, {recipe.data.size} px, normalize (figure 3)"),
        ("Network", "start weights or scratch; with its shortcuts, without one per stage, without any;\nnew head of 2"),
        (
            "Fine-tuning",
            f"{optim.name}, {optim.lr:g}, warm-up {schedule.warmup:.0%}, {schedule.shape};"
            f" batches {loop.micro_batch} x {loop.accumulation};\n{loop.epochs} epochs; trains: {recipe.weights.train}",
        ),
        ("Validation", f"{counts['validation']}other images choose the weights, by {CHOSEN_BY[loop.select_by]}"),
        ("Calibration", f"{counts['calibration']}others fit temperature and threshold"),
        ("Test", f"{counts['test']}others, evaluated once per run, recorded in the ledger"),
        ("Tables", f"mean and spread over up to {seeds} seed{'s' if seeds != 1 else ''}, beside the paper's figures"),
    ]
    with canvas(6.0, 0.82 * len(steps)) as (figure, axes):
        _flow(axes, steps)
    return figure


def preprocessing_flow(recipe: Recipe, mean: Sequence[float], std: Sequence[float]) -> Figure:
    """Draw what happens to an image in training and at evaluation, side by side (figure 3).

    Args:
        recipe: Recipe of the run.
        mean: Mean of each input channel, as the start weights want it, of values in [0, 1].
        std: Standard deviation of each input channel, of values in [0, 1].
    """
    augment, size, kernel = recipe.augment, recipe.data.size, recipe.data.interpolation
    (smallest, largest), (narrowest, widest) = augment.scale, augment.ratio
    area = f"{smallest:.0%} to {largest:.0%} of the area, ratio {narrowest:.2f} to {widest:.2f}"
    crops = {
        "random-resized": ("RandomResizedCrop", f"{area};\nto {size} x {size}, {kernel}"),
        "padded": ("Padded crop", f"shifted by up to {augment.padding} px"),
        "random": ("Random crop", f"{size} x {size}, no resampling"),
        "none": ("Central square", f"to {size} x {size}, {kernel}"),
    }
    ending = [
        ("Tensor", "values from 0 to 1"),
        ("Normalize", f"mean {_channels(mean)}\nstd {_channels(std)}"),
        ("Network", f"3 x {size} x {size}"),
    ]
    training = [
        ("Image", "RGB"),
        crops[augment.crop],
        ("RandomHorizontalFlip", f"probability {augment.flip:g}"),
        *ending,
    ]
    windows = {
        "resize": ("Resize", f"shorter side to {size}, {kernel}"),
        "mirrored": ("Resize", f"shorter side to {size}, {kernel};\nlogits averaged with those of the mirror image"),
        "center-crop": ("No resampling", ""),
        "tiles": ("Tiles", f"squares of {size} px"),
        "grid": ("Grid", f"{recipe.data.crops} squares of {size} px"),
        "texture": ("Texture", f"the {recipe.data.crops} squares of {size} px with the most texture"),
    }
    whole = recipe.data.crop_mode in ("resize", "mirrored", "center-crop")
    square = [("Central square", f"{size} x {size}")] if whole else []
    evaluation = [("Image", "RGB"), windows[recipe.data.crop_mode], *square, *ending]
    with canvas(7.0, 0.82 * len(training) + 0.3) as (figure, axes):
        _flow(axes, training, left=0.0, width=0.48, title="training")
        _flow(axes, evaluation, left=0.52, width=0.48, title="evaluation")
    return figure


def _channels(values: Sequence[float]) -> str:
    return ", ".join(f"{value:.3f}" for value in values)


def _flow(axes: Axes, steps: Sequence[tuple[str, str]], left: float = 0.0, width: float = 1.0, title: str = "") -> None:
    axes.set_axis_off()
    axes.set(xlim=(-0.01, 1.01), ylim=(-len(steps) + 0.1, 0.5 if title else 0.1))
    for i, (name, says) in enumerate(steps):
        box = FancyBboxPatch(
            (left + 0.01, -i - 0.72),
            width - 0.02,
            0.72,
            boxstyle="round,pad=0,rounding_size=0.02",
            fc=RAISED,
            ec=REAL,
        )
        axes.add_patch(box)
        many = "\n" in says
        axes.text(left + width / 2, -i - (0.16 if many else 0.23), name, ha="center", va="center", weight="bold")
        axes.text(left + width / 2, -i - (0.48 if many else 0.5), says, ha="center", va="center", fontsize=8)
        if i:
            axes.annotate(
                "",
                (left + width / 2, -i),
                (left + width / 2, -i + 0.28),
                arrowprops={"arrowstyle": "-|>", "color": INK, "shrinkA": 0, "shrinkB": 0},
            )
    if title:
        axes.text(left + width / 2, 0.3, title, ha="center", va="center", fontsize=10, color=INK)


@dataclass(frozen=True, slots=True)
class DiagramBlock:
    """A block of a residual network, as found in its modules.

    Attributes:
        shortcut: `identity`, `projection`, or None where the block's output is that of its convolutions alone.
        kernels: Kernels of its convolutions, in pixels.
        channels: Channels of its output.
        side: Height and width of its output.
    """

    shortcut: str | None
    kernels: tuple[int, ...]
    channels: int
    side: int


def blocks_of(name: str, size: int) -> dict[str, list[DiagramBlock]]:
    """Return the blocks of a residual or plain network by stage, asking the modules themselves.

    A block has a shortcut if something comes through when its last BatchNorm is set to 0.
    """
    module = create_network(name, size=size).module.eval()
    stages = {key: list(child.children()) for key, child in module.named_children() if key.startswith("layer")}
    shapes = _shapes(module, [block for blocks in stages.values() for block in blocks], size)
    numbers = iter(shapes)
    result = {}
    for key, blocks in stages.items():
        found = []
        for block in blocks:
            (before, _), (channels, side) = next(numbers)
            kind = ("identity" if before == channels else "projection") if has_shortcut(block) else None
            if kind and _changes(block):
                kind = "projection"
            found.append(DiagramBlock(kind, _kernels(block), channels, side))
        result[key] = found
    return result


def has_shortcut(block: nn.Module) -> bool:
    """Return whether a block's output is anything but zero when its convolutions' last normalization gives zeros."""
    muted = copy.deepcopy(block).eval()
    last = [child for name, child in muted.named_children() if name.startswith("bn")][-1]
    first = next(child for child in muted.modules() if isinstance(child, nn.Conv2d))
    with torch.inference_mode():
        for parameter in last.parameters():
            parameter.zero_()
        return bool(muted(torch.rand(1, first.in_channels, 8, 8)).any())


def architecture(name: str, size: int) -> Figure:
    """Draw a network's stages and blocks, with whatever shortcuts its modules have (figures 4 and 11)."""
    stages = blocks_of(name, size)
    longest = max(map(len, stages.values()))
    with canvas(9.0, 1.0 + 0.8 * len(stages)) as (figure, axes):
        axes.set_axis_off()
        axes.set_aspect("equal")
        step, width, height, left = 1.0, 0.72, 0.8, 9.0
        total = max(longest, 12)
        axes.set(xlim=(-0.5, left + total + 1), ylim=(-4.2 * len(stages) - 2.8, 3.2))
        axes.text(0, 2.6, f"{name}: input 3 x {size} x {size}", va="center", weight="bold")
        axes.text(0, 1.6, f"stem: {stem(name, size)}", va="center", fontsize=7)
        for row, (key, blocks) in enumerate(stages.items()):
            y = -4.2 * row - 2.2
            last = blocks[-1]
            kernels = ", ".join(f"{kernel} x {kernel}" for kernel in last.kernels)
            words = f"{key}: {len(blocks)} blocks of\n{kernels}\n{last.channels} channels, {last.side} x {last.side}"
            axes.text(0, y + height / 2, words, va="center", fontsize=8)
            axes.plot([left - 0.6, left + len(blocks) * step], [y + height / 2] * 2, color=INK, linewidth=0.8, zorder=0)
            for i, block in enumerate(blocks):
                x = left + i * step
                axes.add_patch(Rectangle((x, y), width, height, fc=RAISED, ec=INK, linewidth=0.7))
                if block.shortcut:
                    color, style = (REAL, "-") if block.shortcut == "identity" else (FAKE, "--")
                    axes.add_patch(
                        Arc(
                            (x + width / 2, y + height),
                            width + 0.24,
                            2.0,
                            theta1=0,
                            theta2=180,
                            color=color,
                            linestyle=style,
                            linewidth=1.3,
                        )
                    )
        bottom = -4.2 * len(stages) - 0.3
        words = (
            "in each block: BatchNorm after each convolution, ReLU after each BatchNorm, the last one after the sum if"
        )
        axes.text(0, bottom, f"{words} there is a shortcut;", va="center", fontsize=8)
        axes.text(0, bottom - 0.9, "then average pooling over the map and a linear layer of 2", va="center", fontsize=8)
        kinds = {block.shortcut for blocks in stages.values() for block in blocks}
        _legend(axes, kinds)
    return figure


def _legend(axes: Axes, kinds: set[str | None]) -> None:
    from matplotlib.lines import Line2D

    lines = []
    if "identity" in kinds:
        lines.append(Line2D([], [], color=REAL, label="shortcut: identity"))
    if "projection" in kinds:
        lines.append(Line2D([], [], color=FAKE, linestyle="--", label="shortcut: to another shape"))
    if None in kinds:
        lines.append(Line2D([], [], color=INK, linewidth=0.8, label="no shortcut"))
    axes.legend(handles=lines, frameon=False, loc="lower right", ncols=len(lines), fontsize=8, borderaxespad=0)


def _shapes(module: nn.Module, blocks: Sequence[nn.Module], size: int) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """Return (channels, side) before and after each block, from a forward pass without arithmetic."""
    positions = {id(child): name for name, child in module.named_modules()}
    names = [positions[id(block)] for block in blocks]
    bare, seen = skeleton(module), {}
    for name in names:

        def note(_: nn.Module, before: tuple[torch.Tensor], after: torch.Tensor, name: str = name) -> None:
            seen[name] = ((before[0].shape[1], before[0].shape[2]), (after.shape[1], after.shape[2]))

        bare.get_submodule(name).register_forward_hook(note)
    with torch.inference_mode():
        bare(torch.empty(1, 3, size, size, device="meta"))
    return [seen[name] for name in names]


def _kernels(block: nn.Module) -> tuple[int, ...]:
    """Return the kernels of a block's own path, its shortcut's left aside."""
    return tuple(child.kernel_size[0] for child in block.children() if isinstance(child, nn.Conv2d))


def _changes(block: nn.Module) -> bool:
    return any(isinstance(child, nn.Conv2d) and child.stride != (1, 1) for child in block.modules())


def stem(name: str, size: int) -> str:
    """Return the layers before the first stage with the size of their maps, from a forward pass without arithmetic."""
    module = create_network(name, size=size).module
    bare, words = skeleton(module), []

    def note(layer: nn.Module, _: object, out: torch.Tensor) -> None:
        kind = _layer(layer)
        if kind:
            words.append(f"{kind}, {out.shape[1]} x {out.shape[2]} x {out.shape[3]}")

    for key, child in bare.named_children():
        if key.startswith("layer"):
            break
        for layer in child.modules():
            layer.register_forward_hook(note)
    with torch.inference_mode():
        bare.eval()(torch.empty(1, 3, size, size, device="meta"))
    return " -> ".join(words)


def _layer(layer: nn.Module) -> str:
    if isinstance(layer, nn.Conv2d):
        return f"{'x'.join(map(str, layer.kernel_size))} convolution, stride {layer.stride[0]}"
    if isinstance(layer, nn.MaxPool2d):
        return f"{layer.kernel_size}x{layer.kernel_size} max pooling, stride {layer.stride}"
    if isinstance(layer, nn.BatchNorm2d):
        return "BatchNorm"
    return "ReLU" if isinstance(layer, nn.ReLU) else ""
