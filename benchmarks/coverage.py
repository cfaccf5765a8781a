"""How often the intervals and the promised error rates hold, where the truth is known.

    python benchmarks/coverage.py --out benchmarks/results/coverage.json
    python benchmarks/coverage.py --only label --out benchmarks/results/coverage.json     # a part, the rest stays

Images are drawn from two normal distributions of scores, so every rate is known exactly; duplicates repeat one another.
"""

import argparse
import json
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path

import numpy as np
from scipy.integrate import quad
from scipy.special import expit, logit
from scipy.stats import norm

from asli.metrics import intervals
from asli.metrics.built_in import built_in
from asli.metrics.calibration import calibration_error, equal_mass
from asli.metrics.constant import against_constant
from asli.metrics.delong import auroc_interval, paired_test
from asli.metrics.metric import LabeledScores
from asli.metrics.paired import f1_difference, mcnemar
from asli.metrics.rates import RATES, tpr_at_fpr
from asli.metrics.registry import measure as measure_metrics
from asli.metrics.thresholds import Policy, choose

SHIFT = 1.5
"""Fakes lie so many standard deviations above real images, real ones as many below 0."""


def draw(random: np.random.Generator, n: int, duplicates: float = 0.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return labels, scores and groups of n images, a share of which repeat an earlier one."""
    labels = random.integers(0, 2, n).astype(np.int8)
    scores = expit(random.normal(SHIFT * (2 * labels - 1)))
    source = np.arange(n)
    again = np.flatnonzero(random.random(n) < duplicates)
    source[again] = random.integers(0, n, len(again))
    return labels[source], scores[source], source


def coverage(rounds: int, holds: Callable[[np.random.Generator], bool]) -> dict[str, float]:
    """Return how often something held, with Wilson's interval."""
    figure = intervals.proportion(sum(holds(random) for random in np.random.default_rng(0).spawn(rounds)), rounds)
    return {**asdict(figure), "rounds": rounds}


def threshold_free_coverage(rounds: int, n: int, duplicates: float) -> dict[str, dict[str, float]]:
    """Return the coverage of the 95% intervals of what no threshold bears on, and of the TPR at an FPR."""

    def over_all(value: Callable[[float, float], float]) -> float:
        """Return the mean of value(z, sign) over fakes (sign 1) and real images (-1)."""
        halves = [lambda z, s=sign: value(z, s) * norm.pdf(z - s * SHIFT) for sign in (1, -1)]
        return sum(quad(half, -12, 12)[0] for half in halves) / 2

    def precision(z: float) -> float:
        return norm.sf(z - SHIFT) / (norm.sf(z - SHIFT) + norm.sf(z + SHIFT))

    truth = {
        "average precision": quad(lambda z: precision(z) * norm.pdf(z - SHIFT), -12, 12)[0],
        "loss": over_all(lambda z, sign: np.logaddexp(0, -sign * z)),
        "Brier score": over_all(lambda z, sign: expit(-sign * z) ** 2),
        **{f"TPR at an FPR of {rate:g}": norm.sf(norm.isf(rate) - 2 * SHIFT) for rate in RATES},
    }
    held = Counter(dict.fromkeys(truth, 0))
    for random in np.random.default_rng(0).spawn(rounds):
        labels, scores, groups = draw(random, n, duplicates)
        of = LabeledScores.of(labels, scores, groups)
        estimates = [*measure_metrics(built_in("average_precision", "loss", "brier"), of).values()]
        estimates += [line.tpr for line in tpr_at_fpr(of)]
        held.update(name for name, estimate in zip(truth, estimates, strict=True) if inside(estimate, truth[name]))
    return {name: {**asdict(intervals.proportion(held[name], rounds)), "rounds": rounds} for name in held}


def inside(figure: intervals.Estimate, truth: float) -> bool:
    """Return whether an interval holds the truth."""
    return figure.low <= truth <= figure.high


def interval_coverage(rounds: int, n: int, duplicates: float) -> dict[str, dict[str, float]]:
    """Return the coverage of each kind of 95% interval."""
    recall, alarm = norm.sf(-SHIFT), norm.sf(SHIFT)  # at the threshold 0.5
    f1, area = 2 * recall / (1 + recall + alarm), norm.cdf(2 * SHIFT / np.sqrt(2))
    true_ppv = 0.01 * recall / (0.01 * recall + 0.99 * alarm)

    def wilson(random: np.random.Generator) -> bool:
        labels, scores, groups = draw(random, n, duplicates)
        return inside(intervals.share_of((scores >= 0.5)[labels == 1], groups[labels == 1]), recall)

    def wilson_f1(random: np.random.Generator) -> bool:
        labels, scores, groups = draw(random, n, duplicates)
        return inside(intervals.f1_interval(labels, scores >= 0.5, groups), f1)

    def bootstrap_f1(random: np.random.Generator) -> bool:
        labels, scores, groups = draw(random, n, duplicates)
        return inside(intervals.bootstrap(intervals.weighted_f1(labels, scores >= 0.5), 0.0, groups), f1)

    def balanced(random: np.random.Generator) -> bool:
        labels, scores, groups = draw(random, n, duplicates)
        called = scores >= 0.5
        shares = [
            intervals.share_of((called == (labels == 1))[labels == code], groups[labels == code]) for code in (0, 1)
        ]
        return inside(intervals.mean_of(*shares), (recall + 1 - alarm) / 2)

    def predictive(random: np.random.Generator) -> bool:
        labels, scores, groups = draw(random, n, duplicates)
        hit, miss = (intervals.share_of((scores >= 0.5)[labels == c], groups[labels == c]) for c in (1, 0))
        return inside(intervals.predictive_value(0.01, hit, miss), true_ppv)

    def delong(random: np.random.Generator) -> bool:
        labels, scores, groups = draw(random, n, duplicates)
        return inside(auroc_interval(labels, scores, groups), area)

    def error(random: np.random.Generator, temperature: float) -> tuple[bool, float]:
        # P(fake | z) of these normals is expit(2 SHIFT z); a temperature other than 1 spoils it by a known amount.
        labels, scores, groups = draw(random, n, duplicates)
        honest = expit(2 * SHIFT * logit(scores))
        shown = expit(2 * SHIFT * logit(scores) / temperature)
        bins = equal_mass(labels, shown)
        counts = np.bincount(bins.of)
        truth = np.sqrt((((np.bincount(bins.of, honest) - np.bincount(bins.of, shown)) / counts) ** 2 @ counts) / n)
        return inside(calibration_error(labels, shown, groups, bins), float(truth)), bins.ece

    return {
        "recall, Wilson": coverage(rounds, wilson),
        "F1, Wilson of tp / (tp + fp + fn)": coverage(rounds, wilson_f1),
        "F1, percentile bootstrap (for comparison)": coverage(rounds // 4, bootstrap_f1),
        "balanced accuracy": coverage(rounds, balanced),
        "PPV at 1% fakes": coverage(rounds, predictive),
        "AUROC, DeLong": coverage(rounds, delong),
        "calibration error, calibrated": coverage(rounds, lambda r: error(r, 1.0)[0]),
        "calibration error, temperature 2": coverage(rounds, lambda r: error(r, 2.0)[0]),
    }


def promise_coverage(rounds: int, n: int, policy: Policy, decimals: int | None = None) -> dict[str, dict[str, float]]:
    """Return how often a threshold keeps its promised error rates, over fresh calibration sets.

    Args:
        rounds: Calibration sets.
        n: Images of each label.
        policy: What is promised.
        decimals: Scores are rounded to so many, which makes ties.
    """
    labels = np.repeat([0, 1], n).astype(np.int8)
    alarms, misses, recalls = [], [], []
    random = np.random.default_rng(0)
    for _ in range(rounds):
        z = random.normal(SHIFT * (2 * labels - 1.0))
        z = z if decimals is None else np.round(z, decimals)
        band = choose(policy, labels, expit(z), np.arange(2 * n))
        high, low = logit(band.high), logit(band.low)
        # With rounding, a score reaches the threshold where its unrounded value reaches the next step less a half.
        step = 0 if decimals is None else 10.0**-decimals
        up = high if not step else np.ceil(high / step - 1e-9) * step - step / 2
        down = low if not step else np.ceil(low / step - 1e-9) * step - step / 2
        alarms.append(norm.sf(up + SHIFT))
        recalls.append(norm.sf(up - SHIFT))
        misses.append(norm.cdf(down - SHIFT))
    kept = {"false positive rate": np.array(alarms) <= policy.target}
    if policy.band:
        kept["false negative rate"] = np.array(misses) <= policy.target
    held = {what: asdict(intervals.proportion(int(k.sum()), rounds)) for what, k in kept.items()}
    return {**held, "mean": {"false positive rate": float(np.mean(alarms)), "recall": float(np.mean(recalls))}}


def few_coverage(rounds: int, real: int, fake: int) -> dict[str, dict[str, float]]:
    """Return the coverage of intervals where a label has a few images, at three sizes of the true AUROC.

    The AUROC is also held against scores of unequal spread, for which it is hardest.
    """
    labels, alone = np.repeat([0, 1], [real, fake]).astype(np.int8), np.arange(real + fake)
    result = {}
    for area in (0.7, 0.9, 0.98):
        for name, spread in (("", 1.0), (", fakes twice as spread", 2.0)):
            shift = np.hypot(1, spread) * norm.ppf(area)

            def delong(random: np.random.Generator, spread: float = spread, shift: float = shift) -> bool:
                z = random.normal(size=len(labels)) * np.where(labels == 1, spread, 1) + shift * labels
                return inside(auroc_interval(labels, z), area)  # noqa: B023 - called at once

            result[f"AUROC of {area}{name}"] = coverage(rounds, delong)
    recall, alarm = norm.sf(-SHIFT), norm.sf(SHIFT)
    share = fake / (real + fake)
    truth = {
        "recall": recall,
        "F1": 2 * share * recall / (share * recall + (1 - share) * alarm + share),
        "loss": quad(lambda z: np.logaddexp(0, -z) * norm.pdf(z - SHIFT), -12, 12)[0],  # both labels have the same
        "Brier score": quad(lambda z: expit(-z) ** 2 * norm.pdf(z - SHIFT), -12, 12)[0],
        "average precision": quad(
            lambda z: (
                share
                * norm.sf(z - SHIFT)
                / (share * norm.sf(z - SHIFT) + (1 - share) * norm.sf(z + SHIFT))
                * norm.pdf(z - SHIFT)
            ),
            -12,
            12,
        )[0],
    }
    held = Counter(dict.fromkeys(truth, 0))
    for random in np.random.default_rng(0).spawn(rounds // 4):
        scores = expit(random.normal(SHIFT * (2 * labels - 1.0)))
        losses = -np.log(np.where(labels == 1, scores, 1 - scores))
        of = LabeledScores.of(labels, scores, alone, losses=losses)
        found = measure_metrics(built_in("average_precision", "loss", "brier"), of)
        figures = {
            "recall": intervals.share_of((scores >= 0.5)[labels == 1], alone[labels == 1]),
            "F1": intervals.f1_interval(labels, scores >= 0.5, alone),
            "loss": found["loss"],
            "Brier score": found["brier"],
            "average precision": found["average_precision"],
        }
        held.update(name for name, figure in figures.items() if inside(figure, truth[name]))
    result |= {name: asdict(intervals.proportion(held[name], rounds // 4)) for name in held}
    return result


def few_differences(rounds: int, each: int) -> dict[str, dict[str, float]]:
    """Return how often intervals of a difference hold, and how often p < 5% where there is none.

    Two detectors share half of the variance of their scores. `p < 0.05` should be at most 0.05, `out of range` 0.
    """
    labels, alone = np.repeat([0, 1], each).astype(np.int8), np.arange(2 * each)
    fake, result = labels == 1, {}
    for title, shifts in (("no difference", (1.0, 1.0)), ("a difference", (1.5, 0.5))):
        areas = [norm.cdf(np.sqrt(2) * shift) for shift in shifts]
        rates = [(norm.sf(-shift), norm.sf(shift)) for shift in shifts]
        f1s = [2 * hit / (hit + alarm + 1) for hit, alarm in rates]
        accuracies = [hit for hit, _ in rates]  # alike for both labels
        truth = {
            name: a - b for name, (a, b) in zip(("AUROC", "F1", "accuracy"), (areas, f1s, accuracies), strict=True)
        }
        held, low_p, outside, lowest = Counter(), Counter(), 0, dict.fromkeys(truth, 1.0)
        for number, random in enumerate(np.random.default_rng(0).spawn(rounds)):
            common = random.normal(size=2 * each)
            z = [(common + random.normal(size=2 * each)) / np.sqrt(2) + shift * (2 * labels - 1) for shift in shifts]
            area = paired_test(labels, *z)
            claims = {
                "AUROC": area,
                "F1": f1_difference(labels, z[0] >= 0, z[1] >= 0, alone, number),
                "accuracy": mcnemar((z[0] >= 0) == fake, (z[1] >= 0) == fake).accuracy,
            }
            for name, claim in claims.items():
                held[name] += claim.low <= truth[name] <= claim.high
                low_p[name] += claim.p < 0.05
                outside += claim.low < -1 or claim.high > 1
                lowest[name] = min(lowest[name], claim.p)
        for name in truth:
            result[f"{name}, {title}: interval"] = asdict(intervals.proportion(held[name], rounds))
            result[f"{name}, {title}: p < 0.05"] = {
                **asdict(intervals.proportion(low_p[name], rounds)),
                "lowest_p": lowest[name],
            }
        result[f"out of range, {title}"] = asdict(intervals.proportion(outside, 3 * rounds))
    return result


def constant_coverage(rounds: int, each: int) -> dict[str, dict[str, float]]:
    """Return how often a network is said to beat a constant answer, by its true AUROC; at 0.5 it does not."""
    labels, alone, result = np.repeat([0, 1], each).astype(np.int8), np.arange(2 * each), {}
    for area in (0.5, 0.7, 0.9):

        def beats(random: np.random.Generator, area: float = area) -> bool:
            shift = np.sqrt(2) * norm.ppf(area)
            margin = shift * (random.normal(size=2 * each) + shift * labels - shift / 2)  # calibrated: the log odds
            found = against_constant(labels, np.stack([np.zeros(2 * each), margin], axis=1), alone)
            return found["auroc"].low > 0.5 and found["loss_gain"].low > 0

        result[f"called better than a constant, AUROC {area}"] = coverage(rounds, beats)
    return result


def parts(rounds: int) -> dict[str, Callable[[], dict[str, dict]]]:
    """Return what is measured, by title."""
    few = {
        f"intervals, {real} real and {fake} fake images, few of a label": partial(few_coverage, rounds, real, fake)
        for real, fake in ((5, 5), (10, 10), (20, 20), (50, 50), (100, 10))
    }
    pairs = {
        f"two detectors, {each} images of each label": partial(few_differences, rounds // 5, each)
        for each in (5, 10, 20, 50)
    }
    constants = {
        f"constant answer, {each} images of each label": partial(constant_coverage, rounds // 4, each)
        for each in (10, 30, 100)
    }
    return {**_many(rounds), **few, **pairs, **constants}


def _many(rounds: int) -> dict[str, Callable[[], dict[str, dict]]]:
    promise = partial(promise_coverage, rounds)
    return {
        "intervals, 500 images": lambda: {
            **interval_coverage(rounds, 500, 0.0),
            **threshold_free_coverage(rounds // 4, 500, 0.0),
        },
        "intervals, 500 images, 20% of them duplicates": lambda: {
            **interval_coverage(rounds, 500, 0.2),
            **threshold_free_coverage(rounds // 4, 500, 0.2),
        },
        "intervals, 5,000 images": partial(threshold_free_coverage, rounds // 8, 5000, 0.0),
        "promise of 1% at 95%, 2,500 real": partial(promise, 2500, Policy(name="target-fpr")),
        "promise of 1% at 95%, 299 real": partial(promise, 299, Policy(name="target-fpr")),
        "promise of 1% at 90%, band, 2,500 real": partial(
            promise, 2500, Policy(name="target-fpr", confidence=0.9, band=True)
        ),
        "promise of 1% at 95%, 2,500 real, ties": partial(promise, 2500, Policy(name="target-fpr"), decimals=1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=2000)
    parser.add_argument("--only", default="", help="measure what has this in its title; the rest of --out stays")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    for title, part in parts(arguments.rounds).items():
        if arguments.only not in title:
            continue
        found = part()
        print(title, flush=True)
        for name, figure in found.items():
            if name == "mean":
                print("  on average: " + ", ".join(f"{key} {value:.4f}" for key, value in figure.items()))
            else:
                print(f"  {name}: held {figure['value']:.4f} [{figure['low']:.4f}, {figure['high']:.4f}]")
        if arguments.out:  # after each part, so that a stopped run keeps what it has measured
            before = json.loads(arguments.out.read_text()) if arguments.out.exists() else {}
            arguments.out.write_text(json.dumps({**before, title: found}, indent=2) + "\n")


if __name__ == "__main__":
    main()
