"""Measurements behind the documents, run with `python -m studies.NAME`; not shipped, not tests."""
