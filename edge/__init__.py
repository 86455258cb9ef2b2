"""The node: it turns a sensor's stream into triggers. Never imports TensorFlow or matplotlib."""
