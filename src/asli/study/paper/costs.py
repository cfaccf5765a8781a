"""Costs of the study's networks; stored, since measuring takes a while."""

import logging
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from asli.errors import AsliError
from asli.files import read_json, write_json
from asli.models.device import fingerprint, pick_device, set_threads
from asli.models.measuring import measure_network
from asli.models.profile import profile
from asli.progress import progress
from asli.study.paper.budgets import Budget
from asli.study.sweep.cells import Cell, recipe_of
from asli.study.sweep.results import NONE, Results
from asli.study.sweep.runner import Sweep
from asli.study.sweep.tabular import TextTable

logger = logging.getLogger("asli")

Costs = dict[str, dict[str, Any]]
"""Counts of `profile` by `NETWORK SIZE`, and `measured` where it was run."""


def costs(budget: Budget, sweep: Sweep, results: Results) -> Costs:
    """Count and measure every network of tables 2 and 6.

    Counts need no run; latency and memory are measured of networks that were run, once for each machine.
    """
    in_force = set_threads(sweep.threads)
    path, machine = sweep.out / "costs.json", fingerprint(pick_device("cpu"))
    known = read_json(path) if path.exists() else {}
    found: Costs = known.get("costs", {}) if known.get("machine") == machine else {}
    listed: dict[str, bool] = {}
    for item in results.showing("table 2") + results.showing("table 6"):
        key = key_of(budget, item.cell)
        listed[key] = listed.get(key, False) or bool(item.done)
    with progress("measuring networks", len(listed), unit="networks") as bar:
        for key, was_run in listed.items():
            name, pixels = key.rsplit(" ", 1)
            entry = found.setdefault(key, {})
            try:
                if "profile" not in entry:
                    entry["profile"] = asdict(profile(name, int(pixels)))
                if was_run and "measured" not in entry:
                    measured = measure_network(name, int(pixels), threads=in_force, runs=budget.timed)
                    entry["measured"] = measured.to_dict()
            except AsliError as error:
                logger.warning("%s: %s", name, error)
            write_json(path, {"machine": machine, "costs": found})
            bar.advance(note=name)
    return {key: found[key] for key in listed}


def key_of(budget: Budget, cell: Cell) -> str:
    """Return under which key the network of a cell is found."""
    return f"{cell.network} {recipe_of(budget.base, cell, 1, 'scratch').data.size}"


def costs_table(found: Costs) -> TextTable:
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
    return TextTable(
        "costs",
        "Table 2, costs",
        ("network", "px", "paper M", "1000 classes M", "2 classes M", "GFLOPs", "ms an image", "peak MB"),
        rows,
        (f"GFLOPs: one image, 2 a multiply-add. {_measurement(found)}",),
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
