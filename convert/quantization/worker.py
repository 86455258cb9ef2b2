"""Convert in a child process: `python -m eqedge.convert.quantization.worker FOLDER`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from tensorflow.lite.python import convert as lite_convert

from ..graph.encoder import Encoder
from ..graph.static import folded, static_module
from .flatbuffer import compact, open_flatbuffer, stage_of
from .float_io import with_float_io
from .ranges import ranges_in, with_ranges
from .request import RANGED, RANGES, RESULT, WINDOWS, QuantizationRequest
from .tuning import encoder_points, tune_encoder

RANGE_WINDOWS = 300
"""Windows that ranges are taken from; more change nothing."""


def main(folder: Path) -> None:
    """Answer the request in `folder` with a model file in it."""
    request = QuantizationRequest.read(folder)
    # one thread: the order of additions, and with it the bytes, must not depend on the load
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.experimental.enable_op_determinism()
    tf.keras.utils.set_random_seed(0)
    precision = request.precision
    if precision in ("float32", "float16"):
        _report_progress("converting", 0, 1)
        data = compact(_converted(_module(request), precision))
    else:
        known = folder / RANGED
        data = known.read_bytes() if known.exists() else _ranged(request, folder)
        if precision != RANGES:
            _report_progress("converting", 0, 1)
            data = compact(_rounded(request, data))
    (folder / RESULT).write_bytes(data)
    if precision != RANGES:
        _report_progress("converting", 1, 1)


def _module(request: QuantizationRequest, encoder: Encoder | None = None) -> Any:
    return static_module(request.arch, request.variant, request.layers, encoder)


def _converted(module: Any, precision: str) -> bytes:
    """Convert without ranges: float32, or float16 weights."""
    function = module.window.get_concrete_function()
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function], module)
    if precision == "float16":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.target_spec.supported_types = [tf.float16]
    return bytes(converter.convert())


def _ranged(request: QuantizationRequest, folder: Path) -> bytes:
    """Convert to float with ranges of our own: the stock calibrator knows only extremes."""
    windows = np.load(folder / WINDOWS)
    some = _spread(windows, RANGE_WINDOWS)
    _report_progress("rewriting", 0, 1)
    data = _converted(_module(request), "float32")
    _report_progress("rewriting", 1, 1)
    ranged = with_ranges(data, some, progress=_report_progress)
    return _tuned(request, windows, ranged, some) if request.tuning_steps else ranged


def _spread(windows: NDArray[np.float32], wanted: int) -> NDArray[np.float32]:
    return windows[:: -(-len(windows) // wanted)]


def _rounded(request: QuantizationRequest, ranged: bytes) -> bytes:
    """Quantise by the ranges in a float file."""
    kept = request.float_stages
    types = lite_convert._types_pb2  # mlir_quantize takes an enumeration that is public nowhere
    quantised = lite_convert.mlir_quantize(
        ranged,
        fully_quantize=request.precision == "int8",
        inference_type=types.QUANTIZED_INT8,
        denylisted_nodes=_outputs_of(ranged, kept) if kept else None,
    )
    wanted = request.precision == "int8" and request.io == "float32"
    return with_float_io(bytes(quantised)) if wanted else bytes(quantised)


def _tuned(
    request: QuantizationRequest,
    windows: NDArray[np.float32],
    ranged: bytes,
    some: NDArray[np.float32],
) -> bytes:
    """Fit the encoder to its rounding, then find the other ranges anew."""
    layers = request.layers
    encoder = folded(request.arch, request.variant, layers)
    found = ranges_in(ranged)
    tuned = tune_encoder(
        encoder,
        np.concatenate([layers["bilstm_0"][0], layers["bilstm_0"][3]], axis=1),
        {point: found[point] for point in encoder_points(encoder)},
        windows,
        steps=request.tuning_steps,
        progress=_report_progress,
    )
    data = _converted(_module(request, tuned.encoder), "float32")
    return with_ranges(data, some, tuned.ranges, progress=_report_progress)


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


def _report_progress(what: str, done: int, total: int) -> None:
    print("progress", what, done, total, sep="\t", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
