"""A message's way out: a line on disk, a spool, the broker."""
