"""The budget in PROTOCOL.md is what `python -m studies.budget` prints."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from studies.budget import lines, pack_differences


def rows(text):
    """Rows of the budget's tables: the label of each, and its figures."""
    found = re.findall(r"^\| (\d+ Hz \| \w+) \| (.*) \|$", text, re.M)
    return {label: [float(n) for n in re.findall(r"\d+", figures)] for label, figures in found}


def test_the_documents_tables_are_of_today(root):
    """Each row stands in the document with these figures, to 1 %."""
    printed = rows("\n".join(lines()))
    documented = rows((root / "firmware_bridge/PROTOCOL.md").read_text())
    assert len(printed) == 12 and printed.keys() == documented.keys()
    for label, figures in printed.items():
        assert figures == pytest.approx(documented[label], rel=0.01, abs=0.5), label


def test_figures_of_beacons_and_requests(root, vectors):
    """Lengths of Hello, Status, time request and reply are those of the vectors."""
    length = {v["name"]: len(v["frame"]) // 2 for v in vectors["good"]}
    documented = re.search(
        r"Hello \((\d+) bytes\) and Status \((\d+)\) every ten seconds add (\d+) bytes a second; "
        r"a time request and reply\neach second (\d+) and (\d+)\.",
        (root / "firmware_bridge/PROTOCOL.md").read_text(),
    )
    hello, status, beacons, request, reply = map(int, documented.groups())
    assert (hello, status) == (length["hello"], length["status"])
    assert beacons == round((hello + status) / 10)
    assert (request, reply) == (length["time-request"], length["time-reply"])


def unpack(data, samples, channels):
    """Undoes pack_differences."""
    bits, first = data[0], np.frombuffer(data[1 : 1 + 4 * channels], "<i4").astype(np.int64)
    planes = np.unpackbits(np.frombuffer(data[1 + 4 * channels :], np.uint8))
    planes = planes[: (samples - 1) * channels * bits].reshape(-1, bits).astype(np.int64)
    weights = 1 << np.arange(bits - 1, -1, -1, dtype=np.int64)
    weights[0] = -weights[0]
    steps = (planes * weights).sum(axis=1).reshape(-1, channels)
    return np.concatenate([first[None], first + np.cumsum(steps, axis=0)])


@given(st.data())
def test_the_differences_that_are_priced_hold_all_that_was_measured(data):
    """The counts come back from their differences, so the price is of something that works."""
    samples, channels = data.draw(st.integers(1, 40)), data.draw(st.integers(1, 6))
    top = data.draw(st.sampled_from([1, 100, 2**15, 2**31 - 1]))
    flat = data.draw(
        st.lists(
            st.integers(-top - 1, top), min_size=samples * channels, max_size=samples * channels
        )
    )
    counts = np.array(flat, dtype=np.int64).astype(np.int32).reshape(samples, channels)
    assert (unpack(pack_differences(counts), samples, channels) == counts).all()
