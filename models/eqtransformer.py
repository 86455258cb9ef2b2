"""EQTransformer (Mousavi et al. 2020), with its own LSTM pickers or the report's GRU pickers."""

from typing import Any

import keras
from keras import layers

from .layers import bilstm, heads, transformer

FILTERS = (8, 16, 16, 32, 32, 64, 64)
KERNELS = (11, 9, 7, 7, 5, 5, 3)
UNITS = 16
CROPPED_STAGE = 3
"""Decoder stage whose upsampled 752 steps are cropped to 750."""


def build(
    cell: str, cnn_blocks: int = 4, lstm_blocks: int = 2, drop_rate: float = 0.1
) -> keras.Model:
    """EQTransformer on (batch, 6000, 3) windows; outputs as LEQNet's.

    Args:
        cell: `lstm` (331,255 parameters at the default depth) or `gru` (330,199).
        cnn_blocks: Residual blocks; from the fourth on each brings a second one of kernel 2.
        lstm_blocks: Bidirectional LSTM blocks.
        drop_rate: Dropout while training.
    """
    window = keras.Input((6000, 3), name="input")
    x: Any = window
    for stage, (filters, kernel) in enumerate(zip(FILTERS, KERNELS, strict=True)):
        x = layers.Conv1D(
            filters, kernel, padding="same", activation="relu", name=f"encoder_{stage}"
        )(x)
        x = layers.MaxPooling1D(2, padding="same")(x)
    for block, kernel in enumerate(residual_kernels(cnn_blocks)):
        x = _residual(x, block, kernel, drop_rate)
    for block in range(lstm_blocks):
        x = bilstm(x, block, UNITS, drop_rate)
    x = transformer(x, 0, "attentionD0", drop_rate)
    x = transformer(x, 1, "attentionD", drop_rate)
    outputs = heads(x, _decoder, cell, UNITS, drop_rate)
    return keras.Model(window, outputs, name=f"eqtransformer_{cell}")


def residual_kernels(cnn_blocks: int) -> list[int]:
    """Kernel sizes of the residual stack, in order, for a published `cnn_blocks`."""
    return [kernel for block in range(cnn_blocks) for kernel in ((3, 2) if block > 2 else (3,))]


def _residual(x: Any, block: int, kernel: int, drop_rate: float) -> Any:
    skip = x
    for index in range(2):
        name = f"residual_{block}_{index}"
        x = layers.Activation("relu")(layers.BatchNormalization(name=f"{name}_bn")(x))
        x = layers.SpatialDropout1D(drop_rate)(x)
        x = layers.Conv1D(FILTERS[-1], kernel, padding="same", name=f"{name}_conv")(x)
    return layers.Add()([skip, x])


def _decoder(x: Any, head: str) -> Any:
    """From 47 steps back to 6000."""
    for stage, (filters, kernel) in enumerate(zip(FILTERS[::-1], KERNELS[::-1], strict=True)):
        x = layers.UpSampling1D(2)(x)
        if stage == CROPPED_STAGE:
            x = layers.Cropping1D((1, 1))(x)
        x = layers.Conv1D(
            filters, kernel, padding="same", activation="relu", name=f"decoder_{head}_{stage}"
        )(x)
    return x
