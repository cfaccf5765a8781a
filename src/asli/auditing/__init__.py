"""Find what would let a classifier cheat: damage, duplicates, labels readable from the wrong things."""
