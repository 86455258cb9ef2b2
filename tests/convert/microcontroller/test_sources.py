"""The C sources of a model: compiled, read back, proved in the microcontrollers' interpreter."""

import ctypes
import re
import shutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner
from eqedge.convert.cli import TARGETS
from eqedge.convert.cli import convert as command
from eqedge.convert.conversion import LITERT, TFLM, ConvertSettings
from eqedge.convert.data.windows import WindowSet
from eqedge.convert.microcontroller.fitting import fit, prune
from eqedge.convert.microcontroller.installed import MicroError, find_micro
from eqedge.convert.microcontroller.interpreter import (
    ARENA_STEP,
    MicroDetector,
    head_places,
)
from eqedge.convert.microcontroller.proof import prove
from eqedge.convert.microcontroller.report import resolver_calls
from eqedge.convert.microcontroller.sources import arena_bytes, sources
from eqedge.convert.pipeline import convert
from eqedge.convert.quantization.flatbuffer import compact, open_flatbuffer, pack_flatbuffer
from eqedge.convert.quantization.request import QuantizeError
from eqedge.edge.detector import Detector
from eqedge.models.registry import open_model
from eqedge.models.spec import HEADS, BandPass, Preparation

pytest.importorskip("tflite_micro", reason="tflite-micro has wheels for x86-64 alone")


@pytest.fixture(scope="module")
def micro(windows):
    """Prove the shipped int8 model on twelve windows of synthetic earthquakes."""
    some = WindowSet(windows, np.zeros(len(windows), bool), (None,) * len(windows), len(windows))
    return prove(open_model("leqnet_gru_int8"), some)


def test_both_interpreters_pick_the_same(micro):
    """TensorFlow Lite for Microcontrollers keeps what LiteRT picks, and the proof shows it."""
    heads = micro.agreement.heads
    assert micro.agreement.windows == 12
    for head in ("P", "S"):
        assert heads[head].kept >= 10 and heads[head].kept_fraction >= 0.9
        assert heads[head].shift_median_samples <= 2
    # they round in different places: an error of nothing would mean that one ran twice
    assert 0 < heads["P"].max_error < 0.5


def test_loops_and_blocks_change_nothing_here_either(micro, windows):
    """Unrolled and rolled, the microcontrollers' interpreter answers the same to the last bit."""
    model = open_flatbuffer(micro.source.data)
    fit(model)
    prune(model)
    unrolled = MicroDetector(compact(pack_flatbuffer(model)))
    rolled = MicroDetector(micro.data, micro.arena_bytes)
    for window in windows[:2]:
        assert np.array_equal(unrolled(window), rolled(window))


def test_the_arena_is_the_smallest(micro):
    """One step less and the interpreter refuses; what is reserved is below the issue's aim."""
    with pytest.raises(MicroError, match=r"does not take the model in [\d,]+ bytes"):
        MicroDetector(micro.data, micro.arena_bytes - ARENA_STEP)
    assert micro.arena_bytes <= arena_bytes(micro) < 256 * 1024


def test_float_input_and_outputs_are_taken(windows):
    """A model of float32 throughout runs too: the interpreter's details describe its input."""
    model = open_model("leqnet_gru_float32")
    found = MicroDetector(_fitted(model.data))(windows[0])
    assert np.abs(found - Detector(model)(windows[0])).max() < 1e-3


def _fitted(data):
    model = open_flatbuffer(data)
    fit(model)
    prune(model)
    return compact(pack_flatbuffer(model))


@pytest.fixture(scope="module")
def written(micro, tmp_path_factory):
    """Write the sources into a folder."""
    folder = tmp_path_factory.mktemp("tflm")
    for name, content in sources(micro).items():
        (folder / name).write_bytes(content)
    return folder


def test_the_array_is_the_model(micro, written):
    """Compiled, the array has the flatbuffer's bytes, at an address its tensors can be read at."""
    library = written / "model.so"
    command = ["gcc", "-std=c11", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC"]
    subprocess.run([*command, written / f"{micro.name}_model.c", "-o", library], check=True)
    array = (ctypes.c_ubyte * len(micro.data)).in_dll(
        ctypes.CDLL(str(library)), f"{micro.name}_data"
    )
    assert bytes(array) == micro.data == (written / f"{micro.name}.tflite").read_bytes()
    assert ctypes.addressof(array) % 16 == 0


@pytest.mark.skipif(shutil.which("arm-none-eabi-gcc") is None, reason="no ARM compiler")
def test_it_goes_into_flash(micro, written):
    """On a Cortex-M4 all of it is read-only: no RAM, and less flash than the issue allows."""
    target = written / "model.o"
    command = ["arm-none-eabi-gcc", "-mcpu=cortex-m4", "-mthumb", "-std=c11", "-Werror", "-c"]
    subprocess.run([*command, written / f"{micro.name}_model.c", "-o", target], check=True)
    sizes = subprocess.run(
        ["arm-none-eabi-size", target], check=True, capture_output=True, text=True
    )
    text, data, bss = map(int, sizes.stdout.splitlines()[1].split()[:3])
    assert (text, data, bss) == (len(micro.data), 0, 0)
    assert text < 300_000


def test_the_resolver_has_every_operation_and_no_other(micro, written):
    """As many lines as the template's number, each operation of the file once."""
    text = (written / f"{micro.name}_ops.h").read_text()
    calls = re.findall(r"resolver\.(Add\w+)\(\)", text)
    assert calls == resolver_calls(micro.operations) and len(set(calls)) == len(calls)
    assert f"MicroMutableOpResolver<{len(calls)}>" in text
    assert {"AddConv2D", "AddL2Normalization", "AddBatchMatMul", "AddWhile"} <= set(calls)


def test_the_header_agrees_with_the_interpreter(micro, written):
    """Scales, zeros and the outputs' numbers are the tensors' own."""
    defined = dict(
        re.findall(
            rf"#define {micro.name}_(\w+) (\S+)", (written / f"{micro.name}_model.h").read_text()
        )
    )
    interpreter = find_micro().Interpreter.from_bytes(micro.data, arena_size=micro.arena_bytes)
    table = interpreter.get_input_details(0)["quantization_parameters"]
    assert np.float32(defined["SCALE_INPUT"].rstrip("f")) == table["scales"][0]
    assert int(defined["ZERO_INPUT"]) == table["zero_points"][0]
    for head, place in zip(HEADS, head_places(micro.data), strict=True):
        assert int(defined[f"OUTPUT_{head.upper()}"]) == place
        table = interpreter.get_output_details(place)["quantization_parameters"]
        assert np.float32(defined[f"SCALE_{head.upper()}"].rstrip("f")) == table["scales"][0]
    assert int(defined["ARENA_BYTES"]) == arena_bytes(micro)


def test_the_example_uses_what_the_headers_define(micro, written):
    """Every name of ours in the example stands in one of the two headers."""
    headers = "".join((written / f"{micro.name}_{part}.h").read_text() for part in ("model", "ops"))
    used = set(re.findall(rf"{micro.name}_\w+", (written / f"{micro.name}_example.cc").read_text()))
    files = {f"{micro.name}_model", f"{micro.name}_ops"}
    assert len(used) > 15 and {name for name in used - files if name not in headers} == set()
    assert "#error" not in (written / f"{micro.name}_example.cc").read_text()


def test_an_example_that_prepares_too_little_does_not_compile(micro):
    """Where the network wants a band-pass, the example stops the compiler with the reason."""
    steps = Preparation("linear", BandPass(1.0, 45.0), "std")
    spec = replace(micro.source.spec, preparation=steps)
    other = replace(micro, source=replace(micro.source, spec=spec))
    text = sources(other)[f"{micro.name}_example.cc"].decode()
    assert "#error" in text and "band-passed 1 to 45 Hz" in text


def test_without_picks_nothing_is_proved(micro):
    """Windows without motion: there is nothing that could agree."""
    still = np.zeros((2, 6000, 3), np.float32)
    unproved = prove(micro.source, WindowSet(still, np.ones(2, bool), (None, None), 2))
    assert unproved.refusal is not None and "only 0 P picks" in unproved.refusal
    assert "misses the limit" in sources(unproved)[f"{micro.name}.md"].decode()


def test_the_interpreter_that_is_missing_is_named(monkeypatch):
    """One line with the remedy."""
    monkeypatch.setitem(sys.modules, "tflite_micro", None)
    with pytest.raises(MicroError, match=r"tflite-micro.*pip install '\.\[tflm\]'"):
        find_micro()


def test_outputs_that_are_not_the_heads_are_refused(micro):
    """A model of somebody else is recognised by its outputs."""
    model = open_flatbuffer(micro.data)
    model.signatureDefs[0].outputs[0].name = b"magnitude"
    with pytest.raises(MicroError, match=r"outputs .*'magnitude'.*, expected .*'detection'"):
        head_places(pack_flatbuffer(model))


def test_the_command_offers_the_target():
    """The command line lists what the conversion knows, without importing TensorFlow."""
    assert TARGETS == (LITERT, TFLM)
    assert "--target [litert|tflm]" in CliRunner().invoke(command, ["--help"]).output


def test_the_target_needs_int8(tmp_path):
    """Told before the work."""
    settings = ConvertSettings(
        tmp_path / "w.h5", (), tmp_path, precisions=("float32",), target="tflm"
    )
    with pytest.raises(QuantizeError, match="add --precision int8"):
        convert(settings)


@pytest.mark.timeout(3600)
def test_the_whole_conversion_with_float_input_and_outputs(built, records, tmp_path):
    """Sources of a network of LSTMs lie beside its int8 file; forced: random weights may differ."""
    weights = tmp_path / "tiny.weights.h5"
    built("leqnet").network.save_weights(weights)
    settings = ConvertSettings(
        weights, (records,), tmp_path / "out", io="float32", tuning_steps=0, target="tflm",
        force=True,
    )  # fmt: skip
    micro = convert(settings).micro
    assert micro is not None and len(micro.loops) == 2
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {*sources(micro), *(f"tiny_int8.{s}" for s in ("json", "md", "tflite"))}
    header = (tmp_path / "out" / "tiny_int8_tflm_model.h").read_text()
    assert "Hz, float" in header and "SCALE_P 0.0f" in header
    assert "input->data.f[at]" in (tmp_path / "out" / "tiny_int8_tflm_example.cc").read_text()
