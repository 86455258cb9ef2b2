"""Weights files and the static TensorFlow graph built from them."""
