"""Find quiet scenes in which a network picks earthquakes: training needs more of them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ... import EqedgeError
from ...edge.files import written_whole
from ...edge.picks import find_peaks
from ...edge.prepare import prepare
from ...models.spec import ModelSpec
from ..data.example import Example
from ..data.picker import Predict
from .sampling import Sampler

FALSE_FROM = 0.15
"""A peak this high counts although no pick would be made of it yet."""
CLEAR_SAMPLES = 100
"""Nobody has an onset nearer to a false peak than this."""
BATCH_WINDOWS = 64


class MiningError(EqedgeError):
    """A list of hard scenes that cannot be read."""


def hard_scenes(sampler: Sampler, predict: Predict, spec: ModelSpec, scenes: int) -> list[int]:
    """Return the numbers of quiet scenes with a false P or S in them.

    Args:
        sampler: Draws the scenes; without any hard ones of its own.
        predict: The network to fool.
        spec: How a window is prepared.
        scenes: How many to look at: numbers 0 to `scenes` - 1.
    """
    hard: list[int] = []
    for first in range(0, scenes, BATCH_WINDOWS):
        numbers = range(first, min(first + BATCH_WINDOWS, scenes))
        examples = [sampler.quiet_scene(number) for number in numbers]
        answers = predict(np.stack([prepare(e.waveform, spec) for e in examples]))
        hard += [
            number
            for number, example, answer in zip(numbers, examples, answers, strict=True)
            if fooled(example, answer)
        ]
    return hard


def fooled(example: Example, answer: NDArray[np.float32]) -> bool:
    """Whether (6000, 3) probabilities have a peak far from every onset of the example."""
    onsets = np.concatenate([example.p[:, 0], example.s[:, 0]])
    return any(
        not (np.abs(onsets - peak.sample) <= CLEAR_SAMPLES).any()
        for head in (1, 2)
        for peak in find_peaks(answer[:, head], FALSE_FROM)
    )


def save(path: Path, hard: list[int]) -> None:
    """Write the numbers, whole or not at all, for a run that is taken up again."""
    with written_whole(path) as unfinished:
        unfinished.write_text(json.dumps(hard))


def load(path: Path) -> list[int]:
    """Read what `save` wrote.

    Raises:
        MiningError: It is not there or damaged.
    """
    try:
        return [int(number) for number in json.loads(path.read_text())]
    except (OSError, ValueError, TypeError) as error:
        raise MiningError(
            f"{path}: no list of hard scenes; start again in another --output"
        ) from error
