"""The node: a sensor's stream in, triggers out. Never imports TensorFlow, obspy or matplotlib."""
