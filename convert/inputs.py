"""Check what a conversion is given, before anything large is loaded."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import h5py

from .. import EqedgeError, reason_of
from ..edge.replay.stead import SteadFile
from .conversion import AUTO, TFLM, ConvertSettings
from .graph.stored import read_network
from .microcontroller.installed import find_micro
from .quantization.request import QuantizeError


class OutputError(EqedgeError):
    """The results cannot be written."""


def check_inputs(settings: ConvertSettings) -> None:
    """Refuse options that do not go together, and files that cannot be used; without TensorFlow.

    Raises:
        QuantizeError: Options do not go together.
        OutputError: The output folder cannot be written.
        WeightsError: The weights cannot be read.
        SteadError: A calibration file is not HDF5.
        MicroError: The target's interpreter is not installed.
    """
    check_options(settings)
    if not can_be_made(settings.output):
        raise OutputError(
            f"output {settings.output}: cannot be made; name a folder that can be written"
        )
    read_network(settings.weights)
    if settings.target == TFLM:
        find_micro()
    for path in settings.calibration:
        if not h5py.is_hdf5(path):
            with SteadFile(path):  # raises, and names what is wrong
                pass


def can_be_made(folder: Path) -> bool:
    """Whether a folder is there or can be made, and be written to; nothing is made."""
    nearest = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    return nearest.is_dir() and os.access(nearest, os.W_OK)


def check_options(settings: ConvertSettings) -> None:
    """Refuse before the work what cannot go together."""
    mixed = "mixed" in settings.precisions
    if bool(settings.float_stages) != mixed:
        raise QuantizeError(
            f"precision {', '.join(settings.precisions)} with {len(settings.float_stages)} float "
            "stages; --float-stage belongs to --precision mixed, which needs at least one, or "
            f"--float-stage {AUTO}"
        )
    if settings.target == TFLM and "int8" not in settings.precisions:
        raise QuantizeError(
            f"--target {TFLM} with precision {', '.join(settings.precisions)}: "
            "microcontrollers get int8; add --precision int8"
        )
    if AUTO in settings.float_stages and len(settings.float_stages) > 1:
        raise QuantizeError(
            f"--float-stage {AUTO} beside other stages; give {AUTO} alone, or name the stages"
        )
    if settings.name is not None and Path(settings.name).name != settings.name:
        raise QuantizeError(f"--name {settings.name!r}; give a name, and the folder with --output")


def check_writable(folder: Path) -> None:
    """Fail before the work rather than after it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise OutputError(
            f"output {folder}: {reason_of(error)}; name a folder that can be written"
        ) from error
