"""Make C sources for TensorFlow Lite for Microcontrollers, with proof.

For those who bring an int8 model to a board today; it needs no board to be proved, and none has run
it yet.
"""
