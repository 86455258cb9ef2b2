"""What a training runs on, and the precision it is good at."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import keras

from ... import EqedgeError


class BatchError(EqedgeError):
    """A batch that the devices cannot share equally."""


class DeterminismError(EqedgeError):
    """Devices that are not known to compute the same bits twice."""


@dataclass(frozen=True)
class Device:
    """Where steps are computed.

    Attributes:
        backend: Keras's: `tensorflow` or `torch`; KERAS_BACKEND chooses.
        is_gpu: Whether on a GPU.
        dtype: Keras's dtype policy.
        names: TensorFlow's names of the devices that share each batch; none where one computes.
        idle: GPUs that the backend leaves unused.
        deterministic: Whether it computes in one thread, so that sums have one order.
    """

    backend: str
    is_gpu: bool = False
    dtype: str = "float32"
    names: tuple[str, ...] = ()
    idle: int = 0
    deterministic: bool = False

    @property
    def told(self) -> str:
        """One line for the card."""
        kind = "GPU" if self.is_gpu else "CPU"
        what = f"{len(self.names)} {kind}s" if self.names else kind
        rest = f"; {self.idle} more idle, KERAS_BACKEND=tensorflow uses all" if self.idle else ""
        order = ", one thread" if self.deterministic else ""
        return f"{self.backend} on {what}, {self.dtype}{order}{rest}"

    def check_batch(self, windows: int) -> None:
        """Refuse a batch that does not divide.

        Raises:
            BatchError: It cannot be shared equally.
        """
        count = max(1, len(self.names))
        if windows % count:
            lower = windows // count * count
            raise BatchError(
                f"--batch {windows}: cannot be shared equally by {count} devices; give "
                f"{f'{lower} or ' if lower else ''}{lower + count}, or fewer devices by "
                "CUDA_VISIBLE_DEVICES"
            )

    def check_deterministic(self) -> None:
        """Refuse what was not seen to compute the same bits twice.

        Raises:
            DeterminismError: It is asked for on a GPU.
        """
        if self.deterministic and self.is_gpu:
            raise DeterminismError(
                "--deterministic: not known to hold on a GPU; leave it out, or compute on the CPU "
                "with CUDA_VISIBLE_DEVICES=-1"
            )


def find(deterministic: bool = False) -> Device:
    """Look for GPUs, and use mixed precision if they compute in bfloat16.

    All that TensorFlow sees share each batch: CUDA_VISIBLE_DEVICES leaves some out.

    Args:
        deterministic: Compute in one thread from now on; nothing may have been computed before.
    """
    backend = keras.config.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        if deterministic:
            tf.config.threading.set_intra_op_parallelism_threads(1)
            tf.config.threading.set_inter_op_parallelism_threads(1)
        gpus = tf.config.list_physical_devices("GPU")
        details = [tf.config.experimental.get_device_details(gpu) for gpu in gpus]
        modern = all(detail.get("compute_capability", (0, 0)) >= (8, 0) for detail in details)
        devices = tf.config.list_logical_devices("GPU" if gpus else "CPU")
        names = tuple(device.name for device in devices) if len(devices) > 1 else ()
        dtype = _dtype(bool(gpus) and modern)
        return Device(backend, bool(gpus), dtype, names, deterministic=deterministic)
    import torch

    if deterministic:
        torch.set_num_threads(1)
    is_gpu = torch.cuda.is_available()
    modern = is_gpu and torch.cuda.is_bf16_supported()
    idle = max(0, torch.cuda.device_count() - 1)
    return Device(backend, is_gpu, _dtype(modern), idle=idle, deterministic=deterministic)


def _dtype(modern: bool) -> str:
    return "mixed_bfloat16" if modern else "float32"


@contextmanager
def computing_in(dtype: str) -> Iterator[None]:
    """Build networks of a dtype policy; those built before keep theirs."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(dtype)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
