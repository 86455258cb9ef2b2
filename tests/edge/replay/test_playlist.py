"""Which traces are played."""

import numpy as np
from eqedge.edge.replay.playlist import Playlist, choose
from eqedge.edge.replay.stead import SteadFile
from hypothesis import given
from hypothesis import strategies as st

NAMES = [f"trace{n}" for n in range(30)]


@given(st.integers(0, 40), st.integers(0, 2**32))
def test_a_choice_is_seeded_and_without_repeats(count, seed):
    """The same seed chooses the same, each name at most once."""
    chosen = choose(NAMES, count, seed)
    assert chosen == choose(NAMES, count, seed)
    assert len(chosen) == len(set(chosen)) == min(count, len(NAMES))
    assert set(chosen) <= set(NAMES)


def test_seeds_differ():
    """Another seed chooses others."""
    assert len({tuple(choose(NAMES, 5, seed)) for seed in range(20)}) == 20


def test_all_keep_the_files_order():
    """Without a number, or with one as large as the file, nothing is left to chance."""
    assert choose(NAMES, None, 3) == NAMES == choose(NAMES, 30, 3)


def test_what_cannot_be_played_is_passed_over(write_stead, rng):
    """Each with its reason; what is odd but played is remarked."""
    wave = rng.standard_normal((500, 3))
    half = wave * [1, 1, 0]
    path = write_stead(
        {
            "a": (wave, {}),
            "b": (wave[:, :2], {}),
            "c": (wave, {"sampling_rate_hz": 50}),
            "d": (half, {}),
            "e": (wave * np.nan, {}),
        }
    )
    with SteadFile(path) as file:
        playlist = Playlist(file, file.names, 100.0)
        assert [trace.name for trace in playlist] == ["a", "d"]
    assert [line.split(":")[0] for line in playlist.passed_over] == [
        "trace b",
        "trace c",
        "trace e",
    ]
    assert (
        "50 Hz among others of 100 Hz; replay it from a file of its own"
        in (playlist.passed_over[1])
    )
    assert playlist.remarks == ["trace d: constant component Z"]


def test_traces_of_another_rate_are_played_at_theirs(write_stead, rng):
    """The first one's rate is the sensor's; one that leads nowhere is passed over."""
    wave = rng.standard_normal((500, 3))
    rates = {"a": 62.501, "b": 62.5, "c": 100, "d": 62.5}
    path = write_stead({name: (wave, {"sampling_rate_hz": r}) for name, r in rates.items()})
    with SteadFile(path) as file:
        playlist = Playlist(file, file.names, 100.0)
        assert [trace.name for trace in playlist] == ["b", "d"]
    assert playlist.rate_hz == 62.5
    assert "trace a: 62.501 Hz cannot be turned into" in playlist.passed_over[0]
