"""The child process that converts: `python -m eqedge.convert.worker FOLDER`, a request in it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from tensorflow.lite.python import convert as lite_convert

from .encoder import Encoder, LayerWeights
from .flatbuffer import compact, open_flatbuffer, stage_of
from .graph import folded, static_module
from .networks import Variant
from .quantize import CALIBRATED, REQUEST, RESULT, WEIGHTS, WINDOWS
from .ranges import ranges_in, with_ranges
from .tuning import encoder_points, tune_encoder

RANGE_WINDOWS = 300
"""Windows that ranges are taken from; more change nothing."""
Request = dict[str, Any]


def main(folder: Path) -> None:
    """Answer the request in `folder` with a model file in it."""
    request = json.loads((folder / REQUEST).read_text())
    layers = _read_weights(folder / WEIGHTS)
    # one thread: the order of additions, and with it the bytes, must not depend on the load
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.experimental.enable_op_determinism()
    tf.keras.utils.set_random_seed(0)
    _tell("converting", 0, 1)
    if request["precision"] in CALIBRATED:
        data = _calibrated(request, layers, np.load(folder / WINDOWS))
    else:
        data = _converted(_module(request, layers), request["precision"])
    (folder / RESULT).write_bytes(compact(data))
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


def _calibrated(request: Request, layers: LayerWeights, windows: NDArray[np.float32]) -> bytes:
    """Quantise with ranges of our own: the stock calibrator knows only extremes."""
    some = windows[:: -(-len(windows) // RANGE_WINDOWS)]
    ranged = with_ranges(_converted(_module(request, layers), "float32"), some, progress=_tell)
    if request["tuning_steps"]:
        ranged = _tuned(request, layers, windows, ranged, some)
    kept = tuple(request["float_stages"])
    wide = request["precision"] == "int16x8"
    types = lite_convert._types_pb2  # the enumeration that mlir_quantize takes has no other door
    quantised = lite_convert.mlir_quantize(
        ranged,
        fully_quantize=request["precision"] == "int8",
        inference_type=types.QUANTIZED_INT16 if wide else types.QUANTIZED_INT8,
        denylisted_nodes=_outputs_of(ranged, kept) if kept else None,
    )
    return bytes(quantised)


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
