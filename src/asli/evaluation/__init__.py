"""Judge a detector: scores once, every figure from the scores, one report."""
