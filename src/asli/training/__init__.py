"""The training loop: exact accumulation, exact resume, no pickle."""
