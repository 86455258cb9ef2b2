"""Whether a converted model agrees with its float reference, and the limits it is held to."""
