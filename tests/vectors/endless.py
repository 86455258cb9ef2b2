"""Makes endless.tflite, a network that never returns: `python tests/vectors/endless.py`.

It takes and gives what LEQNet-GRU does, and loops for as long as a number is not negative that
never changes. `tests/test_liveness.py` runs it: a real hang, inside the runtime.
"""

from pathlib import Path

import tensorflow as tf

WINDOW_SAMPLES = 6000


class Endless(tf.Module):
    """Three heads behind a loop without end."""

    @tf.function(input_signature=[tf.TensorSpec((1, WINDOW_SAMPLES, 3), tf.float32)])
    def serve(self, waveform):
        """Never return."""
        count = tf.reduce_max(tf.abs(waveform))
        (count,) = tf.while_loop(lambda n: n >= 0.0, lambda n: (tf.abs(n),), (count,))
        return {head: waveform[:, :, :1] * count for head in ("detection", "P", "S")}


if __name__ == "__main__":
    module = Endless()
    function = module.serve.get_concrete_function()
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function], module)
    Path(__file__).with_suffix(".tflite").write_bytes(converter.convert())
