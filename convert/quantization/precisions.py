"""Make the files of one network in every precision; what they share is computed once."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from ..graph.weights import LoadedNetwork
from ..progress import OnProgress
from .quantize import quantize
from .request import RANGED_PRECISIONS, RANGES, QuantizationRequest
from .sensitivity import is_tuned


class PrecisionBuilder:
    """Makes one network's files.

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
        progress: OnProgress | None = None,
    ) -> None:
        self._loaded = loaded
        self._layers = loaded.layers
        self._windows = windows
        self._tuning_steps = tuning_steps
        self._io = io
        self._progress = progress
        self._ranges = cache(self._find_ranges)

    def make(
        self,
        precision: str,
        float_stages: tuple[str, ...] = (),
        io: str | None = None,
        progress: OnProgress | None = None,
    ) -> bytes:
        """Convert to one precision.

        Args:
            precision: One of request.PRECISIONS.
            float_stages: Beginnings of the names of stages that `mixed` keeps in float32.
            io: In place of the one that int8 files share.
            progress: In place of the one that all files share.

        Raises:
            QuantizeError: The converter refused or died.
        """
        needs_ranges = precision in RANGED_PRECISIONS
        return quantize(
            self._request(precision, float_stages, io=io or self._io),
            ranged=self._ranges(is_tuned(float_stages)) if needs_ranges else None,
            progress=progress or self._progress,
        )

    def _find_ranges(self, tuned: bool) -> bytes:
        request = self._request(RANGES, tuning_steps=self._tuning_steps if tuned else 0)
        return quantize(request, windows=self._windows, progress=self._progress)

    def _request(
        self,
        precision: str,
        float_stages: tuple[str, ...] = (),
        tuning_steps: int = 0,
        io: str = "float32",
    ) -> QuantizationRequest:
        loaded = self._loaded
        return QuantizationRequest(
            loaded.architecture, loaded.variant, self._layers, precision, float_stages,
            tuning_steps, io,
        )  # fmt: skip
