"""The network in training: loss, one step, running average of the weights."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from ...models.architectures import architecture
from .devices import computing_in
from .learning_layers import wrapped

Arrays = list[NDArray[Any]]


@dataclass(frozen=True)
class StudentSettings:
    """How a network learns."""

    architecture: str = "leqnet-gru"
    drop_rate: float = 0.0
    peak_learning_rate: float = 4e-3
    weight_decay: float = 5e-3
    clip_norm: float = 1.0
    loss_weights: tuple[float, float, float] = (0.15, 1.0, 1.0)
    """Of detection, P and S, under EQTransformer's name."""
    onset_weight: float = 0.5
    """What a sample at the top of a bump counts more than one of noise."""
    tame_above: float = 6.0
    """Activations beyond this cost: int8 has 256 steps for whatever the largest one is."""
    tame_weight: float = 2e-3
    average_decay: float = 0.998
    priors: tuple[float, float, float] = (0.1, 0.004, 0.006)
    """What the untrained heads answer everywhere: about how often each is true."""


def build(name: str, drop_rate: float) -> Any:
    """Build one of the report's networks, initialised at random."""
    entry = architecture(name)
    family = importlib.import_module(f"....models.{entry.family}", __name__)
    return family.build(entry.cell, drop_rate=drop_rate)


class Student:
    """A network, its optimizer and the running average that is shipped.

    Args:
        settings: What to build, and how it learns.
        seed: Of the initial weights.

    Attributes:
        network: The plain network, as it will be saved.
        average: Running average of the network's weights, batch statistics included.
        steps: Batches learned from.
    """

    def __init__(self, settings: StudentSettings, seed: int) -> None:
        keras.utils.set_random_seed(seed)
        self._settings = settings
        self._build()
        self.average: Arrays = self.network.get_weights()
        self.steps = 0

    def _build(self) -> None:
        settings = self._settings
        self.network = build(settings.architecture, settings.drop_rate)
        self._start_at_priors()
        self._wrapped = wrapped(self.network, settings.tame_above)
        self._optimizer = keras.optimizers.AdamW(
            settings.peak_learning_rate,
            beta_2=0.98,
            weight_decay=settings.weight_decay,
            global_clipnorm=settings.clip_norm,
        )
        # Normalisation and biases are few and must go where they have to.
        self._optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta", "ba", "bh"])
        self._wrapped.compile(
            self._optimizer,
            loss=[self._heads_loss, lambda _, excess: excess],
            loss_weights=[1.0, settings.tame_weight],
            jit_compile=False,
        )
        self._optimizer.build(self._wrapped.trainable_variables)
        empty = [np.zeros((1, 6000, 3), np.float32), np.zeros((1, 1), np.float32)]
        # Makes the metrics of the losses: made in the first step, they have it traced twice.
        answers = [ops.convert_to_tensor(one) for one in empty]
        self._wrapped.compute_loss(x=None, y=empty, y_pred=answers)

    def learn(
        self, windows: NDArray[np.float32], targets: NDArray[np.float32], learning_rate: float
    ) -> float:
        """Take one step; return the batch's loss.

        Args:
            windows: (batch, 6000, 3) prepared.
            targets: (batch, 6000, 3) detection, P, S.
            learning_rate: Of this step.
        """
        nothing = np.zeros((len(windows), 1), np.float32)
        self._optimizer.learning_rate = learning_rate
        losses = self._wrapped.train_on_batch(windows, [targets, nothing])
        self._wrapped.reset_metrics()
        loss = float(np.ravel(losses)[0])
        self.steps += 1
        if self.steps % AVERAGE_EVERY == 0:
            self._average()
        return loss

    def start_from(self, network: Any) -> None:
        """Take the weights of a network of the same architecture instead of random ones."""
        self.network.set_weights(network.get_weights())
        self.average = self.network.get_weights()

    def averaged(self) -> Any:
        """A network of its own that carries the average."""
        with computing_in("float32"):
            network = build(self._settings.architecture, drop_rate=0.0)
        network.set_weights(self.average)
        return network

    def lift(self, head: str, logits: float) -> None:
        """Add to the bias of an output layer, e.g. `picker_P`: the average's, which is shipped."""
        bias = self.network.get_layer(head).bias
        index = next(k for k, w in enumerate(self.network.weights) if w is bias)
        self.average[index] = self.average[index] + np.float32(logits)

    def state(self) -> dict[str, NDArray[Any]]:
        """Return all that a later process needs to continue."""
        state = {"steps": np.asarray(self.steps)}
        for name, arrays in (
            ("weight", self.network.get_weights()),
            ("average", self.average),
            ("optimizer", [np.asarray(v) for v in self._optimizer.variables]),
        ):
            state |= {f"{name}/{k}": array for k, array in enumerate(arrays)}
        return state

    def restore(self, state: dict[str, NDArray[Any]]) -> None:
        """Take up a `state`."""

        def stored(name: str) -> Arrays:
            count = sum(key.startswith(f"{name}/") for key in state)
            return [state[f"{name}/{k}"] for k in range(count)]

        self.network.set_weights(stored("weight"))
        for variable, value in zip(self._optimizer.variables, stored("optimizer"), strict=True):
            variable.assign(value)
        self.average = stored("average")
        self.steps = int(state["steps"])

    def _start_at_priors(self) -> None:
        # Onsets are so rare that a picker first learns to answer 0 everywhere, after which its last
        # eight ReLUs stay at zero: seen within 25 steps. So it starts at the priors, with small
        # weights, and with every ReLU of the decoders open.
        for name, prior in zip(HEAD_LAYERS, self._settings.priors, strict=True):
            layer = self.network.get_layer(name)
            kernel, bias = layer.get_weights()
            layer.set_weights([0.1 * kernel, np.full_like(bias, np.log(prior / (1 - prior)))])
        for layer in self.network.layers:
            if layer.name.startswith("decoder_") and layer.weights:
                *kernels, bias = layer.get_weights()
                layer.set_weights([*kernels, np.full_like(bias, 0.1)])

    def _average(self) -> None:
        # A young average forgets faster, or the random start would stay in it.
        decay = min(self._settings.average_decay, (self.steps + 1) / (self.steps + 50))
        keep = np.float32(decay**AVERAGE_EVERY)
        for mean, now in zip(self.average, self.network.get_weights(), strict=True):
            mean *= keep
            mean += (1 - keep) * now

    def _heads_loss(self, targets: Any, answers: Any) -> Any:
        settings = self._settings
        answers = ops.clip(ops.cast(answers, "float32"), 1e-6, 1 - 1e-6)
        entropy = -(targets * ops.log(answers) + (1 - targets) * ops.log(1 - answers))
        onset = ops.convert_to_tensor([0.0, settings.onset_weight, settings.onset_weight])
        weights = ops.convert_to_tensor(list(settings.loss_weights))
        return ops.sum(entropy * (1 + targets * onset) * weights, axis=-1)


HEAD_LAYERS = ("detector", "picker_P", "picker_S")
AVERAGE_EVERY = 10
"""Steps between two updates of the average."""
