"""Which traces are played."""

import numpy as np
from eqedge.edge.replay.playlist import Playlist
from eqedge.edge.replay.stead import SteadFile


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
