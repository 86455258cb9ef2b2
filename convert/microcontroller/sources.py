"""Write the C and C++ sources that carry a proved model onto a microcontroller."""

from __future__ import annotations

import re
from typing import Any

from ...models.spec import HEADS, ModelSpec, Preparation
from ..quantization.flatbuffer import open_flatbuffer
from .installed import MicroError
from .interpreter import head_places
from .proof import MicroModel
from .report import render, resolver_calls

BYTES_PER_LINE = 16
ARENA_UNIT = 1024
"""Arenas are rounded up to this."""


def sources(micro: MicroModel) -> dict[str, bytes]:
    """Write the files of one model.

    Returns:
        Contents by file name: `NAME_model.h` and `.c`, the array and what must be known of it;
        `NAME_ops.h`, the operations; `NAME_example.cc`, one window from counts to probabilities;
        `NAME.tflite`, the same bytes as a file; `NAME.md`, what was measured.
    """
    name = micro.name
    symbol = re.sub(r"\W", "_", name)
    return {
        f"{name}_model.h": _header(micro, symbol).encode(),
        f"{name}_model.c": _array(micro, name, symbol).encode(),
        f"{name}_ops.h": _operations(micro, symbol).encode(),
        f"{name}_example.cc": _example(micro, name, symbol).encode(),
        f"{name}.tflite": micro.data,
        f"{name}.md": render(micro).encode(),
    }


def arena_bytes(micro: MicroModel) -> int:
    """Give the arena to reserve: what was needed here, rounded up."""
    return -(-micro.arena_bytes // ARENA_UNIT) * ARENA_UNIT


def _header(micro: MicroModel, symbol: str) -> str:
    spec = micro.source.spec
    details = _tensors(micro)
    heads = "\n".join(
        f"#define {symbol}_OUTPUT_{head.upper()} {place}\n"
        f"#define {symbol}_SCALE_{head.upper()} {_float(scale)}\n"
        f"#define {symbol}_ZERO_{head.upper()} {zero}"
        for head, place, (scale, zero) in details["outputs"]
    )
    scale, zero = details["input"]
    thresholds = "\n".join(
        f"#define {symbol}_THRESHOLD_{head.upper()} {_float(threshold)}"
        for head, threshold in spec.thresholds["default"].by_head.items()
    )
    return f"""\
/* {symbol}: {spec.architecture} in int8 for TensorFlow Lite for Microcontrollers.
   Made by eqedge convert --target tflm of {micro.source.name}, sha256 {micro.source.sha256}. */
#ifndef {symbol.upper()}_MODEL_H
#define {symbol.upper()}_MODEL_H

#ifdef __cplusplus
extern "C" {{
#endif

extern const unsigned char {symbol}_data[{len(micro.data)}];
#define {symbol}_BYTES {len(micro.data)}

/* The interpreter's only memory: {micro.arena_bytes} bytes where pointers have 8 bytes.
   Kernels of a vendor's own may want more for themselves. */
#define {symbol}_ARENA_BYTES {arena_bytes(micro)}

/* Input 0: {_input(spec)}, {details["type"]}.
   {_prepared(spec.preparation)}
   A scale of 0 means that the values are float. */
#define {symbol}_SAMPLES {spec.window_samples}
#define {symbol}_COMPONENTS 3
#define {symbol}_SCALE_INPUT {_float(scale)}
#define {symbol}_ZERO_INPUT {zero}

/* Outputs by number: {spec.window_samples} probabilities each, scale * (value - zero). */
{heads}
{thresholds}

#ifdef __cplusplus
}}
#endif

#endif
"""


def _array(micro: MicroModel, name: str, symbol: str) -> str:
    lines = [
        "  " + "".join(f"{byte:#04x}," for byte in micro.data[at : at + BYTES_PER_LINE])
        for at in range(0, len(micro.data), BYTES_PER_LINE)
    ]
    body = "\n".join(lines)
    return f"""\
/* The model itself, to be placed in flash: see {name}_model.h. */
#include "{name}_model.h"

/* 16: the values of its tensors are read in place, word by word */
_Alignas(16) const unsigned char {symbol}_data[{len(micro.data)}] = {{
{body}
}};
"""


def _operations(micro: MicroModel, symbol: str) -> str:
    calls = resolver_calls(micro.operations)
    added = "\n".join(
        f"  if (resolver.{call}() != kTfLiteOk) return kTfLiteError;" for call in calls
    )
    return f"""\
// The {len(calls)} operations of {symbol}, and no others.
#ifndef {symbol.upper()}_OPS_H
#define {symbol.upper()}_OPS_H

#include "tensorflow/lite/micro/micro_mutable_op_resolver.h"

using {symbol}_Resolver = tflite::MicroMutableOpResolver<{len(calls)}>;

inline TfLiteStatus {symbol}_AddOps({symbol}_Resolver& resolver) {{
{added}
  return kTfLiteOk;
}}

#endif
"""


def _example(micro: MicroModel, name: str, symbol: str) -> str:
    spec = micro.source.spec
    is_float = _tensors(micro)["input"][0] == 0.0
    member = "f" if is_float else "int8"
    stored = (
        "input->data.f[at] = value;"
        if is_float
        else f"""\
float step = roundf(value / {symbol}_SCALE_INPUT) + {symbol}_ZERO_INPUT;
      // clipped: a cast alone would wrap around
      input->data.int8[at] = (int8_t)(step < -128 ? -128 : step > 127 ? 127 : step);"""
    )
    heads = "\n".join(
        f'  Print("{head}", interpreter.output({symbol}_OUTPUT_{head.upper()})->data.{member},\n'
        f"        {symbol}_SCALE_{head.upper()}, {symbol}_ZERO_{head.upper()},\n"
        f"        {symbol}_THRESHOLD_{head.upper()});"
        for head in HEADS
    )
    kind = "float" if is_float else "int8_t"
    value = "values[at]" if is_float else "scale * (values[at] - zero)"
    unused = "(void)scale; (void)zero;\n  " if is_float else ""
    return f"""\
// One window of {symbol}, from counts to probabilities.
#include <math.h>
#include <stdint.h>
#include <stdio.h>

#include "{name}_model.h"
#include "{name}_ops.h"
#include "tensorflow/lite/micro/micro_interpreter.h"
#include "tensorflow/lite/schema/schema_generated.h"

namespace {{

alignas(16) uint8_t arena[{symbol}_ARENA_BYTES];

// Counts of the last {spec.window_samples / spec.sampling_rate_hz:g} s, component by component:
// your converter fills this.
int32_t counts[{symbol}_COMPONENTS][{symbol}_SAMPLES];

// {_prepared(spec.preparation)}
{_lacking(spec.preparation)}void Prepare(TfLiteTensor* input) {{
  for (int component = 0; component < {symbol}_COMPONENTS; ++component) {{
    const int32_t* x = counts[component];
    double sum = 0, squares = 0;
    for (int i = 0; i < {symbol}_SAMPLES; ++i) sum += x[i];
    const double mean = sum / {symbol}_SAMPLES;
    for (int i = 0; i < {symbol}_SAMPLES; ++i) squares += (x[i] - mean) * (x[i] - mean);
    const double deviation = sqrt(squares / {symbol}_SAMPLES);
    for (int i = 0; i < {symbol}_SAMPLES; ++i) {{
      const int at = {symbol}_COMPONENTS * i + component;
      const float value = deviation > 0 ? (float)((x[i] - mean) / deviation) : 0.0f;
      {stored}
    }}
  }}
}}

void Print(const char* head, const {kind}* values, float scale, int zero, float threshold) {{
  {unused}int best = 0;
  for (int at = 1; at < {symbol}_SAMPLES; ++at) best = values[at] > values[best] ? at : best;
  const int at = best;
  const float probability = {value};
  printf("%s: %.2f at sample %d%s\\n", head, (double)probability, best,
         probability >= threshold ? "" : ", below its threshold");
}}

}}  // namespace

int main() {{
  static {symbol}_Resolver resolver;
  if ({symbol}_AddOps(resolver) != kTfLiteOk) return 1;
  static tflite::MicroInterpreter interpreter(tflite::GetModel({symbol}_data), resolver, arena,
                                              sizeof arena);
  if (interpreter.AllocateTensors() != kTfLiteOk) return 1;
  Prepare(interpreter.input(0));
  if (interpreter.Invoke() != kTfLiteOk) return 1;
{heads}
  return 0;
}}
"""


def _tensors(micro: MicroModel) -> dict[str, Any]:
    """Scales and zeros of input and outputs; a scale of 0 where they are float."""
    graph = open_flatbuffer(micro.data).subgraphs[0]

    def pair(index: int) -> tuple[float, int]:
        table = graph.tensors[index].quantization
        if table is None or table.scale is None:
            return 0.0, 0
        return float(table.scale[0]), int(table.zeroPoint[0])

    places = head_places(micro.data)
    outputs = [
        (head, place, pair(int(graph.outputs[place])))
        for head, place in zip(HEADS, places, strict=True)
    ]
    if len(graph.inputs) != 1:
        raise MicroError(f"{micro.source.name}: {len(graph.inputs)} inputs, expected one")
    entry = pair(int(graph.inputs[0]))
    return {"input": entry, "outputs": outputs, "type": "int8" if entry[0] else "float"}


def _prepared(steps: Preparation) -> str:
    """Say in a line how counts become the input."""
    detrend = {"constant": "its mean", "linear": "a straight line"}[steps.detrend]
    band = steps.filter
    filtered = (
        ""
        if band is None
        else f"band-passed {band.freqmin:g} to {band.freqmax:g} Hz ({band.corners} corners, zero "
        "phase), "
    )
    norm = {"std": "standard deviation", "peak": "peak"}[steps.norm]
    return f"Of each component {detrend} is taken away; it is {filtered}divided by its {norm}."


def _lacking(steps: Preparation) -> str:
    """Stop the compiler where the example prepares less than the network was trained on."""
    if steps == Preparation():
        return ""
    return '#error "only mean and deviation are done here: add what is lacking, remove this line"\n'


def _input(spec: ModelSpec) -> str:
    """Say what one window is."""
    components = ", ".join(spec.component_order)
    return f"{spec.window_samples} samples of {components} at {spec.sampling_rate_hz:g} Hz"


def _float(value: float) -> str:
    text = f"{value:.9g}"
    return f"{text if '.' in text or 'e' in text else text + '.0'}f"
