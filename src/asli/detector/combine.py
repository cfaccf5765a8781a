"""Make one detector of several: the function behind `asli combine`."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np

from asli.datasets.cache import open_data
from asli.datasets.folder import DataFolder
from asli.detector.base import Detector
from asli.detector.calibrate import domain_of, fit_thresholds, fresh
from asli.detector.ensemble import Ensemble, JointPreparation, Method, fit_combination, log_odds
from asli.detector.family import Family
from asli.detector.members import member_names
from asli.detector.runtimes import BATCH
from asli.errors import DetectorError
from asli.metrics.thresholds import Policy


def combine(
    detectors: Sequence[str | Path | Detector],
    out: str | Path,
    data: str | Path | DataFolder | None = None,
    *,
    method: Method | Literal["family"] | None = None,
    names: Sequence[str] = (),
    policy: Policy = Policy(),  # noqa: B008 - it is frozen
    device: str | None = None,
    threads: int | None = None,
) -> Detector:
    """Combine detectors into an ensemble, or into a family.

    Args:
        detectors: Two or more, saved. Order matters in a family: the first whose domain holds an image answers.
        out: The new detector's folder; members are copied into it.
        data: A data folder; its calibration part fits the ensemble's weights, temperature and thresholds.
        method: How an ensemble combines scores: `mean`, `stacking`, `noisy-or` or `maximum`; `family` makes a family.
            None takes `stacking` with data and `family` without.
        names: Names of the members; by default those of their folders.
        policy: How an ensemble's thresholds are chosen.
        device: cuda, mps or cpu; None takes the best there is.
        threads: CPU threads of one operation; None leaves torch's choice.

    Raises:
        DetectorError: Fewer than two detectors, or `out` exists.
        DataError: An ensemble's calibration part lacks a label or is too small for the policy.
    """
    out = Path(out)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise DetectorError(f"{out} exists; give another folder")
    opened = [one if isinstance(one, Detector) else Detector.load(one) for one in detectors]
    if len(opened) < 2:
        raise DetectorError(f"combining needs two detectors or more, not {len(opened)}")
    if names and (len(names) != len(opened) or len(set(names)) != len(names)):
        raise DetectorError(f"{len(names)} names for {len(opened)} detectors; give a different one for each")
    members = dict(zip(names or member_names(opened), opened, strict=True))
    method = method or ("family" if data is None else "stacking")
    if method == "family":
        made: Detector = Family.of(members)
    else:
        if data is None:
            raise DetectorError(f"an ensemble by {method} is fitted on images: give a data folder with --data")
        folder = open_data(data)
        made = _ensemble(members, folder, method, policy, device, threads)
    made.save(out)
    return made


def _ensemble(
    members: dict[str, Detector],
    data: DataFolder,
    method: Method,
    policy: Policy,
    device: str | None,
    threads: int | None,
) -> Ensemble:
    """Fit combination, temperature and thresholds on calibration images that no member was trained on."""
    rows = data.rows("calibration")
    for member in members.values():
        rows = rows[fresh(member, data, rows)]
    joint = JointPreparation([member.preparation for member in members.values()])
    runtimes = [member.runtime(device, None, threads) for member in members.values()]
    parts = [rows[start : start + BATCH] for start in range(0, len(rows), BATCH)]
    odds = np.concatenate([log_odds(runtimes, data.pixels.fitted(part, joint)) for part in parts])
    combination = fit_combination(method, odds, data.labels[rows])
    combined = combination.combine(odds)
    logits = np.stack([-combined / 2, combined / 2], axis=1)
    temperature, thresholds = fit_thresholds(logits, data, rows, policy)
    cards = [member.card for member in members.values()]
    origins = dict.fromkeys(card.trained_on.name for card in cards)
    card = replace(
        cards[0],
        temperature=temperature,
        thresholds=thresholds,
        domain=replace(
            domain_of(data, rows, joint.members[0]),
            generators=tuple(sorted({name for one in cards for name in one.domain.generators})),
        ),
        trained_on=replace(cards[0].trained_on, name=", ".join(origins)),
        figures={},
        license="; ".join(dict.fromkeys(one.license for one in cards)),
    )
    return Ensemble(members, card, combination).recalibrated(temperature, card)
