"""The most confident mistakes of both kinds (figure 10 of the paper), and whether mistakes look different at all."""

import io
from dataclasses import replace

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy.stats import mannwhitneyu

from asli.datasets.folder import DataFolder
from asli.detector.card import Thresholds
from asli.evaluation.further import AppearanceTest, Mistake, Mistakes
from asli.metrics.appearance import NAMES, Measures, measure, measure_all
from asli.metrics.classification import Floats, Labels
from asli.metrics.delong import auroc_interval
from asli.metrics.paired import holm
from asli.progress import progress

SHOWN = 12
"""Pictures of each kind."""

LARGEST = 192
"""Larger pictures are shrunk to this many pixels along their longer side before they go into the report."""

LEVEL = 0.05
_AT_ONCE = 256
SMALL = 64
"""Images of at most this many pixels a side are measured many at once."""

KINDS = ("real called fake", "fake called real")


def find_mistakes(data: DataFolder, rows: npt.NDArray[np.int64], score: Floats, thresholds: Thresholds) -> Mistakes:
    """Measure every image, test how mistakes look, and pick the most confident ones.

    Mistakes are compared with correctly classified images of the same label.

    Args:
        data: The data folder.
        rows: The evaluated ones.
        score: P(fake) of each.
        thresholds: Where scores become verdicts; an image called unsure is neither a mistake nor correct.
    """
    labels, values = data.labels[rows], _measured(data, rows)
    low, high = thresholds.decided
    mistaken = np.where(labels == 1, score < low, score >= high)
    decided = (score < low) | (score >= high)
    # One of each group of duplicates, so that images are independent; the same pixels got the same verdict.
    _, single = np.unique(np.stack([data.groups(rows), labels]), axis=1, return_index=True)
    single = single[decided[single]]
    worst = {}
    for code, kind in enumerate(KINDS):
        of_kind = np.sort(single[mistaken[single] & (labels[single] == code)])
        confident = of_kind[np.argsort(-score[of_kind] if code == 0 else score[of_kind], kind="stable")][:SHOWN]
        known = data.table(["id", "category", "generator"], rows[confident]).to_pylist()
        worst[kind] = tuple(
            Mistake(
                **line,
                score=float(score[i]),
                colorfulness=float(values["colorfulness"][i]),
                texture=float(values["texture"][i]),
                flatness=float(values["flatness"][i]),
                row=int(rows[i]),
            )
            for line, i in zip(known, confident, strict=True)
        )
    return Mistakes(
        images=len(rows),
        independent=len(single),
        threshold=thresholds.high,
        unsure=int((~decided).sum()),
        level=LEVEL,
        counts={kind: int((mistaken & (labels == code)).sum()) for code, kind in enumerate(KINDS)},
        tests=_tests(labels[single], mistaken[single], {name: of[single] for name, of in values.items()}),
        worst=worst,
    )


def pictures_of(data: DataFolder, mistakes: Mistakes) -> dict[int, bytes]:
    """Return the pictures of the most confident mistakes by row, as PNG files."""
    pictures = {}
    for row in (mistake.row for kind in mistakes.worst.values() for mistake in kind):
        image = Image.fromarray(data.pixels.image(row))
        image.thumbnail((LARGEST, LARGEST), Image.Resampling.LANCZOS)
        buffer = io.BytesIO()
        image.save(buffer, "PNG", optimize=True)
        pictures[row] = buffer.getvalue()
    return pictures


def _measured(data: DataFolder, rows: npt.NDArray[np.int64]) -> dict[str, Floats]:
    found: list[Measures] = []
    with progress("measuring pictures", len(rows), unit="images") as bar:
        for start in range(0, len(rows), _AT_ONCE):
            block = rows[start : start + _AT_ONCE]
            looked = data.pixels.map(lambda row, image: image if max(image.shape) <= SMALL else measure(image), block)
            found += _small_measured(looked)
            bar.advance(len(block))
    return {name: np.array([getattr(values, name) for values in found]) for name in NAMES}


def _small_measured(looked: list[npt.NDArray[np.uint8] | Measures]) -> list[Measures]:
    """Measure the small images among others that were measured, those of one size at once."""
    found = [one if isinstance(one, Measures) else None for one in looked]
    by_shape: dict[tuple[int, ...], list[int]] = {}
    for number, one in enumerate(looked):
        if not isinstance(one, Measures):
            by_shape.setdefault(one.shape, []).append(number)
    for numbers in by_shape.values():
        small = np.stack([one for number in numbers if not isinstance(one := looked[number], Measures)])
        for number, values in zip(numbers, measure_all(small), strict=True):
            found[number] = values
    return [values for values in found if values is not None]


def _tests(labels: Labels, mistaken: npt.NDArray[np.bool_], values: dict[str, Floats]) -> tuple[AppearanceTest, ...]:
    """Test each measure for each kind of mistake."""
    tests = []
    for code, kind in enumerate(KINDS):
        of_label = labels == code
        wrong = mistaken[of_label].astype(np.int8)
        for name, of in values.items():
            measured = of[of_label]
            test = AppearanceTest(
                kind=kind,
                measure=name,
                mistakes=int(wrong.sum()),
                right=int((wrong == 0).sum()),
            )
            if min(test.mistakes, test.right) > 1:
                test = replace(
                    test,
                    medians=(float(np.median(measured[wrong == 1])), float(np.median(measured[wrong == 0]))),
                    area=auroc_interval(wrong, measured),
                    p=float(mannwhitneyu(measured[wrong == 1], measured[wrong == 0], method="asymptotic").pvalue),
                )
            tests.append(test)
    adjusted = iter(holm([test.p for test in tests if test.p is not None]))
    return tuple(test if test.p is None else _corrected(test, next(adjusted)) for test in tests)


def _corrected(test: AppearanceTest, p_holm: float) -> AppearanceTest:
    assert test.area is not None
    assert test.area.value is not None
    higher = "higher" if test.area.value > 0.5 else "lower"
    return replace(test, p_holm=p_holm, direction=higher if p_holm < LEVEL else "not shown")
