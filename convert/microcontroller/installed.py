"""Find the microcontrollers' interpreter, without TensorFlow."""

from __future__ import annotations

import importlib
from typing import Any

from ... import EqedgeError, how_to_install


class MicroError(EqedgeError):
    """A model cannot be had for microcontrollers, or the means to prove it are missing."""


def find_micro() -> Any:
    """Import the interpreter.

    Raises:
        MicroError: It is not installed.
    """
    try:
        return importlib.import_module("tflite_micro").runtime
    except ImportError as error:
        raise MicroError(
            f"--target tflm is proved with tflite-micro, which is not there ({error}); "
            f"{how_to_install('tflm')}"
        ) from error
