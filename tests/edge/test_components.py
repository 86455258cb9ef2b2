"""Dead, railed, weak and strong components are found, sound ones are not, however it shakes."""

from itertools import pairwise

import numpy as np
import pytest
from eqedge.edge.components import (
    EVERY_SECONDS,
    JUDGED_SECONDS,
    KINDS,
    ComponentCheck,
    Seconds,
    faults_of,
    text_of,
)
from eqedge.edge.health.degraded import Degradation
from eqedge.edge.health.metrics import metrics_of
from eqedge.edge.replay.synthetic import earthquake, noise
from eqedge.edge.run_counts import RunCounts
from eqedge.edge.types import Block, ClockState
from hypothesis import given, settings
from hypothesis import strategies as st

RATE = 100
CLOCK = ClockState("sim", True)
FULL_SCALE = 2.0**23 - 1
MINUTE = 60 * RATE


def ground(seconds=120, seed=1, level=200.0):
    """Return noise of a sound sensor, (n, 3) counts."""
    return np.rint(np.random.default_rng(seed).normal(0, level, (seconds * RATE, 3)))


def blocks(samples, sizes=(50,), **more):
    """Cut samples into blocks of these sizes by turns."""
    edges = [0]
    while edges[-1] < len(samples):
        edges.append(edges[-1] + sizes[len(edges) % len(sizes)])
    for a, b in pairwise(edges):
        part = samples[a:b].astype(np.float32)
        yield Block(a, a * 10_000_000, part, CLOCK, **{"full_scale": FULL_SCALE, **more})


def marks(samples, **more):
    """Return (first sample, mark) of each block, and the check."""
    check = ComponentCheck()
    return [(b.first_sample, b.degraded) for b in check.push(blocks(samples, **more))], check


def dead(x):
    """The N component stops."""
    x[:, 1] = 117


def railed(x):
    """The Z component is stuck at the converter's limit."""
    x[:, 2] = -FULL_SCALE - 1


def stuck(x):
    """The E component is stuck at the limit of a converter of 16 bits, where 24 are announced."""
    x[:, 0] = 32_767


def clipped(x):
    """The E component is driven into the converter's limits."""
    x[:, 0] = np.clip(x[:, 0] * 1e5, -FULL_SCALE, FULL_SCALE)


def limited(x):
    """The E component is cut off at a limit that the Hello does not announce."""
    x[:, 0] = np.clip(x[:, 0] * 40, -4000, 4000)


def jumping(x):
    """The Z component jumps between two values, at an amplitude as the others have it."""
    x[:, 2] = np.where(np.random.default_rng(4).random(len(x)) < 0.5, 32_767, 32_467)


def weak(x):
    """The N component has a hundredth of the others' amplitude."""
    x[:, 1] = np.rint(x[:, 1] / 100)


def strong(x):
    """The Z component has a hundred times the others' amplitude."""
    x[:, 2] *= 100


FAULTS = [
    (dead, "N dead"),
    (railed, "Z railed"),
    (stuck, "E railed"),
    (clipped, "E railed"),
    (limited, "E railed"),
    (jumping, "Z railed"),
    (weak, "N far weaker"),
    (strong, "Z far stronger"),
]


@pytest.mark.parametrize(("spoil", "mark"), FAULTS, ids=lambda one: getattr(one, "__name__", one))
def test_a_fault_is_found_within_a_minute_and_ends(spoil, mark, logged):
    """Named in block, log, health and metrics; half a minute after it is over all is well."""
    samples = ground(240)
    spoil(samples[2 * MINUTE : 3 * MINUTE])
    seen, check = marks(samples)
    assert {text for at, text in seen if at < 2 * MINUTE} == {""}
    first = min(at for at, text in seen if text == mark)
    assert 2 * MINUTE < first <= 3 * MINUTE
    last = max(at for at, text in seen if text)
    assert 3 * MINUTE < last < 3 * MINUTE + (2 * JUDGED_SECONDS + EVERY_SECONDS) * RATE
    name, kind = mark.split(" ", 1)
    assert logged(f"component {name} is {kind}: {KINDS[kind]}")
    assert logged()[-1] == f"component {name} is well again"
    assert check.counts.faults >= 1 and check.counts.faulty == 0


@pytest.mark.parametrize(("spoil", "mark"), FAULTS, ids=lambda one: getattr(one, "__name__", one))
@pytest.mark.parametrize("seconds", [0.4, 0.9, 3, 4.4, 12, 20])
def test_gaps_do_not_hide_a_fault_or_keep_it(spoil, mark, seconds):
    """Segments shorter than what a judgement needs are judged together."""
    samples, length = ground(240), round(seconds * RATE)
    spoil(samples[2 * MINUTE : 3 * MINUTE])
    check, seen = ComponentCheck(), []
    for number, at in enumerate(range(0, len(samples), length)):
        segment = blocks(samples[at : at + length], segment=number)
        seen += [(at + b.first_sample, b.degraded) for b in check.push(segment)]
    assert 2 * MINUTE < min(at for at, text in seen if text == mark) < 3 * MINUTE
    assert 3 * MINUTE < max(at for at, text in seen if text) < 4 * MINUTE
    assert check.counts.text == "" and check.counts.faults >= 1


def test_the_step_over_a_gap_is_none_of_the_ground():
    """A slow swell on one component, of which each second misses a part, is no fault."""
    samples, length = ground(120), RATE * 4 // 5
    samples[:, 2] += np.rint(1e6 * np.sin(np.arange(len(samples)) * (2 * np.pi / 40 / RATE)))
    check, seen = ComponentCheck(), set()
    for number, at in enumerate(range(0, len(samples) - length, 2 * length)):
        segment = blocks(samples[at : at + length], segment=number)
        seen |= {block.degraded for block in check.push(segment)}
    assert seen == {""} and check.counts.faults == 0


@pytest.mark.parametrize(
    "value", [32_767, -32_768, 524_287, -(2**23), 2**23 - 1, 2**31 - 1, -(2**31)]
)
@pytest.mark.parametrize("full_scale", [0.0, 2.0**31 - 1])
def test_a_constant_at_a_usual_limit_is_railed(value, full_scale):
    """Without an announced limit, as in a replay, and with a wider one."""
    samples = ground(60)
    samples[:, 1] = value
    seen, _ = marks(samples, full_scale=full_scale)
    assert seen[-1][1] == "N railed"
    samples[:, 1] = value // 3
    seen, _ = marks(samples, full_scale=full_scale)
    assert seen[-1][1] == "N dead"


def test_a_fault_degrades_the_state_while_it_lasts():
    """The health record has it among its reasons, by name."""
    samples = ground(180)
    dead(samples[MINUTE : 2 * MINUTE])
    judge, check, texts = Degradation(60.0).judge, ComponentCheck(), []
    for block in check.push(blocks(samples)):
        counts = [RunCounts(components=check.counts)]
        texts.append(judge(block.first_sample / RATE, metrics_of(counts), counts))
    assert texts[0] == texts[-1] == []
    assert ["components: N dead", "components_faulty is 1"] in texts


@settings(deadline=None, max_examples=25)
@given(sizes=st.lists(st.integers(1, 700), min_size=1, max_size=4), spoilt=st.sampled_from(FAULTS))
def test_the_marks_depend_on_the_samples_alone(sizes, spoilt):
    """However the stream is cut: each sample that begins a block has the same mark or the next."""
    samples = ground(100)
    spoilt[0](samples[40 * RATE :])
    _, whole = marks(samples)
    seen, check = marks(samples, sizes=tuple(sizes))
    assert (check.counts.text, check.counts.faults) == (whole.counts.text, whole.counts.faults)
    assert seen[-1][1] in {"", spoilt[1]} and seen[0][1] == ""


@pytest.mark.parametrize("seed", range(6))
def test_strong_earthquakes_are_no_fault(seed):
    """Near and far, in little noise: P and S differ between components by far, but not for long."""
    rng = np.random.default_rng(seed)
    lead = noise(rng, transients=False).waveform
    shaken = [
        earthquake(rng, p_arrival_sample=1500, distance_km=far, snr_db=70.0).waveform
        for far in (5.0, 60.0, 120.0)
    ]
    seen, _ = marks(np.rint(np.concatenate([lead, *shaken])))
    assert {text for _, text in seen} == {""}


def test_a_short_clipping_of_a_strong_earthquake_is_no_fault():
    """Five seconds at the limit."""
    samples = ground(120)
    clipped(samples[MINUTE : MINUTE + 5 * RATE])
    seen, _ = marks(samples)
    assert {text for _, text in seen} == {""}


@pytest.mark.parametrize("level", [0.2, 0.5, 1.0, 3.0])
def test_quiet_ground_is_no_fault(level):
    """A borehole, or an accelerometer whose noise is near one count, unequal on each component."""
    samples = np.rint(
        np.random.default_rng(3).normal(0, [level, level / 2, level / 3], (20_000, 3))
    )
    assert (np.ptp(samples, axis=0) > 0).any()
    seen, _ = marks(samples)
    found = {text for _, text in seen}
    still = [name for name, one in zip("ENZ", samples.T, strict=True) if np.ptp(one) == 0]
    assert found <= {"", f"{', '.join(still)} dead" if still else ""}


def test_components_that_differ_as_on_the_sea_floor_are_no_fault():
    """Horizontals ten times as loud, on a slow swell a thousand times as large."""
    samples = ground(180) * [10, 10, 1]
    samples += 2e5 * np.sin(np.arange(len(samples)) / 1500)[:, None] * [1, 1, 0]
    seen, _ = marks(np.rint(samples))
    assert {text for _, text in seen} == {""}


def test_a_component_that_the_sensor_lacks_is_no_fault():
    """It is in the message as before; the one that is left can be dead."""
    samples = ground(120) * [0, 0, 1]
    seen, check = marks(samples, absent="EN", degraded="no E, N component")
    assert {text for _, text in seen} == {"no E, N component"} and check.counts.faulty == 0
    samples[MINUTE:] = 5
    seen, check = marks(samples, absent="EN", degraded="no E, N component")
    assert seen[-1][1] == "no E, N component; Z dead" and check.counts.faulty == 1


def test_three_dead_components_are_all_named():
    """Half a minute without any motion; before that it may be quiet ground."""
    samples = ground(120)
    samples[MINUTE:] = 7
    seen, _ = marks(samples)
    assert seen[-1][1] == "E, N, Z dead"


def test_another_sensor_begins_without_faults(logged):
    """A change of rate is another sensor; a gap is not."""
    samples = ground(60)
    dead(samples)
    check = ComponentCheck()
    *_, last = check.push(blocks(samples, segment=1))
    assert last.degraded == "N dead"
    first, *_ = check.push(blocks(ground(1), segment=2))
    assert first.degraded == "N dead"
    first, *_ = check.push(blocks(ground(1), segment=3, rate_hz=200.0))
    assert first.degraded == "" and check.counts.faulty == 0


def test_a_fault_that_comes_and_goes_fills_no_log(logged):
    """Each is counted."""
    samples = ground(60 * 40)
    for minute in range(0, 40, 2):
        dead(samples[minute * MINUTE : (minute + 1) * MINUTE])
    _, check = marks(samples)
    assert check.counts.faults == 20 and len(logged()) <= 6


def test_faults_are_a_pure_function_of_seconds():
    """Texts of several at once are in the order of their weight."""
    samples = ground(JUDGED_SECONDS)
    dead(samples)
    railed(samples)
    seconds = Seconds.of(samples.astype(np.float32), RATE, FULL_SCALE)
    assert faults_of(seconds) == faults_of(seconds) == ("", "dead", "railed")
    assert text_of(faults_of(seconds)) == "N dead; Z railed"
    assert text_of(("", "", "")) == ""
