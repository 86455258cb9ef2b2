"""Tiny steps of the real network, that several tests take."""

import numpy as np
from eqedge.convert.training import loop
from eqedge.convert.training.loop import learning_rate
from eqedge.convert.training.student import StudentSettings

SETTINGS = StudentSettings()
IDENTITY = {"seed": 1}
BROKEN_AT, STEPS = 11, 20


def stream(first):
    """Tiny batches, each a function of its number."""
    number = first
    while True:
        rng = np.random.default_rng([9, number])
        windows = rng.standard_normal((2, 6000, 3)).astype(np.float32)
        targets = np.zeros((2, 6000, 3), np.float32)
        targets[:, 3000:3020] = 1
        yield windows, targets
        number += 1


def take_steps(student, output, steps):
    """Learn from the stream where the student is, and save."""
    batches = stream(student.steps)
    for _ in range(steps):
        student.learn(*next(batches), learning_rate(4e-3, student.steps / STEPS))
    loop.save(output, student, 1.0, IDENTITY)


def distance(one, other, kind):
    """Euclidean distance of two states in the weights, their average or the optimizer."""
    assert one.keys() == other.keys()
    keys = [key for key in one if key.startswith(f"{kind}/")]
    assert keys
    return np.sqrt(sum(np.square(one[key] - other[key], dtype=float).sum() for key in keys))
