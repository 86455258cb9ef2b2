"""Settings of a node: the file and the options that give them, and their checks."""
