import numpy as np
import pytest
import torch

from asli.recipe import AugmentSettings, LoopSettings
from asli.training.batches import MicroBatch, TrainingBatches
from asli.transforms.preprocessing import Preprocessing


@pytest.fixture
def padded_batch(sample):
    """Makes one batch of 64 training images, in the second epoch, with padded crops and further augmentation."""
    rows: np.ndarray = sample.rows("train")[:64]
    plain = Preprocessing(32, "bilinear", (0.5,) * 3, (0.5,) * 3)

    def batch(**augment: float) -> tuple[np.ndarray, MicroBatch]:
        settings = AugmentSettings(crop="padded", **augment)
        stream = TrainingBatches(sample, rows, settings, plain, LoopSettings(), torch.device("cpu"))
        return rows, stream.make(rows, 1)

    return batch
