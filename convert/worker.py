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

from .flatbuffer import compact, open_flatbuffer, stage_of
from .graph import LayerWeights, static_module
from .networks import Variant
from .quantize import CALIBRATED, REQUEST, RESULT, WEIGHTS, WINDOWS
from .ranges import with_ranges


def main(folder: Path) -> None:
    """Answer the request in `folder` with a model file in it."""
    request = json.loads((folder / REQUEST).read_text())
    precision = request["precision"]
    module = static_module(
        request["arch"], Variant(**request["variant"]), _read_weights(folder / WEIGHTS)
    )
    _tell("converting", 0, 1)
    if precision in CALIBRATED:
        windows = np.load(folder / WINDOWS)
        data = _calibrated(_converted(module, "float32"), windows, request)
    else:
        data = _converted(module, precision)
    (folder / RESULT).write_bytes(compact(data))
    _tell("converting", 1, 1)


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


def _calibrated(data: bytes, windows: NDArray[np.float32], request: dict[str, Any]) -> bytes:
    """Quantise with ranges of our own: the stock calibrator knows only extremes."""
    ranged = with_ranges(data, windows, progress=_tell)
    kept = tuple(request["float_stages"])
    _tell("quantising", 0, 1)
    wide = request["precision"] == "int16x8"
    types = lite_convert._types_pb2  # the enumeration that mlir_quantize takes has no other door
    quantised = lite_convert.mlir_quantize(
        ranged,
        fully_quantize=request["precision"] == "int8",
        inference_type=types.QUANTIZED_INT16 if wide else types.QUANTIZED_INT8,
        denylisted_nodes=_outputs_of(ranged, kept) if kept else None,
    )
    _tell("quantising", 1, 1)
    return bytes(quantised)


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
