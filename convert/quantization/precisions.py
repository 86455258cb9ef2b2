"""One network in, its files of every precision out; what they have in common is done once."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from ..conversion import Progress
from ..graph.weights import LoadedNetwork
from .quantize import find_ranges, quantize
from .sensitivity import is_tuned


class Forms:
    """A network that can be had in every precision.

    Args:
        loaded: The network.
        windows: (n, window_samples, 3) prepared, to calibrate on.
        tuning_steps: Gradient steps that fit the encoder to int8.
        io: Type of the input and the outputs of int8.
        progress: Called with what is done, how much of it, and of how much.
    """

    def __init__(
        self,
        loaded: LoadedNetwork,
        windows: NDArray[np.float32],
        tuning_steps: int,
        io: str,
        progress: Progress | None = None,
    ) -> None:
        self._loaded = loaded
        self._layers = loaded.layers
        self._windows = windows
        self._tuning_steps = tuning_steps
        self._io = io
        self._progress = progress
        self.ranged = cache(self._ranged)

    def make(
        self,
        precision: str,
        float_stages: tuple[str, ...] = (),
        io: str | None = None,
        progress: Progress | None = None,
    ) -> bytes:
        """Convert to one precision.

        Args:
            precision: One of quantize.PRECISIONS.
            float_stages: Beginnings of the names of stages that `mixed` keeps in float32.
            io: In place of the one that int8 files share.
            progress: In place of the one that all files share.

        Raises:
            QuantizeError: The converter refused or died.
        """
        by_ranges = precision in ("int8", "mixed")
        return quantize(
            self._loaded.architecture,
            self._loaded.variant,
            self._layers,
            precision=precision,
            windows=self._windows if precision == "int16x8" else None,
            ranged=self.ranged(is_tuned(float_stages)) if by_ranges else None,
            float_stages=float_stages,
            io=io or self._io,
            progress=progress or self._progress,
        )

    def _ranged(self, tuned: bool) -> bytes:
        steps = self._tuning_steps if tuned else 0
        arch, variant = self._loaded.architecture, self._loaded.variant
        return find_ranges(arch, variant, self._layers, self._windows, steps, self._progress)
