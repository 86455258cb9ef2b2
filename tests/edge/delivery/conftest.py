"""What the tests of delivery share."""

import logging

import pytest


@pytest.fixture
def logged(caplog):
    """Return the lines logged so far that contain a text; all without one."""
    caplog.set_level(logging.INFO, logger="eqedge")
    return lambda text="": [line for line in caplog.messages if text in line]
