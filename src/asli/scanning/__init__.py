"""Scoring many images: whatever holds them, streaming, and going on where it was cut."""
