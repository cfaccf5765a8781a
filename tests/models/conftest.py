import numpy as np
import pytest


@pytest.fixture(scope="session")
def pixels_and_labels(sample):
    """Four real images of each label, uint8, n x 32 x 32 x 3."""
    rows = sample.rows("train")
    labels = sample.labels[rows]
    rows = np.concatenate([rows[labels == 0][:4], rows[labels == 1][:4]])
    return sample.images[rows], sample.labels[rows].astype(np.int64)
