"""Models rewritten for microcontrollers compute what they computed before."""

import numpy as np
import pytest
from eqedge.convert.microcontroller.fitting import MOST_CONCATENATED, fit, prune
from eqedge.convert.microcontroller.loops import roll
from eqedge.convert.microcontroller.proof import rewritten
from eqedge.convert.microcontroller.repeats import find_repeats
from eqedge.convert.microcontroller.tiles import LARGEST_ACTIVATION
from eqedge.convert.quantization.flatbuffer import (
    compact,
    contents,
    op_name,
    open_flatbuffer,
    pack_flatbuffer,
)
from eqedge.edge.detector import Detector
from eqedge.models.registry import Model, open_model
from eqedge.models.spec import ModelSpec

STEPS = 56
"""Of the recurrences of LEQNet: a sixty-second window after the encoder's pooling."""


@pytest.fixture(scope="module")
def shipped():
    """Return the int8 model that nodes run."""
    return open_model("leqnet_gru_int8")


@pytest.fixture(scope="module")
def rolled(shipped):
    """Return its form for microcontrollers, and the rounds of its loops."""
    return rewritten(shipped.data)


def curves(data, windows):
    """Return what LiteRT makes of windows, float or int8 as the model has it."""
    detector = Detector(Model.of("m", data, ModelSpec("m", "leqnet-gru")))
    return np.stack([detector(window) for window in windows])


def test_every_recurrence_becomes_a_loop(shipped, rolled):
    """Both BiLSTMs and the pickers' pair: three loops of nearly all steps, in a smaller file."""
    data, rounds = rolled
    assert len(rounds) == 3 and all(STEPS - 3 <= count < STEPS for count in rounds)
    assert contents(data).operations["WHILE"] == 3
    assert sum(contents(data).operations.values()) < 600
    assert len(data) < 200_000 < len(shipped.data)


def test_int8_stays_the_same_to_the_last_bit(shipped, rolled, windows):
    """LiteRT answers exactly the same before and after."""
    some = windows[:3]
    assert np.ptp(curves(shipped.data, some)) > 0.3
    assert np.array_equal(curves(rolled[0], some), curves(shipped.data, some))


def test_what_is_no_recurrence_is_left_alone(shipped):
    """Rounds that need a value of two rounds ago, or give one away, stay unrolled."""
    model = open_flatbuffer(shipped.data)
    graph = model.subgraphs[0]
    repeats = find_repeats(model, graph)
    assert len(repeats) == 3
    for repeat in repeats:
        # the fifth round's last result is read once more, outside
        taken = graph.operators[repeat.start + 5 * repeat.period - 1].outputs[0]
        graph.outputs = np.append(graph.outputs, taken)
    assert roll(model) == []
    assert len(model.subgraphs) == 1


def test_no_operation_has_more_inputs_than_the_kernels_take(shipped, windows):
    """Unrolled, the sequences are put together in several steps, to the same values."""
    model = open_flatbuffer(shipped.data)
    fit(model)
    prune(model)
    most = max(
        len(operator.inputs)
        for operator in model.subgraphs[0].operators
        if op_name(model, operator) == "CONCATENATION"
    )
    assert most <= MOST_CONCATENATED
    data = compact(pack_flatbuffer(model))
    assert np.array_equal(curves(data, windows[:1]), curves(shipped.data, windows[:1]))


def test_no_activation_is_larger_than_a_full_rate_one(shipped, rolled):
    """The scores of all pairs of steps, the largest before, are made in blocks."""

    def largest(data):
        graph = open_flatbuffer(data).subgraphs[0]
        return max(int(np.prod(tensor.shape)) for tensor in graph.tensors)

    assert largest(shipped.data) > LARGEST_ACTIVATION >= largest(rolled[0])


def test_pruning_leaves_no_tensor_unread(rolled):
    """Every tensor of every graph is used, and the signature still names the heads."""
    model = open_flatbuffer(rolled[0])
    for graph in model.subgraphs:
        used = {int(t) for op in graph.operators for t in (*op.inputs, *op.outputs)}
        used |= {int(t) for t in (*graph.inputs, *graph.outputs)}
        assert used - {-1} == set(range(len(graph.tensors)))
    outputs = {entry.tensorIndex for entry in model.signatureDefs[0].outputs}
    assert outputs == set(map(int, model.subgraphs[0].outputs))


def test_values_of_tensors_are_aligned(rolled):
    """A processor that reads only aligned words can read every constant in place."""
    from tensorflow.lite.python import schema_py_generated as schema

    data = np.frombuffer(rolled[0], np.uint8)
    model = schema.Model.GetRootAs(rolled[0], 0)
    places = [
        model.Buffers(number).DataAsNumpy().__array_interface__["data"][0]
        - data.__array_interface__["data"][0]
        for number in range(model.BuffersLength())
        if model.Buffers(number).DataLength()
    ]
    assert len(places) > 100 and not np.any(np.array(places) % 16)


def test_rewriting_twice_changes_nothing(rolled):
    """What is rolled and in blocks already stays as it is."""
    again, rounds = rewritten(rolled[0])
    assert (again, rounds) == (rolled[0], ())
