"""The registry of metrics, one entry each; a package adds its own through the entry point group `asli.metrics`.

Reports, JSON and the command line show every registered metric.
"""

import logging
import math
from collections.abc import Iterable
from functools import cache

import numpy as np

from asli.errors import AsliError
from asli.metrics.built_in import BUILT_IN
from asli.metrics.intervals import Estimate, percentile, resampled
from asli.metrics.metric import Bootstrap, LabeledScores, Metric
from asli.plugins import plugins

logger = logging.getLogger("asli")

_registered = {metric.name: metric for metric in BUILT_IN}


def register(metric: Metric) -> None:
    """Add a metric, for this process, to every evaluation.

    Raises:
        AsliError: There is one of this name.
    """
    if metric.name in _registered:
        raise AsliError(f"there is a metric '{metric.name}' already; give yours another name")
    _registered[metric.name] = metric


def unregister(name: str) -> None:
    """Remove a metric from this process, for example to register a changed one in a notebook.

    Raises:
        AsliError: There is none of this name, or it is asli's own.
    """
    if name not in _registered or _registered[name] in BUILT_IN:
        raise AsliError(f"no metric '{name}' was registered")
    del _registered[name]


def registered() -> dict[str, Metric]:
    """Return every metric by name: asli's own, then those of other packages.

    Raises:
        AsliError: A package's metric cannot be loaded, or its name is taken.
    """
    _load_plugins()
    return dict(_registered)


def measure(metrics: Iterable[Metric], of: LabeledScores) -> dict[str, Estimate]:
    """Return metrics by name, with 95% intervals; all bootstrap intervals come from the same resamples.

    A metric of another package that fails is undefined, with a warning: scores that were computed are not lost.
    """
    found = {metric.name: _computed(metric, of) for metric in metrics}
    resampling = {name: one for name, one in found.items() if isinstance(one, Bootstrap)}
    estimates = {name: one for name, one in found.items() if isinstance(one, Estimate)}
    if resampling:
        statistics = [one.statistic for one in resampling.values()]
        drawn = resampled(lambda weights: np.stack([of(weights) for of in statistics], axis=1), of.groups)
        for (name, one), column in zip(resampling.items(), drawn.T, strict=True):
            assert one.value is not None
            estimates[name] = percentile(column, one.value, len(of.labels))
    return {name: estimates[name] for name in found}


def _computed(metric: Metric, of: LabeledScores) -> Estimate | Bootstrap:
    undefined = Estimate.undefined(len(of.labels))
    if metric.both_labels and not of.has_both_labels:
        return undefined
    if metric in BUILT_IN:
        return metric.compute(of)
    try:
        return _checked(metric.compute(of), of)
    except Exception as error:
        logger.warning("metric '%s' is undefined: it failed with %s: %s", metric.name, type(error).__name__, error)
        return undefined


def _checked(found: Estimate | Bootstrap, of: LabeledScores) -> Estimate | Bootstrap:
    if isinstance(found, Bootstrap):
        value = found.statistic(np.ones((1, len(of.labels))))[0] if found.value is None else found.value
        return Bootstrap(found.statistic, float(value)) if math.isfinite(value) else Estimate.undefined(len(of.labels))
    if not isinstance(found, Estimate):
        raise TypeError(f"it returned {found!r} instead of an Estimate or a Bootstrap")
    value, low, high = (_finite(end) for end in (found.value, found.low, found.high))
    return Estimate(value, low, high, int(found.n))


def _finite(value: float | None) -> float | None:
    return float(value) if value is not None and math.isfinite(value) else None


@cache
def _load_plugins() -> None:
    for plugin in plugins("metric"):
        metric: Metric = plugin.load(Metric)
        if _registered.get(metric.name) is metric:
            continue  # a call before this one stopped at a later entry point
        if metric.name in _registered:
            raise AsliError(f"metric '{metric.name}' of {plugin.package} exists already; uninstall one of the two")
        register(metric)
