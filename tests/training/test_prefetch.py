"""Batches made ahead are the same batches, whatever order they are asked for in."""

import threading

import pytest
import torch

from asli.errors import DataError
from asli.pipeline import train
from asli.recipe import AugmentSettings
from asli.training.prefetch import Prefetching
from tests.training.runs import FULL, fingerprint
from tests.training.test_batches import batches

AUGMENT = AugmentSettings(crop="random-resized", degrade=0.7, color=0.3, cutmix=0.5)


def equal(a, b):
    return all(torch.equal(x.inputs, y.inputs) and torch.equal(x.targets, y.targets) for x, y in zip(a, b, strict=True))


@pytest.mark.parametrize("share", [(), (1, 2)])
def test_the_same_bits_over_epochs_ragged_groups_and_detours(sample, share):
    _, plain = batches(sample, AUGMENT)
    _, inner = batches(sample, AUGMENT)
    ahead = Prefetching(inner, updates=9, threads=3)
    try:
        for update in range(2, 9):  # as after a resume
            assert equal(ahead.micro_batches(update, *share), list(plain.micro_batches(update, *share)))
            if update == 5:  # as BatchNorm's statistics do
                assert equal(ahead.micro_batches(3), list(plain.micro_batches(3)))
        assert next(ahead._made, None) is None  # nothing is made beyond the last update
    finally:
        ahead.close()


def test_few_are_in_memory_at_a_time(sample):
    _, inner = batches(sample)
    counts, draft = {"made": 0}, inner.draft
    lock = threading.Lock()

    def counting(*arguments):
        with lock:
            counts["made"] += 1
        return draft(*arguments)

    inner.draft = counting
    ahead = Prefetching(inner, updates=99, threads=2)
    next(ahead.micro_batches(0))
    ahead.close()
    assert counts["made"] <= 1 + 2 * 2


def test_what_fails_in_a_thread_is_raised_where_it_is_needed(sample):
    _, inner = batches(sample)

    def gone(*_):
        raise DataError("images/1.png can no longer be read")

    inner.draft = gone
    ahead = Prefetching(inner, updates=9, threads=2)
    with pytest.raises(DataError, match="can no longer be read"):
        next(ahead.micro_batches(0))
    ahead.close()


@pytest.mark.slow
def test_a_run_ends_with_the_same_bits_and_no_threads_left(sample, tmp_path):
    settings = [*FULL, "loop.reestimate_batchnorm=3", "augment.degrade=0.5"]
    before = threading.active_count()
    for name, threads in (("off", 0), ("on", 2)):
        train("smoke", sample, tmp_path / name, settings=settings, prefetch=threads)
    assert fingerprint(tmp_path / "on") == fingerprint(tmp_path / "off")
    assert threading.active_count() == before
