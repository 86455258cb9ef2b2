"""Unroll recurrences: two cells of equal width run as one, inputs projected beforehand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

Array = NDArray[np.float32]
Tensor = Any
CellWeights = Sequence[Array]
"""Kernel, recurrent kernel and bias as Keras orders them."""


def lstm_pair(
    inputs: tuple[Tensor, Tensor], cells: tuple[CellWeights, CellWeights], *, hard: bool = False
) -> Tensor:
    """Run two LSTMs side by side.

    Args:
        inputs: (steps, features) for each; the same tensor twice is projected once.
        cells: Weights of each, gates i, f, c, o.
        hard: Whether gates are Keras 2's `hard_sigmoid`.

    Returns:
        (steps, 2 * units): first cell's states, then the second's.
    """
    gates = [_by_gate(cell, 4, hard, candidate=2) for cell in cells]
    # i, f, o first: one operation covers them
    order = (0, 1, 3, 2)
    if not hard:
        gates = [_with_candidate_as_gate(cell) for cell in gates]
    projected = _projected(inputs, gates, order)
    recurrent = np.concatenate([_diagonal(gates[0][1][g], gates[1][1][g]) for g in order], axis=1)
    width = recurrent.shape[0]
    states: list[Tensor] = []
    hidden = memory = None
    for step in _steps(projected):
        with tf.name_scope("gates"):
            z = step if hidden is None else step + tf.matmul(hidden, recurrent)
            gate = _hard_gates if hard else _soft_gates
            i, f, o, candidate = gate(z, width, first=memory is None)
        with tf.name_scope("memory"):
            memory = i * candidate if memory is None else f * memory + i * candidate
        with tf.name_scope("state"):
            hidden = o * tf.tanh(memory)
        states.append(hidden)
    return tf.concat(states, axis=0)


def _with_candidate_as_gate(cell: list[list[Array]]) -> list[list[Array]]:
    """Weights of i, f, 2 c, o: tanh(x) is 2 sigmoid(2 x) - 1."""
    return [[i, f, 2.0 * c, o] for i, f, c, o in cell]


def _soft_gates(z: Tensor, width: int, first: bool) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """i, f, o and candidate: one sigmoid for all of them.

    The candidate's 2 s - 1 is a dense layer: one operation, and exact in int8.
    """
    i, f, o, s = _parts(tf.sigmoid(z), 4, width, first)
    doubled = tf.matmul(s, 2.0 * np.eye(width, dtype=np.float32))
    return i, f, o, doubled + np.full(width, -1.0, np.float32)  # a sum becomes the layer's bias


def _hard_gates(z: Tensor, width: int, first: bool) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    i, f, o = _parts(_clipped(z[:, : 3 * width]), 3, width, first)
    return i, f, o, tf.tanh(z[:, 3 * width :])


def _parts(x: Tensor, count: int, width: int, first: bool) -> list[Tensor]:
    """Columns apart; the first step has no memory to forget, and leaves f unused.

    The quantiser leaves a split in float when one of its parts is not used.
    """
    if first:
        return [x[:, part * width : (part + 1) * width] for part in range(count)]
    return list(tf.split(x, count, axis=1))


def gru_pair(x: Tensor, cells: tuple[CellWeights, CellWeights], *, hard: bool = False) -> Tensor:
    """Run two GRUs (`reset_after=False`) on one input.

    Args:
        x: (steps, features).
        cells: Weights of each, gates z, r, h.
        hard: Whether gates are Keras 2's `hard_sigmoid`.

    Returns:
        (steps, 2 * units): first cell's states, then the second's.
    """
    gates = [_by_gate(cell, 3, hard, candidate=2) for cell in cells]
    activate = _clipped if hard else tf.sigmoid
    width = 2 * cells[0][1].shape[0]
    gate_matrix = np.concatenate(
        [_diagonal(gates[0][1][g], gates[1][1][g]) for g in (0, 1)], axis=1
    )
    candidate_matrix = _diagonal(gates[0][1][2], gates[1][1][2])
    # apart, so that in int8 gates and candidates have ranges of their own
    gate_steps = _steps(_projected((x, x), gates, (0, 1)))
    candidate_steps = _steps(_projected((x, x), gates, (2,)))
    states: list[Tensor] = []
    hidden = None
    for gate_step, candidate_step in zip(gate_steps, candidate_steps, strict=True):
        if hidden is None:
            update = activate(gate_step)[:, :width]
            candidate = tf.tanh(candidate_step)
            hidden = candidate - update * candidate
        else:
            with tf.name_scope("gates"):
                both = activate(gate_step + tf.matmul(hidden, gate_matrix))
                update, reset = tf.split(both, 2, axis=1)
            with tf.name_scope("candidate"):
                candidate = tf.tanh(candidate_step + tf.matmul(reset * hidden, candidate_matrix))
            with tf.name_scope("state"):
                hidden = candidate + update * (hidden - candidate)
        states.append(hidden)
    return tf.concat(states, axis=0)


def _by_gate(cell: CellWeights, count: int, hard: bool, candidate: int) -> list[list[Array]]:
    """Kernel, recurrent kernel and bias split by gate; a hard gate's 0.2 x + 0.5 folded in."""
    parts = [np.split(array, count, axis=-1) for array in cell]
    if hard:
        for gate in set(range(count)) - {candidate}:
            for part, shift in zip(parts, (0.0, 0.0, 0.5), strict=True):
                part[gate] = (0.2 * part[gate] + shift).astype(np.float32)
    return parts


def _clipped(x: Tensor) -> Tensor:
    return tf.minimum(tf.maximum(x, 0.0), 1.0)


def _projected(
    inputs: tuple[Tensor, Tensor], gates: Sequence[Sequence[Sequence[Array]]], order: Sequence[int]
) -> Tensor:
    """Input projections of all steps, columns ordered gate by gate, first cell before second."""
    if inputs[0] is inputs[1]:
        kernel = np.concatenate([cell[0][g] for g in order for cell in gates], axis=1)
        bias = np.concatenate([cell[2][g] for g in order for cell in gates])
        return tf.matmul(inputs[0], kernel) + bias
    apart = []
    for x, (kernels, _, biases) in zip(inputs, gates, strict=True):
        kernel = np.concatenate([kernels[g] for g in order], axis=1)
        y = tf.matmul(x, kernel) + np.concatenate([biases[g] for g in order])
        apart.append(tf.reshape(y, [y.shape[0], len(order), 1, -1]))
    return tf.reshape(tf.concat(apart, axis=2), [inputs[0].shape[0], -1])


def _diagonal(first: Array, second: Array) -> Array:
    """Block-diagonal matrix of two."""
    matrix = np.zeros(np.add(first.shape, second.shape), dtype=np.float32)
    matrix[: first.shape[0], : first.shape[1]] = first
    matrix[first.shape[0] :, first.shape[1] :] = second
    return matrix


def _steps(x: Tensor) -> list[Tensor]:
    """(1, features) of each step."""
    return list(tf.split(x, x.shape[0], axis=0))
