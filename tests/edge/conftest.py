"""The shipped model, streams of counts with earthquakes in them, and the log."""

import logging

import numpy as np
import pytest
from eqedge.edge.replay.synthetic import earthquake, noise
from eqedge.models.registry import DEFAULT_MODEL, open_model
from hypothesis import settings

from tests.support.certificates import certificates  # noqa: F401  (fixture)

settings.register_profile("loaded", deadline=None)  # a busy machine is not a failure
settings.load_profile("loaded")


@pytest.fixture(scope="session")
def model():
    """The model that a node uses by default."""
    return open_model(DEFAULT_MODEL)


@pytest.fixture(scope="session")
def stream():
    """A minute of noise, a strong local earthquake, ten seconds of noise: counts, P and S."""
    rng = np.random.default_rng(22)
    lead = noise(rng, transients=False).waveform
    record = earthquake(rng, p_arrival_sample=1500, distance_km=40.0, snr_db=40.0)
    tail = noise(rng, n_samples=1000, transients=False).waveform
    counts = np.rint(np.concatenate([lead, record.waveform, tail])).astype(np.int32)
    return counts, 6000 + record.p_arrival_sample, 6000 + record.s_arrival_sample


@pytest.fixture
def logged(caplog):
    """Return the lines logged so far that contain a text; all without one."""
    caplog.set_level(logging.INFO, logger="eqedge")
    return lambda text="": [line for line in caplog.messages if text in line]
