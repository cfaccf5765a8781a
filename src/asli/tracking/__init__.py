"""Where measurements go: JSON lines always, TensorBoard and Weights & Biases on request."""
