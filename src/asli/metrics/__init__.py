"""Figures from arrays of labels and scores: numpy, scipy and scikit-learn; no image, no network."""
