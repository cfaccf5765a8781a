"""Evaluation, calibration and audit of tables of any length in bounded memory."""
