"""F1 on CIFAKE's test set against what it costs: training time, and arithmetic for one image.

    python benchmarks/frontier.py [--runs NAME=RUN ...] [--study docs/study/results.json] [--figures docs/figures]

RUN is a run folder whose detector was evaluated on the test set (`asli evaluate RUN cifake`); runs that differ by their
seed alone become one point with its range. They are added to `benchmarks/results/frontier.json`, in place of those of
the same recipe, so the figure can be drawn anew without them. Training time is wall time times threads, evaluations
during training included: minutes of one core. Arithmetic is counted (`asli models`), once for each window looked at.
"""

import argparse
import json
import statistics
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results" / "frontier.json"

PUBLISHED = [
    {"name": "the paper: ResNet-152", "network": "resnet152", "size": 224, "f1": 0.9634, "n": 20000},
    {"name": "ViT-S/16, 25 epochs", "network": "vit_small_patch16_224", "size": 224, "f1": 0.9876, "n": 20000},
    {"name": "ResNet-18", "network": "resnet18", "size": 224, "f1": 0.978, "n": 20000},
    {"name": "Bird & Lotfi", "network": "bird_lotfi", "size": 32, "f1": 0.930, "n": 20000},
    {"name": "CNN, 288k parameters", "network": None, "size": 32, "f1": 0.976, "n": 20000},
]
"""Figures others publish: F1, or accuracy where no F1 is given (the test set is balanced). Their input size is what
they say, or 224 px where they say nothing; nobody gives comparable training time."""

PLATE = {"facecolor": "white", "edgecolor": "none", "pad": 1.5}
"""Behind labels, so that no line goes through them."""


def flops(network: str, size: int) -> int:
    """Return the operations one window takes."""
    from asli.models.profile import profile

    return profile(network, size).flops


def of_run(path: Path) -> dict[str, Any]:
    """Return a judged run as a measurement of its recipe."""
    from asli.files import read_json
    from asli.run import Run
    from asli.training import checkpoint
    from asli.training.checkpoint import State

    run = Run.open(path)
    judged = sorted(run.path.glob("evaluation/*-test/metrics.json"))
    last = checkpoint.pointed(run.checkpoints, "last")
    if not judged or last is None:
        raise SystemExit(f"{path} has no evaluation on the test set yet; run asli evaluate {path} DATA")
    state, recipe, result = State.read(last), run.recipe, read_json(judged[0])
    windows = 2 if recipe.data.crop_mode == "mirrored" else 1
    validation = read_json(run.detector / "detector.json")["card"]["figures"]
    return {
        "family": recipe.family(),
        "network": recipe.model.name,
        "seed": recipe.loop.seed,
        "validation_f1": next(iter(validation.values()))["f1"]["value"],
        "f1": result["figures"]["threshold"]["f1"],
        "core_minutes": state.seconds / 60 * state.machine["threads"],
        "threads": state.machine["threads"],
        "flops": windows * flops(recipe.model.name, recipe.data.size),
    }


def of_study(results: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the study's networks with residual connections, and those of table 2, each the mean over its seeds."""
    cells: dict[str, list[dict[str, Any]]] = {}
    for result in results:
        if result["status"] == "done" and result["cell"].startswith(("residual-", "network-")):
            cells.setdefault(result["cell"], []).append(result)
    return [
        {
            "name": cell,
            "f1": statistics.mean(r["figures"]["threshold"]["f1"]["value"] for r in of),
            "core_minutes": statistics.mean(r["seconds"]["training"] / 60 * r["machine"]["threads"] for r in of),
            "flops": flops(of[0]["recipe"]["model"]["name"], of[0]["recipe"]["data"]["size"]),
        }
        for cell, of in cells.items()
    ]


def draw(ours: dict[str, list[dict[str, Any]]], study: list[dict[str, Any]], folder: Path) -> None:
    """Draw both panels: towards the upper left is better."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    from asli.reports.plots import FAKE, INK, REAL, STYLE, save

    published = [{**p, "flops": flops(p["network"], p["size"]) if p["network"] else None} for p in PUBLISHED]
    worst = min(ours, key=lambda name: statistics.mean(run["f1"]["value"] for run in ours[name]))
    with rc_context(STYLE):
        figure = Figure(figsize=(9.2, 4.4), layout="constrained")
        panels = figure.subplots(1, 2, sharey=True)
        for axes, cost, scale, label in (
            (panels[0], "core_minutes", 1, "training, minutes of one CPU core"),
            (panels[1], "flops", 1e-9, "one image, GFLOPs"),
        ):
            axes.set(xscale="log", yscale="log", xlabel=label)
            axes.plot(
                [scale * s[cost] for s in study], [1 - s["f1"] for s in study], "o", color="#AAAAAA", markersize=4
            )
            for name, runs in ours.items():
                x = scale * statistics.mean(r[cost] for r in runs)
                y = 1 - statistics.mean(r["f1"]["value"] for r in runs)
                low = min(r["f1"]["low"] for r in runs)
                high = max(r["f1"]["high"] for r in runs)
                axes.errorbar(x, y, [[y - (1 - high)], [1 - low - y]], fmt="D", color=FAKE, markersize=6, capsize=2)
                left = x == min(scale * statistics.mean(r[cost] for r in of) for of in ours.values())
                low_one = name == worst  # would be written over its neighbor
                axes.annotate(
                    name,
                    (x, y),
                    (-9 if left else 9, -11 if low_one else 0),
                    textcoords="offset points",
                    color=FAKE,
                    weight="bold",
                    ha="right" if left else "left",
                    va="center",
                    bbox=PLATE,
                    zorder=5,
                )
            for number, p in enumerate(sorted(published, key=lambda one: one["f1"])):
                name, error = p["name"], 1 - p["f1"]
                if cost == "core_minutes":  # nobody says how long theirs took
                    place = axes.get_yaxis_transform()
                    axes.axhline(error, color=REAL, linewidth=0.8, linestyle=":")
                    start = 0.01 + 0.28 * (number % 2)
                    axes.text(
                        start, error, name, color=REAL, fontsize=7, va="center", transform=place, bbox=PLATE, zorder=4
                    )
                elif p["flops"]:
                    axes.plot(scale * p["flops"], error, "s", color=REAL, markersize=5)
                    left = scale * p["flops"] > 1
                    axes.annotate(
                        name,
                        (scale * p["flops"], error),
                        (-6 if left else 6, 4),
                        textcoords="offset points",
                        color=REAL,
                        fontsize=7,
                        ha="right" if left else "left",
                        bbox=PLATE,
                    )
        ticks = [0.5, 0.7, 0.8, 0.9, 0.93, 0.95, 0.97, 0.98, 0.99]
        panels[0].yaxis.set_major_locator(FixedLocator([1 - t for t in ticks]))
        panels[0].yaxis.set_minor_locator(NullLocator())
        panels[0].yaxis.set_major_formatter(FuncFormatter(lambda error, _: f"{1 - error:.2f}"))
        panels[0].set_ylabel("F1 on CIFAKE's test set")
        panels[0].set_ylim(0.4, 0.009)
        panels[0].set_xlim(0.02, 1000)
        figure.supxlabel(
            "orange: asli's recipes, 95 % intervals over their seeds   blue: published by others"
            "   gray: the study's networks (small samples)",
            fontsize=7.5,
            color=INK,
        )
        save(figure, folder, "frontier")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", nargs="*", default=[], metavar="NAME=RUN", help="name of a point, and a run of it")
    parser.add_argument("--study", type=Path, default=Path("docs/study/results.json"))
    parser.add_argument("--figures", type=Path, default=Path("docs/figures"))
    arguments = parser.parse_args()
    ours: dict[str, list[dict[str, Any]]] = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    for item in arguments.runs:
        name, _, path = item.partition("=")
        found = of_run(Path(path))
        same = [r for r in ours.get(name, []) if r["family"] == found["family"] and r["seed"] != found["seed"]]
        ours[name] = sorted([*same, found], key=lambda run: run["seed"])
    RESULTS.write_text(json.dumps(ours, indent=2) + "\n")
    study = of_study(json.loads(arguments.study.read_text())) if arguments.study.exists() else []
    draw(ours, study, arguments.figures)
    for name, runs in ours.items():
        f1 = statistics.mean(run["f1"]["value"] for run in runs)
        minutes = statistics.mean(run["core_minutes"] for run in runs)
        print(f"{name}: test F1 {f1:.4f} ({len(runs)} seeds), {minutes:.0f} core-minutes")


if __name__ == "__main__":
    main()
