"""A trace of a file as a sensor's counts."""

import numpy as np
import pytest
from eqedge.edge.replay.fields import TraceError
from eqedge.edge.replay.stead import SteadFile
from eqedge.edge.tools.sensor.record import read_record


@pytest.mark.parametrize(
    ("scale", "offset", "lost"),
    [(1e-3, 1e9, "E, N, Z"), (1.0, 2.0**62, "E, N, Z"), ([1e-9, 1.0, 1.0], 0.0, "E")],
)
def test_a_component_that_rounding_would_destroy_is_named(write_stead, rng, scale, offset, lost):
    """A small signal on a large offset, or beside components in another unit."""
    waveform = np.round(rng.standard_normal((600, 3)) * 1000) * scale
    path = write_stead({"A.XX_1_EV": (waveform + offset, {})})
    with pytest.raises(TraceError, match=f"A.XX_1_EV: component {lost} would be lost"):
        read_record(path)


def test_samples_beyond_float32_are_named_by_every_reader(write_stead, rng):
    """The networks would compute with infinities."""
    path = write_stead({"A.XX_1_EV": (rng.standard_normal((600, 3)) * 1e300, {})})
    with pytest.raises(TraceError, match=r"A\.XX_1_EV: its largest sample is .*, beyond float32"):
        read_record(path)
    with SteadFile(path) as file, pytest.raises(TraceError, match="beyond float32"):
        file.read("A.XX_1_EV")


def test_a_label_outside_the_trace_is_remarked(write_stead, rng):
    """It is no label of the trace, and the remark names it."""
    waveform = rng.standard_normal((600, 3))
    fields = {"p_arrival_sample": 100.0, "s_arrival_sample": 700.0}
    with SteadFile(write_stead({"A.XX_1_EV": (waveform, fields)})) as file:
        trace = file.read("A.XX_1_EV")
    assert (trace.p_arrival_sample, trace.s_arrival_sample) == (100.0, None)
    assert trace.remark == "s_arrival_sample 700 lies outside its 600 samples and is not used"
