"""Steps on two devices; `python -m tests.convert.training.mirrored DATA BROKEN OUTPUT`.

A process of its own, because TensorFlow is told of two processors before it computes anything.
Prints what was seen as JSON; the state of the real network is left in OUTPUT.
"""

import json
import sys
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from click.testing import CliRunner
from eqedge.convert.training import devices, loop
from eqedge.convert.training.cli import train
from eqedge.convert.training.loop import LoopSettings
from eqedge.convert.training.replicas import replicas_on
from eqedge.convert.training.student import Student

from .steps import IDENTITY, SETTINGS, STEPS, stream

PLAIN_STEPS = 4


class Looking(keras.layers.Layer):
    """Passes on what it gets, and notes how many windows each device gets."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def call(self, x):
        """Note while the step is traced: once for each device."""
        context = tf.distribute.get_replica_context()
        number = tf.get_static_value(context.replica_id_in_sync_group) if context else -1
        self.seen.append([int(number), x.shape[0]])
        return x


def plain(replicas):
    """A small network whose windows are unlike: losses, weights, and who saw how many windows."""
    keras.utils.set_random_seed(3)
    with replicas.scope():
        inputs, looking = keras.Input((20, 3)), Looking()
        hidden = keras.layers.BatchNormalization()(looking(inputs))
        model = keras.Model(inputs, [keras.layers.Dense(3)(hidden), keras.layers.Dense(1)(hidden)])
        # far below the gradients' norm: each part clipped for itself would lead elsewhere
        adam = replicas.adam(0.01, weight_decay=0.1, global_clipnorm=1e-3)
        square = lambda wanted, found: (wanted - found) ** 2  # noqa: E731
        model.compile(adam, loss=[square, square], loss_weights=[1.0, 0.5], jit_compile=False)
        adam.build(model.trainable_variables)
        replicas.prepare(model, [np.zeros((1, 20, 3), np.float32), np.zeros((1, 20, 1))])
    losses = []
    looking.seen.clear()
    for number in range(PLAIN_STEPS):
        rng = np.random.default_rng(number)
        windows = rng.standard_normal((6, 20, 3)).astype(np.float32) + 1
        windows[:3] *= 20
        targets = [windows[..., ::-1] ** 2, windows[..., :1] + 4]
        with replicas.scope():
            losses.append(replicas.step(model, windows, targets))
    return losses, [w.tolist() for w in model.get_weights()], sorted({*map(tuple, looking.seen)})


def main(data, broken, output):
    """Compare, refuse, go on."""
    processor = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(
        processor, [tf.config.LogicalDeviceConfiguration()] * 2
    )
    found = devices.find()
    arguments = ["--data", data, "--output", output, "--batch", "3", "--steps", "1"]
    refused = CliRunner().invoke(train, arguments)
    two = replicas_on(found.names)
    student = Student(SETTINGS, 77, two)
    loop.resume(Path(broken), student, IDENTITY)
    finished = loop.train(student, 4e-3, stream, LoopSettings(steps=STEPS), Path(output), IDENTITY)
    seen = {
        "told": found.told,
        "refused": repr(refused.exception),
        "one": plain(replicas_on(())),
        "two": plain(two),
        "finished": finished,
        "averaged": student.averaged().predict_on_batch(next(stream(0))[0])[0].shape,
    }
    print(json.dumps(seen))


if __name__ == "__main__":
    main(*sys.argv[1:])
