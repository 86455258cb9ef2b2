"""From a static graph to a TensorFlow Lite file: ranges, tuning, precisions."""
