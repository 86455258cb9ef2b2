"""The networks, what a node must know of each, and the registry of shipped weights."""
