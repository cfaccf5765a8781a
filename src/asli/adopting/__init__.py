"""Adopting: other people's networks become detectors, proven to give the scores they gave before."""
