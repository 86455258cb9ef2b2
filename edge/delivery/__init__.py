"""Outputs of a message: a line on disk, a spool, the broker."""
