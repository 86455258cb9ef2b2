"""The wire between the sensor's microcontroller and the node."""
