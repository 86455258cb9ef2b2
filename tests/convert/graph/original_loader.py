"""Run as a process: answers of a published .h5 under the Keras it was saved for.

`python original_loader.py LOADER_FOLDER FILE.h5 WINDOWS.npy ANSWERS.npy`, with the folder of the
teachers' own `keras_h5.py`; tf_keras only behaves with TF_USE_LEGACY_KERAS set before TensorFlow
is imported.
"""

import sys

import numpy as np

if __name__ == "__main__":
    folder, weights, windows, answers = sys.argv[1:]
    sys.dont_write_bytecode = True
    sys.path.insert(0, folder)
    from keras_h5 import load

    network = load(weights)
    for layer in network.layers:
        if layer.name.startswith("spatial_dropout"):
            layer.rate = 0.0  # the authors left it on at inference
    outputs = network(np.load(windows), training=False)
    np.save(answers, np.concatenate([np.asarray(y) for y in outputs], axis=2))
