"""A small file of synthetic records, and a run over it."""

import shutil
import subprocess
import sys

import numpy as np
import pytest
from eqedge.convert.data.matching import Outcomes, judge, packed
from eqedge.convert.data.records import Record
from eqedge.convert.evaluation.score_table import Noise, Onsets, ScoreTable
from eqedge.convert.evaluation.subjects import Subject
from eqedge.edge.replay.sample import write_sample


@pytest.fixture(scope="session")
def played(tmp_path_factory):
    """Four events and two traces of noise, and what `eqedge run --sim` made of them."""
    folder = tmp_path_factory.mktemp("played")
    data, triggers = folder / "small.hdf5", folder / "run.jsonl"
    write_sample(data, events=4, noise_traces=2, seed=5)
    result = subprocess.run(
        [sys.executable, "-m", "eqedge", "run", "--sim", data, "--speed", "max", "--output",
         triggers],
        capture_output=True, text=True, timeout=600, check=True,
    )  # fmt: skip
    return data, triggers, result.stderr


@pytest.fixture
def data(played, tmp_path):
    """A copy of the file, to be damaged."""
    return shutil.copy(played[0], tmp_path / "small.hdf5")


def subject(number, **changes):
    """One event, by default of a station of its own."""
    names = {"station": f"S{number}.XX", "source": "set", "manual": True} | changes
    own = {key: names.pop(key) for key in ("event", "facts") if key in names}
    record = Record("f", f"data/t{number}", 0, 6000, **names)
    return Subject(**({"record": record, "event": f"t{number}", "facts": {}} | own))


def score_table(columns, subjects=None, thresholds=(0.3, 0.6), noise=None, onsets=None):
    """Scores of windows with P at 2000 whose P picks are given, threshold by threshold."""
    n = len(thresholds)
    p = Outcomes.of(
        [True] * len(columns), [packed([judge(k, 2000) for k in row]) for row in columns], n
    )
    empty = np.zeros((0, n), np.int32)
    return ScoreTable(
        thresholds,
        tuple(subjects or [subject(k) for k in range(len(columns))]),
        p,
        p,
        noise or Noise((), np.zeros(0), empty, empty, empty),
        onsets or Onsets((), 0.25, np.zeros((0, n))),
    )
