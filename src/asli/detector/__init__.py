"""The detector: a network with its preprocessing, thresholds, domain and figures, in one folder that outlives asli."""
