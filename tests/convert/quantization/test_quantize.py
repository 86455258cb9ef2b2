"""From weights to bytes: every precision, the same bytes twice, refusals instead of crashes."""

import json
import stat
import sys

import numpy as np
import pytest
from eqedge.convert.quantization import request as module
from eqedge.convert.quantization.flatbuffer import compact, contents
from eqedge.convert.quantization.float_io import with_float_io
from eqedge.convert.quantization.quantize import quantize
from eqedge.convert.quantization.ranges import best_range
from eqedge.convert.quantization.request import RANGES, QuantizationRequest, QuantizeError
from eqedge.edge.detector import Detector
from eqedge.edge.runtime import find_runtime
from eqedge.models.architectures import ARCHITECTURES
from eqedge.models.registry import Model
from eqedge.models.spec import ModelSpec


@pytest.fixture(scope="session")
def converted(built, windows):
    """Return a converter that makes each file once."""
    cache = {}

    def get(name, precision, stages=()):
        key = (name, precision, stages)
        if key not in cache:
            network = built(name)
            cache[key] = quantize(request(network, precision, stages), windows=windows)
        return cache[key]

    return get


def request(network, precision, stages=(), **more):
    """Return what is wanted of a built network."""
    return QuantizationRequest(
        network.name, network.variant, network.layers, precision, stages, **more
    )


def answers(data, windows):
    """Probabilities of the device's detector."""
    detector = Detector(Model.of("m", data, ModelSpec("m", "leqnet-gru")))
    return np.stack([detector(window) for window in windows])


def keras_answers(network, windows):
    """Probabilities of Keras, heads last."""
    return np.concatenate([np.asarray(y) for y in network(windows, training=False)], axis=2)


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_int8_is_int8_throughout(built, converted, windows, name):
    """Not one activation is left in float, no operation is custom, and the answer is near."""
    data = converted(name, "int8")
    held = contents(data)
    assert held.float_tensors == {} and held.custom == ()
    assert "WHILE" not in held.operations and "DEQUANTIZE" not in held.operations
    expected = keras_answers(built(name).network, windows)
    # 1/256 is the outputs' own step; random weights amplify what is rounded before
    assert np.abs(answers(data, windows) - expected).mean() < 0.02


def test_float32_equals_keras(built, converted, windows):
    """The file, its names and shapes shared, still computes what Keras does."""
    found = answers(converted("leqnet-gru", "float32"), windows)
    expected = keras_answers(built("leqnet-gru").network, windows)
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_float16_has_smaller_weights(built, converted, windows):
    """Smaller weights, float activations."""
    data = converted("leqnet-gru", "float16")
    assert len(data) < len(converted("leqnet-gru", "float32"))
    expected = keras_answers(built("leqnet-gru").network, windows)
    assert np.abs(answers(data, windows) - expected).max() < 0.01


def test_mixed_keeps_the_named_stages(converted, windows):
    """The stages named, and no others, have float activations."""
    held = contents(converted("leqnet-gru", "mixed", ("encoder",)))
    assert {stage.split("_")[0] for stage in held.float_tensors} >= {"encoder"}
    assert not any(stage.startswith(("decoder", "bilstm")) for stage in held.float_tensors)
    answers(converted("leqnet-gru", "mixed", ("encoder",)), windows[:1])


def io_types(data):
    """Types of input and outputs."""
    interpreter = find_runtime().interpreter(model_content=data)
    details = [*interpreter.get_input_details(), *interpreter.get_output_details()]
    return {np.dtype(detail["dtype"]).name for detail in details}


def test_float_input_and_outputs(converted, windows):
    """The same network behind a QUANTIZE and before DEQUANTIZEs; the node runs both alike."""
    whole = converted("leqnet-gru", "int8")
    data = compact(with_float_io(whole))
    assert (io_types(data), io_types(whole)) == ({"float32"}, {"int8"})
    held = contents(data)
    assert (held.operations["QUANTIZE"], held.operations["DEQUANTIZE"]) == (1, 3)
    assert held.float_tensors == {}
    np.testing.assert_array_equal(answers(data, windows[:3]), answers(whole, windows[:3]))


def test_the_same_bytes_twice(built, converted, windows):
    """Same weights, same windows, same file; also when its ranges are found on their own."""
    network = built("leqnet-gru")
    ranged = quantize(request(network, RANGES), windows=windows)
    again = quantize(request(network, "int8"), ranged=ranged)
    assert again == converted("leqnet-gru", "int8")


def test_compacting_twice_changes_nothing(converted):
    """What can be shared is shared the first time."""
    data = converted("leqnet-gru", "int8")
    assert compact(data) == data


def rounding_error(values, ends):
    """Mean squared error of 255 steps over a range."""
    low, high = ends
    step = (high - low) / 255
    first = np.rint(low / step)
    return np.square(np.clip(np.rint(values / step), first, first + 255) * step - values).mean()


def test_best_range_clips_what_is_rare():
    """Rare extremes are clipped where that costs less than coarser steps; even spreads are kept."""
    rng = np.random.default_rng(1)
    bell = rng.normal(0, 1, 50_000).astype(np.float32)
    extremes = (float(bell.min()), float(bell.max()))
    assert best_range(bell)[1] < extremes[1]
    assert rounding_error(bell, best_range(bell)) < rounding_error(bell, extremes)
    low, high = best_range(rng.uniform(-2, 2, 20_000).astype(np.float32))
    assert low < -1.9 and high > 1.9
    assert best_range(np.zeros(5, np.float32)) == (0.0, 1.0)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"precision": "int4"}, "int4.*use one of float32"),
        ({"precision": "int8"}, "needs calibration windows"),
        ({"precision": "mixed"}, "--float-stage"),
        ({"precision": "float32", "stages": ("encoder",)}, "--float-stage"),
        ({"precision": "int8", "io": "int4"}, "input and output type 'int4'"),
    ],
)
def test_options_that_do_not_fit(built, options, reason):
    """Refused before any work."""
    network = built("leqnet-gru")
    with pytest.raises(QuantizeError, match=reason):
        quantize(request(network, **options))


def test_an_unknown_stage_is_named(built, windows):
    """A stage that no operation belongs to is named."""
    network = built("leqnet-gru")
    with pytest.raises(QuantizeError, match="no stage begins with enkoder"):
        quantize(request(network, "mixed", ("enkoder",)), windows=windows)


def interpreter_that(folder, script):
    """Write an executable that stands where Python is called, and runs a shell script."""
    path = folder / "python"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("kill -SEGV $$", "int8 of leqnet-gru: the converter died of SIGSEGV; try"),
        ("kill -KILL $$", "died of SIGKILL: out of memory; close"),
        ("echo 'ValueError: no' >&2; exit 1", r"refused \(ValueError: no\)"),
        ("exit 0", "refused"),
    ],
)
def test_a_dead_converter_is_an_error(built, windows, tmp_path, monkeypatch, script, reason):
    """A converter that crashes is a named refusal, not a crash of ours."""
    monkeypatch.setattr(sys, "executable", interpreter_that(tmp_path, script))
    network = built("leqnet-gru")
    with pytest.raises(QuantizeError, match=reason):
        quantize(request(network, "int8"), windows=windows)


def test_progress_comes_from_the_child(built, tmp_path, monkeypatch):
    """The progress that the child reports is passed on; other lines are not."""
    lines = r"printf 'noise\nprogress\tcalibrating\t3\t9\n'; cp %s $3/model.tflite"
    source = tmp_path / "some.tflite"
    source.write_bytes(b"bytes")
    monkeypatch.setattr(sys, "executable", interpreter_that(tmp_path, lines % source))
    network = built("leqnet-gru")
    received = []
    data = quantize(request(network, "float32"), progress=lambda *what: received.append(what))
    assert (data, received) == (b"bytes", [("calibrating", 3, 9)])


def test_the_child_receives_everything_in_files(built, tmp_path, monkeypatch):
    """The request is plain JSON: what a person would repeat by hand."""
    script = f"cp $3/{module.REQUEST} {tmp_path}/seen.json; touch $3/{module.RESULT}"
    monkeypatch.setattr(sys, "executable", interpreter_that(tmp_path, script))
    network = built("leqnet-gru")
    quantize(request(network, "float16"))
    seen = json.loads((tmp_path / "seen.json").read_text())
    assert seen == {
        "arch": "leqnet-gru", "precision": "float16", "float_stages": [],
        "variant": {"cnn_blocks": 1, "lstm_blocks": 1, "hard_gates": False}, "tuning_steps": 0,
        "io": "int8",
    }  # fmt: skip
