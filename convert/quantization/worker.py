"""Convert in a child process: `python -m eqedge.convert.quantization.worker FOLDER`."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from tensorflow.lite.python import convert as lite_convert

from ..graph.encoder import Encoder, LayerWeights
from ..graph.networks import Variant
from ..graph.static import folded, static_module
from .flatbuffer import compact, open_flatbuffer, stage_of
from .float_io import with_float_io
from .quantize import RANGED, RANGES, REQUEST, RESULT, WEIGHTS, WINDOWS
from .ranges import ranges_in, with_ranges
from .tuning import encoder_points, tune_encoder

RANGE_WINDOWS = 300
"""Windows that ranges are taken from; more change nothing."""
WIDE_WINDOWS = 100
"""Windows whose extremes int16x8 is given."""
Request = dict[str, Any]


def main(folder: Path) -> None:
    """Answer the request in `folder` with a model file in it."""
    request = json.loads((folder / REQUEST).read_text())
    layers = _read_weights(folder / WEIGHTS)
    # one thread: the order of additions, and with it the bytes, must not depend on the load
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.experimental.enable_op_determinism()
    tf.keras.utils.set_random_seed(0)
    precision = request["precision"]
    if precision in ("float32", "float16", "dynamic"):
        _tell("converting", 0, 1)
        data = compact(_converted(_module(request, layers), precision))
    elif precision == "int16x8":
        data = compact(_wide(request, layers, np.load(folder / WINDOWS)))
    else:
        known = folder / RANGED
        data = known.read_bytes() if known.exists() else _ranged(request, layers, folder)
        if precision != RANGES:
            _tell("converting", 0, 1)
            data = compact(_rounded(request, data))
    (folder / RESULT).write_bytes(data)
    if precision != RANGES:
        _tell("converting", 1, 1)


def _module(request: Request, layers: LayerWeights, encoder: Encoder | None = None) -> Any:
    return static_module(request["arch"], Variant(**request["variant"]), layers, encoder)


def _read_weights(path: Path) -> LayerWeights:
    layers: dict[str, list[NDArray[np.float32]]] = {}
    with np.load(path) as arrays:
        for key in arrays.files:
            layers.setdefault(key.rsplit("/", 1)[0], []).append(arrays[key])
    return layers


def _converted(module: Any, precision: str) -> bytes:
    """Convert without ranges: float32, float16 weights, or int8 weights (`dynamic`)."""
    function = module.window.get_concrete_function()
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function], module)
    if precision != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if precision == "float16":
        converter.target_spec.supported_types = [tf.float16]
    return bytes(converter.convert())


def _wide(request: Request, layers: LayerWeights, windows: NDArray[np.float32]) -> bytes:
    """16-bit activations, by the older quantiser: the newer one's file does not load.

    It has no L2_NORMALIZATION of 16 bits and leaves that in float. Of 65536 steps the extremes
    may have their share, so the stock calibrator does.
    """
    some = _spread(windows, WIDE_WINDOWS)

    def shown() -> Iterator[list[NDArray[np.float32]]]:
        for number, window in enumerate(some, start=1):
            _tell("calibrating", number, len(some))
            yield [window[None]]

    module = _module(request, layers)
    function = module.window.get_concrete_function()
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function], module)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = shown
    converter.target_spec.supported_ops = [
        tf.lite.OpsSet.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8,
        tf.lite.OpsSet.TFLITE_BUILTINS,
    ]
    return bytes(converter.convert())


def _ranged(request: Request, layers: LayerWeights, folder: Path) -> bytes:
    """Convert to float with ranges of our own: the stock calibrator knows only extremes."""
    windows = np.load(folder / WINDOWS)
    some = _spread(windows, RANGE_WINDOWS)
    _tell("rewriting", 0, 1)
    data = _converted(_module(request, layers), "float32")
    _tell("rewriting", 1, 1)
    ranged = with_ranges(data, some, progress=_tell)
    return _tuned(request, layers, windows, ranged, some) if request["tuning_steps"] else ranged


def _spread(windows: NDArray[np.float32], wanted: int) -> NDArray[np.float32]:
    return windows[:: -(-len(windows) // wanted)]


def _rounded(request: Request, ranged: bytes) -> bytes:
    """Quantise by the ranges in a float file."""
    kept = tuple(request["float_stages"])
    types = lite_convert._types_pb2  # the enumeration that mlir_quantize takes has no other door
    quantised = lite_convert.mlir_quantize(
        ranged,
        fully_quantize=request["precision"] == "int8",
        inference_type=types.QUANTIZED_INT8,
        denylisted_nodes=_outputs_of(ranged, kept) if kept else None,
    )
    wanted = request["precision"] == "int8" and request["io"] == "float32"
    return with_float_io(bytes(quantised)) if wanted else bytes(quantised)


def _tuned(
    request: Request,
    layers: LayerWeights,
    windows: NDArray[np.float32],
    ranged: bytes,
    some: NDArray[np.float32],
) -> bytes:
    """Fit the encoder to its rounding, then find the other ranges anew."""
    encoder = folded(request["arch"], Variant(**request["variant"]), layers)
    found = ranges_in(ranged)
    tuned = tune_encoder(
        encoder,
        np.concatenate([layers["bilstm_0"][0], layers["bilstm_0"][3]], axis=1),
        {point: found[point] for point in encoder_points(encoder)},
        windows,
        steps=request["tuning_steps"],
        progress=_tell,
    )
    data = _converted(_module(request, layers, tuned.encoder), "float32")
    return with_ranges(data, some, tuned.ranges, progress=_tell)


def _outputs_of(data: bytes, stages: tuple[str, ...]) -> list[str]:
    """Names of what the operations of some stages produce: the quantiser's exceptions."""
    graph = open_flatbuffer(data).subgraphs[0]
    names = []
    for operator in graph.operators:
        for index in operator.outputs:
            tensor = graph.tensors[index]
            if stage_of(tensor).startswith(stages):
                names.append(tensor.name.decode())
    if not names:
        sys.exit(f"no stage begins with {' or '.join(stages)}")
    return names


def _tell(what: str, done: int, total: int) -> None:
    print("progress", what, done, total, sep="\t", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
