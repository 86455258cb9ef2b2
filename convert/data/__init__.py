"""Labelled records on disk, the windows cut from them, and how a pick is judged."""
