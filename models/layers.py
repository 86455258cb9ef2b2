"""The layers of EQTransformer and LEQNet that Keras does not have, and blocks built of them."""

from typing import Any

import keras
from keras import layers, ops

Tensor = Any
"""A symbolic or concrete Keras tensor."""


class SeqSelfAttention(layers.Layer):  # type: ignore[misc]  # keras carries no types
    """Additive self-attention over time, as in EQTransformer: (batch, time, features) unchanged.

    Args:
        units: Width of the additive score's hidden layer.
        attention_width: Steps each step may look at, itself in the middle; None for all. Only 3 and
            None occur in the published networks. A band's softmax is taken over the band alone.
        row_guard: Whether a band is weighted as published instead: exponentials relative to the
            whole row's largest score, masked, divided by their sum plus 1e-7. It differs only
            where the band holds next to nothing of its row (1.4e-4 of probability at most, seen on
            real windows), and costs the whole row.
    """

    row_guard = False

    def __init__(self, units: int = 32, attention_width: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.units = units
        self.attention_width = attention_width

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create Wt, Wx, bh, Wa and ba, in the published order."""
        features, units = input_shape[-1], self.units
        for name, shape, init in (
            ("Wt", (features, units), "glorot_normal"),
            ("Wx", (features, units), "glorot_normal"),
            ("bh", (units,), "zeros"),
            ("Wa", (units, 1), "glorot_normal"),
            ("ba", (1,), "zeros"),
        ):
            setattr(self, name, self.add_weight(shape=shape, initializer=init, name=name))

    def call(self, x: Tensor) -> Tensor:
        """Replace each step by the weighted mean of the steps in its attention width."""
        query, key = ops.matmul(x, self.Wt) + self.bh, ops.matmul(x, self.Wx)
        if self.attention_width is None:
            hidden = ops.tanh(ops.expand_dims(query, 2) + ops.expand_dims(key, 1))
            scores = ops.squeeze(ops.matmul(hidden, self.Wa), -1) + self.ba
            return ops.matmul(ops.softmax(scores, axis=-1), x)
        if self.row_guard:
            return self._published_band(x, query, key, self.attention_width)
        before = self.attention_width // 2
        after = self.attention_width - before - 1
        steps = x.shape[1]
        keys = ops.pad(key, [[0, 0], [before, after], [0, 0]])
        values = ops.pad(x, [[0, 0], [before, after], [0, 0]])
        inside = ops.ones((1, steps, 1), dtype=x.dtype)
        inside = ops.pad(inside, [[0, 0], [before, after], [0, 0]])
        shifts = range(self.attention_width)
        scores = ops.concatenate(
            [
                ops.matmul(ops.tanh(query + keys[:, j : j + steps]), self.Wa)
                + self.ba
                + (inside[:, j : j + steps] - 1.0) * 1e4
                for j in shifts
            ],
            axis=-1,
        )
        weights = ops.softmax(scores, axis=-1)
        return sum(weights[..., j : j + 1] * values[:, j : j + steps] for j in shifts)

    def _published_band(self, x: Tensor, query: Tensor, key: Tensor, width: int) -> Tensor:
        hidden = ops.tanh(ops.expand_dims(query, 2) + ops.expand_dims(key, 1))
        scores = ops.squeeze(ops.matmul(hidden, self.Wa), -1)
        raised = ops.exp(scores - ops.max(scores, axis=-1, keepdims=True))
        step = ops.arange(x.shape[1])
        first = ops.expand_dims(step, 1) - width // 2
        inside = (step >= first) & (step < first + width)
        kept = raised * ops.cast(inside, raised.dtype)
        return ops.matmul(kept / (ops.sum(kept, axis=-1, keepdims=True) + 1e-7), x)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return the input's own shape."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """Return what `from_config` needs."""
        own = {"units": self.units, "attention_width": self.attention_width}
        return {**super().get_config(), **own}


class LayerNormalization(layers.Layer):  # type: ignore[misc]  # keras carries no types
    """Normalisation over features with the published networks' tiny epsilon of 1e-14."""

    epsilon = 1e-14

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create gamma and beta."""
        self.gamma = self.add_weight(shape=(input_shape[-1],), initializer="ones", name="gamma")
        self.beta = self.add_weight(shape=(input_shape[-1],), initializer="zeros", name="beta")

    def call(self, x: Tensor) -> Tensor:
        """Return (x - mean) / deviation, scaled and shifted."""
        centred = x - ops.mean(x, axis=-1, keepdims=True)
        variance = ops.mean(ops.square(centred), axis=-1, keepdims=True)
        return centred * ops.rsqrt(variance + self.epsilon) * self.gamma + self.beta

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return the input's own shape."""
        return input_shape


class FeedForward(layers.Layer):  # type: ignore[misc]  # keras carries no types
    """Two dense layers with ReLU and dropout between them, back to the input's width."""

    def __init__(self, units: int = 128, dropout_rate: float = 0.1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.units = units
        self.dropout_rate = dropout_rate
        self.dropout = layers.Dropout(dropout_rate)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create W1, b1, W2 and b2, in the published order."""
        features = input_shape[-1]
        for name, shape, init in (
            ("W1", (features, self.units), "glorot_normal"),
            ("b1", (self.units,), "zeros"),
            ("W2", (self.units, features), "glorot_normal"),
            ("b2", (features,), "zeros"),
        ):
            setattr(self, name, self.add_weight(shape=shape, initializer=init, name=name))

    def call(self, x: Tensor, training: bool | None = None) -> Tensor:
        """Return W2 relu(W1 x + b1) + b2."""
        hidden = ops.relu(ops.matmul(x, self.W1) + self.b1)
        return ops.matmul(self.dropout(hidden, training=training), self.W2) + self.b2

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return the input's own shape."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """Return what `from_config` needs."""
        own = {"units": self.units, "dropout_rate": self.dropout_rate}
        return {**super().get_config(), **own}


def bilstm(x: Tensor, index: int, units: int, drop_rate: float) -> Tensor:
    """Bidirectional LSTM, a 1x1 convolution back to `units`, batch normalisation."""
    cell = layers.LSTM(units, return_sequences=True, dropout=drop_rate, recurrent_dropout=drop_rate)
    x = layers.Bidirectional(cell, name=f"bilstm_{index}")(x)
    x = layers.Conv1D(units, 1, padding="same", name=f"bilstm_{index}_conv")(x)
    return layers.BatchNormalization(name=f"bilstm_{index}_bn")(x)


def transformer(x: Tensor, index: int, name: str, drop_rate: float) -> Tensor:
    """Attention and feed-forward, each added to its input and normalised."""
    attended = SeqSelfAttention(name=name)(x)
    x = LayerNormalization(name=f"transformer_{index}_norm_0")(layers.Add()([x, attended]))
    widened = FeedForward(dropout_rate=drop_rate, name=f"transformer_{index}_ff")(x)
    return LayerNormalization(name=f"transformer_{index}_norm_1")(layers.Add()([x, widened]))


def heads(encoded: Tensor, decoder: Any, cell: str, units: int, drop_rate: float) -> list[Tensor]:
    """Detector, picker_P and picker_S on top of one encoding.

    Args:
        encoded: (batch, time, features).
        decoder: Function of (tensor, head name) giving (batch, 6000, features).
        cell: `lstm` (the published pickers) or `gru` (the report's; `reset_after=False`).
        units: Width of the pickers' recurrence.
        drop_rate: Dropout while training.
    """
    options = {"return_sequences": True, "dropout": drop_rate, "recurrent_dropout": drop_rate}
    outputs = []
    for head in ("detector", "picker_P", "picker_S"):
        x = encoded
        if head != "detector":
            phase = head[-1]
            name = f"rnn_{phase}"
            rnn = (
                layers.LSTM(units, name=name, **options)
                if cell == "lstm"
                else layers.GRU(units, reset_after=False, name=name, **options)
            )
            x = SeqSelfAttention(attention_width=3, name=f"attention{phase}")(rnn(x))
        x = decoder(x, head)
        outputs.append(layers.Conv1D(1, 11, padding="same", activation="sigmoid", name=head)(x))
    return outputs


CUSTOM_OBJECTS: dict[str, type[keras.layers.Layer]] = {
    cls.__name__: cls for cls in (SeqSelfAttention, LayerNormalization, FeedForward)
}
"""Argument `custom_objects` of `keras.models.load_model`."""
