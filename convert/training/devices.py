"""Choose the device that a training computes on, and the precision it is good at."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import keras

from ... import EqedgeError


class DeterminismError(EqedgeError):
    """A device that is not known to compute the same bits twice."""


@dataclass(frozen=True)
class Device:
    """Where steps are computed.

    Attributes:
        is_gpu: Whether on a GPU.
        dtype: Keras's dtype policy.
        idle: GPUs that are left unused: a network of 38,720 parameters learns on one.
        deterministic: Whether it computes in one thread, so that sums have one order.
    """

    is_gpu: bool = False
    dtype: str = "float32"
    idle: int = 0
    deterministic: bool = False

    @property
    def description(self) -> str:
        """One line for the card."""
        kind = "GPU" if self.is_gpu else "CPU"
        order = ", one thread" if self.deterministic else ""
        rest = f"; {self.idle} more idle" if self.idle else ""
        return f"tensorflow on {kind}, {self.dtype}{order}{rest}"

    def check_deterministic(self) -> None:
        """Refuse what was not seen to compute the same bits twice.

        Raises:
            DeterminismError: `--deterministic` on a GPU.
        """
        if self.deterministic and self.is_gpu:
            raise DeterminismError(
                "--deterministic: not known to hold on a GPU; leave it out, or compute on the CPU "
                "with CUDA_VISIBLE_DEVICES=-1"
            )


def find(deterministic: bool = False) -> Device:
    """Look for a GPU, and use mixed precision if it computes in bfloat16.

    Args:
        deterministic: Compute in one thread from now on; nothing may have been computed before.
    """
    import tensorflow as tf

    if deterministic:
        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.threading.set_inter_op_parallelism_threads(1)
    gpus = tf.config.list_physical_devices("GPU")
    details = [tf.config.experimental.get_device_details(gpu) for gpu in gpus[:1]]
    is_modern = any(detail.get("compute_capability", (0, 0)) >= (8, 0) for detail in details)
    dtype = "mixed_bfloat16" if is_modern else "float32"
    return Device(bool(gpus), dtype, max(0, len(gpus) - 1), deterministic)


@contextmanager
def computing_in(dtype: str) -> Iterator[None]:
    """Build networks of a dtype policy; those built before keep theirs."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(dtype)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
