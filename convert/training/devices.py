"""What a training runs on, and the precision it is good at."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import keras


@dataclass(frozen=True)
class Device:
    """Where steps are computed.

    Attributes:
        backend: Keras's: `tensorflow` or `torch`; KERAS_BACKEND chooses.
        is_gpu: Whether on a GPU; of several the first.
        dtype: Keras's dtype policy.
    """

    backend: str
    is_gpu: bool = False
    dtype: str = "float32"

    @property
    def told(self) -> str:
        """One line for the card."""
        return f"{self.backend} on {'GPU' if self.is_gpu else 'CPU'}, {self.dtype}"


def find() -> Device:
    """Look for a GPU, and use mixed precision if it computes in bfloat16."""
    backend = keras.config.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        gpus = tf.config.list_physical_devices("GPU")
        details = tf.config.experimental.get_device_details(gpus[0]) if gpus else {}
        is_gpu, modern = bool(gpus), details.get("compute_capability", (0, 0)) >= (8, 0)
    else:
        import torch

        is_gpu = torch.cuda.is_available()
        modern = is_gpu and torch.cuda.is_bf16_supported()
    return Device(backend, is_gpu, "mixed_bfloat16" if modern else "float32")


@contextmanager
def computing_in(dtype: str) -> Iterator[None]:
    """Build networks of a dtype policy; those built before keep theirs."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(dtype)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
