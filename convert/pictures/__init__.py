"""Scores, records and trainings as figures, for `eqedge plot`."""
