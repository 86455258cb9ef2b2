"""An int8 model in, C sources for TensorFlow Lite for Microcontrollers out, with proof."""
