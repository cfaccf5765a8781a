"""Parts that other packages add: each registry is a table of our own entries and an entry point group."""

import importlib
from collections.abc import Callable, Mapping
from functools import partial
from importlib.metadata import entry_points
from typing import Any


def plugins(group: str, own: Mapping[str, str]) -> dict[str, Callable[[], Any]]:
    """Return what is registered under each name, to be imported when it is called.

    Args:
        group: Entry point group, for example `asli.detectors`.
        own: This package's entries, each `module:name`. They cannot be replaced.
    """
    found: dict[str, Callable[[], Any]] = {point.name: point.load for point in entry_points(group=group)}
    return {**found, **{name: partial(_load, target) for name, target in own.items()}}


def _load(target: str) -> Any:
    module, _, name = target.partition(":")
    return getattr(importlib.import_module(module), name)
