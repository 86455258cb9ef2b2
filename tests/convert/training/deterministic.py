"""Steps in one thread; `python -m tests.convert.training.deterministic FOLDER`.

A process of its own, because the number of threads is given to the backend before it computes
anything. Prints as JSON what was seen of a run, of the same run broken off and taken up again, and
of one that is taken up without the optimizer's state.
"""

import json
import sys
from pathlib import Path

import numpy as np
from eqedge.convert.training import devices, loop
from eqedge.convert.training.student import Student

from .steps import IDENTITY, SETTINGS, take_steps

BROKEN_AT, STEPS = 8, 11
"""The average is updated in between."""


def taken_up(student, folder, spoil=False):
    """State at the end of the broken-off run that another student takes up."""
    loop.resume(folder / "broken", student, IDENTITY)
    if spoil:
        state = student.state()
        lost = {key: np.zeros_like(array) for key, array in state.items() if "optimizer" in key}
        student.restore(state | lost)
    take_steps(student, folder, STEPS - BROKEN_AT)
    return student.state()


def same(one, other):
    """Whether every bit of two states is equal."""
    assert one.keys() == other.keys()
    return all(np.array_equal(one[key], other[key]) for key in one)


def main(folder):
    """Run, break off, go on."""
    device = devices.find(deterministic=True).description
    whole = Student(SETTINGS, seed=1)
    take_steps(whole, folder / "broken", BROKEN_AT)
    take_steps(whole, folder, STEPS - BROKEN_AT)
    other = Student(SETTINGS, seed=77)
    seen = {
        "device": device,
        "steps": whole.steps,
        "taken up": same(taken_up(other, folder), whole.state()),
        "spoilt": same(taken_up(other, folder, spoil=True), whole.state()),
    }
    print(json.dumps(seen))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
