"""The networks, what a node must know of each, and the shelf of shipped weights."""
