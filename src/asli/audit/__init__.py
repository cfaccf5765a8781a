"""What would let a classifier cheat, before anyone trains: damaged files, twins, labels readable from the wrong things."""
