"""Random numbers as a pure function of what they are for.

No generator carries state from one image to the next, so a run can go on at any update with nothing restored.
"""

import numpy as np
import numpy.typing as npt

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def _mix(values: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Scramble 64-bit numbers: the finalizer of SplitMix64 (Steele, Lea & Flood 2014)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def _key(*parts: int) -> npt.NDArray[np.uint64]:
    state = np.zeros(1, dtype=np.uint64)
    for part in parts:
        state = _mix(state + _GOLDEN + np.array([part], dtype=np.uint64))
    return state


def uniforms(seed: int, epoch: int, samples: npt.NDArray[np.int64], count: int) -> npt.NDArray[np.float64]:
    """Draw numbers for the augmentation of each sample.

    Args:
        seed: Seed of the run.
        epoch: From 0.
        samples: Row of each image in its manifest.
        count: Numbers an image.

    Returns:
        float64 in [0, 1), len(samples) x count; a row depends on (seed, epoch, that sample) alone.
    """
    base = _mix(_key(seed, epoch) + _GOLDEN * samples.astype(np.uint64))
    counters = _GOLDEN * np.arange(1, count + 1, dtype=np.uint64)
    bits = _mix(base[:, None] + counters[None, :])
    return (bits >> np.uint64(11)).astype(np.float64) * 2.0**-53


def order(seed: int, epoch: int, count: int) -> npt.NDArray[np.int64]:
    """Return the order of an epoch: a permutation of range(count), a function of (seed, epoch, count)."""
    keys = _mix(_key(seed, epoch, 0x6F72646572) + _GOLDEN * np.arange(count, dtype=np.uint64))
    return np.argsort(keys, kind="stable")


def derived_seed(*parts: int) -> int:
    """Return a seed for torch that depends on all parts, for example (run seed, update, micro-batch, rank)."""
    return int(_key(*parts)[0] >> np.uint64(1))
