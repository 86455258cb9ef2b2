"""A batch -> one step, on one device or on all GPUs at once: tf.distribute by way of Keras."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import keras
import numpy as np
from keras import layers
from numpy.typing import NDArray

Targets = Sequence[NDArray[np.float32]]


class Single:
    """The device that the backend prefers."""

    def scope(self) -> AbstractContextManager[Any]:
        """Where models are made and changed."""
        return nullcontext()

    def adam(self, *arguments: Any, **options: Any) -> Any:
        """Make an optimizer; the arguments are those of `keras.optimizers.AdamW`."""
        return keras.optimizers.AdamW(*arguments, **options)

    def prepare(self, model: Any, batch: Targets) -> None:
        """Make a compiled model ready; `batch` is one window's targets."""

    def step(self, model: Any, windows: NDArray[np.float32], targets: Targets) -> float:
        """Let a model take one step; return the batch's loss."""
        losses = model.train_on_batch(windows, targets)
        model.reset_metrics()
        return float(np.ravel(losses)[0])


class Mirrored:
    """Devices that hold the same weights, and learn from equal parts of every batch.

    A step is the one that a single device takes: batch normalisation sees the whole batch, and
    gradients of the parts are added and then clipped. A model's losses must return a value for each
    window or sample, which Keras reduces.
    """

    def __init__(self, names: Sequence[str]) -> None:
        """Take TensorFlow's names of the devices, once in a process: collectives are numbered."""
        import tensorflow as tf

        self._tf = tf
        self._strategy = tf.distribute.MirroredStrategy(list(names))

    def scope(self) -> AbstractContextManager[Any]:
        """Where models are made and changed."""
        scope: AbstractContextManager[Any] = self._strategy.scope()
        return scope

    def adam(self, *arguments: Any, global_clipnorm: float, **options: Any) -> Any:
        """Make an optimizer; the arguments are those of `keras.optimizers.AdamW`."""
        distribute, count = self._tf.distribute, self._strategy.num_replicas_in_sync

        class ClippedTogether(keras.optimizers.AdamW):  # type: ignore[misc]  # keras is untyped
            """Keras clips the gradients of each part and then adds: here each is their mean."""

            def apply_gradients(self, grads_and_vars: Any) -> Any:
                gradients, variables = zip(*grads_and_vars, strict=True)
                mean = distribute.get_replica_context().all_reduce("MEAN", list(gradients))
                return super().apply_gradients(zip(mean, variables, strict=True))

        return ClippedTogether(*arguments, global_clipnorm=global_clipnorm / count, **options)

    def prepare(self, model: Any, batch: Targets) -> None:
        """Make a compiled model ready; `batch` is one window's targets."""
        for layer in model.layers:
            if isinstance(layer, layers.BatchNormalization):
                layer.synchronized = True
        # makes the metrics of the losses, which cannot be made in the midst of a replicated step
        model.compute_loss(x=None, y=list(batch), y_pred=[self._tf.constant(y) for y in batch])
        model.make_train_function()

    def step(self, model: Any, windows: NDArray[np.float32], targets: Targets) -> float:
        """Let a model take one step; return the batch's loss."""
        size = len(windows) // self._strategy.num_replicas_in_sync

        def part(context: Any) -> Any:
            first = size * context.replica_id_in_sync_group
            own = slice(first, first + size)
            constant = self._tf.constant
            return constant(windows[own]), [constant(target[own]) for target in targets]

        parts = self._strategy.experimental_distribute_values_from_function(part)
        model.reset_metrics()
        # `train_on_batch` would give the whole batch to every device
        return float(model.train_function(iter([parts]))["loss"])


Replicas = Single | Mirrored


def replicas_on(names: Sequence[str]) -> Replicas:
    """Spread steps over named devices of TensorFlow; without a name the backend's own."""
    return Mirrored(names) if names else Single()
