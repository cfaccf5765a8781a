"""What a file says of its own origin: evidence beside the score, never inside it."""
