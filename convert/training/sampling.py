"""Draw windows from a library, each a function of the seed and its number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ...edge.prepare import prepare
from ...edge.replay.synthetic import earthquake, noise
from ...models.spec import WINDOW_SAMPLES, ModelSpec
from ..data.example import NO_ONSETS, Example, noise_example, onsets
from .augment import add_event, add_noise, corrupt, seen
from .labels import CODA_FACTOR, target_curves
from .library import Library
from .options import AugmentOptions, LabelOptions, SceneOptions

LATE_SAMPLES = 300
QUIET_SCENES = 0x5C
"""Sets their numbers apart from those of a run's batches."""


@dataclass(frozen=True)
class Mixture(SceneOptions):
    """What windows are made of, how they are changed, and how they are labelled."""

    augment: AugmentOptions = field(default_factory=AugmentOptions)
    labels: LabelOptions = field(default_factory=LabelOptions)


class Sampler:
    """Draws windows from a library.

    Args:
        library: Annotated records of training stations.
        spec: How the device prepares a window.
        mixture: Shares and options.
        hard: Numbers of quiet scenes that fooled a network, by `mining`.
    """

    def __init__(
        self, library: Library, spec: ModelSpec, mixture: Mixture, hard: Sequence[int] = ()
    ) -> None:
        self._library = library
        self._spec = spec
        self._mix = mixture
        self._options = mixture.augment
        self._hard = hard

    def batch(
        self, seed: int, number: int, size: int
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return the batch of a number: (size, 6000, 3) windows and as many targets."""
        rng = np.random.default_rng([seed, number])
        pairs = [self.window(rng) for _ in range(size)]
        return np.stack([x for x, _ in pairs]), np.stack([y for _, y in pairs])

    def window(self, rng: np.random.Generator) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Draw one window: (6000, 3) prepared samples and targets."""
        example = corrupt(self._scene(rng), rng, self._options)
        return prepare(example.waveform, self._spec), target_curves(example, self._mix.labels)

    def quiet_scene(self, number: int) -> Example:
        """Return the scene of a number, drawn without an earthquake.

        A stretch of a continuous record, which may hold labelled ones, or noise.
        """
        rng = np.random.default_rng([QUIET_SCENES, number])
        mix = self._mix
        continuous = mix.continuous_share / (mix.continuous_share + mix.noise_share)
        if rng.random() < continuous and self._library.continuous:
            return self._anywhere(rng)
        return self._noise_scene(rng)

    def _scene(self, rng: np.random.Generator) -> Example:
        """Ground motion, before any sensor."""
        if self._hard and rng.random() < self._mix.hard_share:
            return self.quiet_scene(self._hard[int(rng.integers(len(self._hard)))])
        mix, options, which = self._mix, self._options, rng.random()
        if which < mix.event_share:
            example = self._event(rng)
            if rng.random() < options.add_event_r:
                example = add_event(example, self._event(rng), rng)
            if rng.random() < options.add_noise_r:
                example = add_noise(example, self._noise(rng), rng)
            return example
        which -= mix.event_share
        if which < mix.continuous_share and self._library.continuous:
            return self._anywhere(rng)
        which -= mix.continuous_share
        if which < mix.noise_share:
            return self._noise_scene(rng)
        which -= mix.noise_share
        if which < mix.synthetic_event_share:
            return self._synthetic(rng)
        return noise_example(noise(rng, n_samples=WINDOW_SAMPLES).waveform)

    def _noise_scene(self, rng: np.random.Generator) -> Example:
        """Real noise, that of another place in it, or people walking past."""
        waveform = self._noise(rng)
        if rng.random() < 0.4:
            other = self._noise(rng)
            level = rng.uniform(0.1, 1.0) * waveform.std() / (other.std() + 1e-9)
            waveform = waveform + np.float32(level) * other
        if rng.random() < 0.15:
            # Synthetic footsteps, cars and spikes in real noise.
            other = noise(rng, n_samples=WINDOW_SAMPLES).waveform
            waveform = waveform / (waveform.std() + 1e-9) + other / other.std()
        return noise_example(waveform)

    def _p_position(self, rng: np.random.Generator) -> int:
        if rng.random() < self._options.late_p_r:
            return WINDOW_SAMPLES - int(rng.integers(10, LATE_SAMPLES))
        if rng.random() < self._options.shift_event_r:
            return int(rng.integers(50, WINDOW_SAMPLES - LATE_SAMPLES))
        return int(rng.integers(1000, WINDOW_SAMPLES // 2))

    def _event(self, rng: np.random.Generator) -> Example:
        """A real earthquake with P where it was drawn to be."""
        options = self._options
        for _ in range(20):
            spot = self._library.draw_event(rng, self._mix.labelled_share)
            example = self._library.example(spot.record)
            if example is None:
                continue
            factor = float(rng.uniform(0.75, 1.33)) if rng.random() < options.stretch_r else 1.0
            length = int(np.ceil(WINDOW_SAMPLES * factor)) + 2 if factor != 1 else WINDOW_SAMPLES
            first = spot.sample - int(self._p_position(rng) * factor)
            if first + length > len(example.waveform):
                continue
            if first < 0:
                quiet = quiet_before(example, spot.sample)
                if quiet < 300:
                    continue
                # Only as much of the record as is needed: these can be an hour long.
                end = max(quiet, first + length)
                example = example.cut(0, end).with_mirrored_lead(-first, quiet)
                first = 0
            cut = example.cut(first, length)
            return cut if factor == 1 else cut.stretched(factor, WINDOW_SAMPLES)
        return self._anywhere(rng)

    def _anywhere(self, rng: np.random.Generator) -> Example:
        """A window of a continuous record, or of any record where there is none."""
        library = self._library
        for _ in range(20):
            chosen = library.continuous or range(len(library.records))
            example = library.example(chosen[int(rng.integers(len(chosen)))])
            if example is not None:
                first = int(rng.integers(0, len(example.waveform) - WINDOW_SAMPLES + 1))
                return example.cut(first, WINDOW_SAMPLES)
        return noise_example(noise(rng, n_samples=WINDOW_SAMPLES).waveform)

    def _noise(self, rng: np.random.Generator) -> NDArray[np.float32]:
        """Real noise: a quiet stretch, or what precedes a labelled P."""
        library = self._library
        for _ in range(20):
            waveform = None
            if library.quiet and (not library.labelled or rng.random() < 0.6):
                spot = library.quiet[int(rng.integers(len(library.quiet)))]
                example = library.example(spot.record)
                if example is not None:
                    last = len(example.waveform) - WINDOW_SAMPLES
                    first = int(np.clip(spot.sample + rng.integers(-200, 200), 0, last))
                    waveform = example.waveform[first : first + WINDOW_SAMPLES]
            else:
                waveform = self._before_p(rng)
            if waveform is not None:
                return _scrambled(waveform, rng) if rng.random() < 0.25 else waveform
        return noise(rng, n_samples=WINDOW_SAMPLES).waveform

    def _before_p(self, rng: np.random.Generator) -> NDArray[np.float32] | None:
        spot = self._library.draw_event(rng, labelled_share=1.0)
        example = self._library.example(spot.record)
        quiet = 0 if example is None else quiet_before(example, spot.sample)
        if example is None or quiet < 600:
            return None
        lead = noise_example(example.waveform[:quiet])
        missing = max(0, WINDOW_SAMPLES - quiet)
        return lead.with_mirrored_lead(missing, quiet).waveform[:WINDOW_SAMPLES]

    def _synthetic(self, rng: np.random.Generator) -> Example:
        """Return a synthetic earthquake; half of them are in real noise."""
        record = earthquake(
            rng, n_samples=WINDOW_SAMPLES, p_arrival_sample=self._p_position(rng), transients=True
        )
        p, s = round(record.p_arrival_sample or 0), round(record.s_arrival_sample or 0)
        detection = np.zeros(WINDOW_SAMPLES, np.float32)
        detection[p : int(s + CODA_FACTOR * (s - p))] = 1.0
        example = Example(
            record.waveform,
            onsets((p, seen(record.waveform, p))),
            onsets((s, seen(record.waveform, s))) if s < WINDOW_SAMPLES else NO_ONSETS,
            detection,
        )
        return add_noise(example, self._noise(rng), rng)


def quiet_before(example: Example, p_sample: int) -> int:
    """Samples at a record's beginning without an onset, up to 0.3 s before its first one."""
    known = np.concatenate([example.p[:, 0], example.s[:, 0], [p_sample]])
    return max(0, int(known.min()) - 30)


def _scrambled(waveform: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Return noise of the same spectrum with random phases, the same on E, N and Z."""
    spectrum = np.fft.rfft(waveform, axis=0)
    spectrum *= np.exp(2j * np.pi * rng.random((len(spectrum), 1)))
    return np.fft.irfft(spectrum, len(waveform), axis=0).astype(np.float32)
