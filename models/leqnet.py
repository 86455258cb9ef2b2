"""LEQNet (Lim et al. 2022): EQTransformer made light by separable, partly shared convolutions."""

from typing import Any

import keras
from keras import layers

from .layers import bilstm, heads, transformer

ENCODER = ((8, 11, 3), (16, 9, 3), (16, 7, 3), (16, 7, 2), (32, 5, 2))
"""(filters, kernel, pool) of each stage; the third and fourth share one convolution."""
DECODER = (
    (32, 3, 2, (0, 0)),
    (16, 5, 2, (1, 0)),
    (16, 5, 3, (1, 1)),
    (16, 5, 3, (1, 0)),
    (8, 7, 3, (0, 0)),
)
"""(filters, kernel, upsampling, cropping) of each stage; the third and fourth share one."""
SHARED_STAGE = 3
"""The stage that uses the convolution of the stage before it."""
UNITS = 16


def build(
    cell: str, cnn_blocks: int = 4, lstm_blocks: int = 2, drop_rate: float = 0.1
) -> keras.Model:
    """LEQNet on (batch, 6000, 3); detector, picker_P and picker_S, (batch, 6000, 1) each.

    Args:
        cell: `lstm` for LEQNet as published (39,776 parameters), `gru` for LEQNet-GRU (38,720).
        cnn_blocks: Residual blocks after the encoder.
        lstm_blocks: Bidirectional LSTM blocks after those.
        drop_rate: Dropout while training; never active at inference.
    """
    window = keras.Input((6000, 3), name="input")
    x: Any = window
    for stage, (filters, kernel, pool) in enumerate(ENCODER):
        if stage != SHARED_STAGE:
            conv = layers.SeparableConv1D(
                filters, kernel, padding="same", activation="relu", name=f"encoder_{stage}"
            )
        x = layers.MaxPooling1D(pool, padding="same")(conv(x))
    for block in range(cnn_blocks):
        x = _residual(x, block, 2 if block > 2 else 3, drop_rate)
    for block in range(lstm_blocks):
        x = bilstm(x, block, UNITS, drop_rate)
    x = transformer(x, 0, "attentionD0", drop_rate)
    x = transformer(x, 1, "attentionD", drop_rate)
    outputs = heads(x, _decoder, cell, UNITS, drop_rate)
    return keras.Model(window, outputs, name=f"leqnet_{cell}")


def _residual(x: Any, block: int, kernel: int, drop_rate: float) -> Any:
    """Bottleneck of three convolutions, each after normalisation and ReLU, added to the input."""
    skip = x
    for index, (filters, size) in enumerate(((8, 1), (8, kernel), (32, 1))):
        name = f"residual_{block}_{index}"
        x = layers.Activation("relu")(layers.BatchNormalization(name=f"{name}_bn")(x))
        if index == 1:
            x = layers.SpatialDropout1D(drop_rate)(x)
        x = layers.Conv1D(filters, size, padding="same", name=f"{name}_conv")(x)
    return layers.Add()([skip, x])


def _decoder(x: Any, head: str) -> Any:
    """From 56 steps back to 6000."""
    for stage, (filters, kernel, size, cropping) in enumerate(DECODER):
        x = layers.UpSampling1D(size)(x)
        if any(cropping):
            x = layers.Cropping1D(cropping)(x)
        if stage != SHARED_STAGE:
            conv = layers.SeparableConv1D(
                filters, kernel, padding="same", activation="relu", name=f"decoder_{head}_{stage}"
            )
        x = conv(x)
    return x
