"""What the study's networks cost, and how much gradient reaches their stages; kept, since measuring takes a while."""

import logging
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from asli.errors import AsliError
from asli.files import read_json, write_json
from asli.models.device import fingerprint, pick_device, set_threads
from asli.models.measure import GRADIENT_IMAGES, measure_network, sample_gradients
from asli.models.profile import profile
from asli.progress import progress
from asli.recipe import load_recipe
from asli.study.grid import KINDS, Budget, Cell, plain_name, recipe_of
from asli.study.results import NONE, Results
from asli.study.runner import Study
from asli.study.tabular import Table

logger = logging.getLogger("asli")

Costs = dict[str, dict[str, Any]]
"""By `NETWORK SIZE`: what `profile` counts, and `measured` and `gradients` where these were taken."""


def costs(study: Study, results: Results) -> Costs:
    """Count and measure every network of table 2, and take the gradients of the shallowest and deepest of table 7.

    Counts need no run; latency and memory are measured of networks that were run, once for each machine.
    """
    in_force = set_threads(study.threads)
    path, machine = study.out / "costs.json", fingerprint(pick_device("cpu"))
    known = read_json(path) if path.exists() else {}
    found: Costs = known.get("costs", {}) if known.get("machine") == machine else {}
    listed: dict[str, bool] = {}
    for item in results.showing("table 2") + results.showing("table 6"):
        key = key_of(study.budget, item.cell)
        listed[key] = listed.get(key, False) or bool(item.done)
    size, depths = load_recipe(study.budget.base).data.size, study.budget.depths
    deep = [f"{plain_name(kind, depths[place])} {size}" for place in (0, -1) for kind in KINDS]
    with progress("measuring networks", len(listed) + len(deep), unit="networks") as bar:
        for key in dict.fromkeys([*listed, *deep]):
            name, pixels = key.rsplit(" ", 1)
            entry = found.setdefault(key, {})
            try:
                if "profile" not in entry:
                    entry["profile"] = asdict(profile(name, int(pixels)))
                if listed.get(key) and "measured" not in entry:
                    runs = study.budget.timed
                    entry["measured"] = measure_network(name, int(pixels), threads=in_force, runs=runs)
                if key in deep and "gradients" not in entry:
                    entry["gradients"] = sample_gradients(name, int(pixels)).norms
            except AsliError as error:
                logger.warning("%s: %s", name, error)
            write_json(path, {"machine": machine, "costs": found})
            bar.advance(note=name)
    return found


def key_of(budget: Budget, cell: Cell) -> str:
    """Return under which key the network of a cell is found."""
    return f"{cell.network} {recipe_of(budget, cell, 1, 'scratch').data.size}"


def costs_table(found: Costs) -> Table:
    """Return the costs as a table."""
    rows = []
    for entry in found.values():
        if "profile" not in entry:
            continue
        p, measured = entry["profile"], entry.get("measured")
        memory = measured["peak_memory_bytes"] if measured else None
        rows.append(
            (
                p["name"],
                str(p["size"]),
                NONE if p["printed"] is None else f"{p['printed']:.1f}",
                f"{p['parameters_1000'] / 1e6:.3f}",
                f"{p['parameters'] / 1e6:.3f}",
                f"{p['flops'] / 1e9:.3f}",
                f"{1000 * measured['seconds']:.2f}" if measured else NONE,
                f"{memory / 1e6:.0f}" if memory else NONE,
            )
        )
    return Table(
        "costs",
        "Table 2, costs",
        ("network", "px", "paper M", "1000 classes M", "2 classes M", "GFLOPs", "ms an image", "peak MB"),
        rows,
        (f"GFLOPs: one image, 2 a multiply-add. {_measurement(found)}",),
    )


def gradients_table(found: Costs) -> Table:
    """Return the gradient norms by stage as a table, one row a network and stage."""
    rows = []
    for key, entry in found.items():
        norms: dict[str, float] = entry.get("gradients", {})
        for stage, norm in norms.items():
            head = list(norms.values())[-1]
            rows.append((key.rsplit(" ", 1)[0], stage, f"{norm:.3g}", f"{norm / head:.3g}" if head else NONE))
    return Table(
        "gradients",
        "Vanishing gradients? Gradient norms by stage",
        ("network", "stage", "norm", "over the head's"),
        rows,
        (
            f"Fresh weights, one backward pass of {GRADIENT_IMAGES} images of the bundled sample. Gradients that vanish"
            " would be far smaller at the first stage than at the head, and the more so the deeper the network.",
        ),
    )


def _measurement(found: Costs) -> str:
    taken = list(_measured(found))
    if not taken:
        return "Latency and memory were not measured."
    first = taken[0]
    return (
        f"Latency: median of {first['runs']} single-image forward passes on {first['cpu']}, CPU threads:"
        f" {first['threads']}, float32. Peak: memory of the network and one pass. Networks not run are not measured."
    )


def _measured(found: Costs) -> Iterator[dict[str, Any]]:
    return (entry["measured"] for entry in found.values() if "measured" in entry)
