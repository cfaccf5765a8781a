"""What would let a classifier cheat, before anyone trains: damage, twins, labels readable from the wrong things."""
