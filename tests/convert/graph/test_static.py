"""The rewritten graph equals the Keras network."""

import numpy as np
import pytest
import tensorflow as tf
from eqedge.convert.graph.encoder import Convolution
from eqedge.convert.graph.layers import upsampled_convolution
from eqedge.convert.graph.networks import REPORT_VARIANT, Variant
from eqedge.convert.graph.polyphase import multi_output_kernel, phase_kernel, upsampling_kernel
from eqedge.convert.graph.static import static_module
from eqedge.convert.graph.weights import load_network
from eqedge.models.architectures import ARCHITECTURES
from eqedge.models.spec import HEADS


def largest_difference(name, variant, layers, network, windows):
    """Largest difference of any head between Keras and the graph."""
    expected = [np.asarray(y) for y in network(windows, training=False)]
    module = static_module(name, variant, layers)
    worst = 0.0
    for index in range(len(windows)):
        found = module.window(windows[index : index + 1])
        for head, keras_output in zip(HEADS, expected, strict=True):
            worst = max(worst, float(np.abs(found[head][0] - keras_output[index]).max()))
    return worst


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_graph_equals_keras(built, windows, name):
    """Hoisted, fused, merged, folded and at low rate, the graph answers as Keras does."""
    variant = REPORT_VARIANT if name == "leqnet-gru" else Variant(2, 1)
    network = built(name, variant)
    assert largest_difference(name, variant, network.layers, network.network, windows[:3]) < 1e-4


def test_second_units_of_deep_eqtransformers(built, windows):
    """From the fourth block on EQTransformer has units of kernel 2, which pad on one side."""
    variant = Variant(5, 1)
    network = built("eqtransformer", variant)
    difference = largest_difference(
        "eqtransformer", variant, network.layers, network.network, windows[:1]
    )
    assert difference < 1e-4


@pytest.mark.parametrize("name", ["eqtransformer", "leqnet-gru"])
def test_hard_gates(built, windows, name):
    """Gates that are clipped lines, as in EQTransformer's original weights, are folded exactly."""
    variant = Variant(1, 1, hard_gates=True)
    network = built(name, variant)
    soft = built(name, Variant(1, 1))
    layers = network.layers
    assert largest_difference(name, variant, layers, network.network, windows[:2]) < 1e-4
    assert largest_difference(name, variant, layers, soft.network, windows[:1]) > 1e-5


@pytest.mark.shared
@pytest.mark.parametrize("file", ["eqtransformer_conservative.h5", "leqnet_lstm_reference.h5"])
def test_graph_of_published_weights_equals_keras(shared, windows, file):
    """Real weights have the dynamics random ones lack."""
    loaded = load_network(shared / "teachers" / file)
    difference = largest_difference(
        loaded.architecture, loaded.variant, loaded.layers, loaded.network, windows[:3]
    )
    assert difference < 1e-4


def same_convolution(x, kernel):
    """Convolve as Keras does with `same` padding and an odd kernel: (steps, in) -> (steps, out)."""
    half = len(kernel) // 2
    padded = np.pad(x, ((half, half), (0, 0)))
    return np.stack(
        [np.einsum("tc,tco->o", padded[i : i + len(kernel)], kernel) for i in range(len(x))]
    )


def apply(low, x):
    """Apply a low-rate kernel: (steps, in) -> (steps, phases * out)."""
    padded = np.pad(x, (low.padding, (0, 0)))
    taps = len(low.kernel)
    return np.stack(
        [np.einsum("tc,tco->o", padded[i : i + taps], low.kernel) for i in range(len(x))]
    )


@pytest.mark.parametrize(("taps", "factor"), [(3, 2), (5, 2), (5, 3), (7, 3), (11, 2), (11, 3)])
def test_low_rate_kernels(rng, taps, factor):
    """Convolving behind an upsampling, and once more, can be done at the low rate."""
    x = rng.standard_normal((9, 4))
    first, second = rng.standard_normal((taps, 4, 3)), rng.standard_normal((taps, 3, 2))
    expected = same_convolution(np.repeat(x, factor, axis=0), first)
    phases = apply(upsampling_kernel(first, factor), x)
    np.testing.assert_allclose(phases.reshape(-1, 3), expected, atol=1e-4)
    again = apply(phase_kernel(second, factor), phases)
    np.testing.assert_allclose(again.reshape(-1, 2), same_convolution(expected, second), atol=1e-3)


@pytest.mark.parametrize(("taps", "count"), [(11, 8), (3, 4)])
def test_many_outputs_at_once(rng, taps, count):
    """A strided convolution gives what a plain one does, several outputs a stride."""
    x = rng.standard_normal((count * 3, 4))
    kernel = rng.standard_normal((taps, 4, 2))
    wide = multi_output_kernel(kernel, count)
    padded = np.pad(x, ((taps // 2, taps // 2), (0, 0)))
    found = [
        np.einsum("tc,tco->o", padded[i : i + len(wide)], wide) for i in range(0, len(x), count)
    ]
    expected = same_convolution(x, kernel)
    np.testing.assert_allclose(np.reshape(found, expected.shape), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("taps", "factor", "left", "right"), [(5, 3, 1, 1), (7, 2, 1, 1), (5, 2, 1, 0), (5, 2, 0, 0)]
)
def test_convolution_behind_a_cropping(rng, taps, factor, left, right):
    """The few outputs that cropping alters are those of the cropped signal, the others too."""
    x = rng.standard_normal((12, 4)).astype(np.float32)
    kernel = rng.standard_normal((taps, 4, 3)).astype(np.float32)
    bias = rng.standard_normal(3).astype(np.float32)
    upsampled = np.repeat(x, factor, axis=0)
    cropped = upsampled[left : len(upsampled) - right]
    expected = np.maximum(same_convolution(cropped, kernel) + bias, 0)
    found = upsampled_convolution(
        tf.constant(x[None, None]), Convolution(kernel, bias), factor, (left, right)
    )
    np.testing.assert_allclose(found[0, 0], expected, atol=1e-4)
