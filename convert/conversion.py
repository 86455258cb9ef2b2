"""The request and the result of a conversion: the types between its steps."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ..models.spec import ModelSpec
from .proof.agreement import LIMIT, LOSSLESS, SEARCH_LIMIT, Agreement, AgreementLimit
from .quantization.sensitivity import Step

if TYPE_CHECKING:  # these load TensorFlow
    from .graph.origin import Origin
    from .microcontroller.proof import MicroModel
    from .quantization.flatbuffer import Contents

TUNING_STEPS = 3000
"""Two minutes on one core for LEQNet; twice as many gain another half point of picks."""
AUTO = "auto"
"""In place of the stages that `mixed` keeps in float32."""

LITERT, TFLM = "litert", "tflm"
"""What runs the results: a node, or a microcontroller as well."""


@dataclass(frozen=True)
class ConvertSettings:
    """The request of a conversion.

    Attributes:
        weights: The weights file.
        calibration: STEAD-layout HDF5 files.
        output: Folder for the results.
        arch: Architecture to insist on; None takes what the weights hold.
        precisions: Of the files to write, all or none of them.
        name: Beginning of the results' names; None takes the weights file's.
        float_stages: Stages that `mixed` keeps in float32; AUTO alone searches for them.
        io: Type of the input and the outputs of `int8`.
        tuning_steps: Gradient steps that fit the encoder to int8.
        target: `litert`, or `tflm` for C sources beside the int8 file.
        lossless: Require the limit LOSSLESS instead of LIMIT.
        seed: Of the choice of calibration and verification windows.
        force: Write even what misses the agreement limit; the card then records it.
    """

    weights: Path
    calibration: tuple[Path, ...]
    output: Path
    arch: str | None = None
    precisions: tuple[str, ...] = ("int8",)
    name: str | None = None
    float_stages: tuple[str, ...] = ()
    io: str = "int8"
    tuning_steps: int = TUNING_STEPS
    target: str = LITERT
    lossless: bool = False
    seed: int = 0
    force: bool = False

    @property
    def limit(self) -> AgreementLimit:
        """What results are held to."""
        return LOSSLESS if self.lossless else LIMIT

    @property
    def search_limit(self) -> AgreementLimit:
        """What the files of a search are held to."""
        return LOSSLESS if self.lossless else SEARCH_LIMIT


@dataclass(frozen=True)
class Converted:
    """One file of a conversion.

    Attributes:
        name: Of the model.
        precision: One of quantization.request.PRECISIONS.
        data: The flatbuffer.
        contents: Its operations and float tensors.
        kept_float: Stages that were kept in float32 on purpose.
        search: How those were found, if nobody named them.
        stage_errors: Signal over noise after each stage, in decibels; None where it is exact.
        agreement: With float32 of the same weights.
        refusal: Why it must not be written without --force, or None.
    """

    name: str
    precision: str
    data: bytes
    contents: Contents
    kept_float: tuple[str, ...]
    search: tuple[Step, ...]
    stage_errors: Mapping[str, float | None]
    agreement: Agreement
    refusal: str | None

    @property
    def sha256(self) -> str:
        """Of `data`."""
        return hashlib.sha256(self.data).hexdigest()


@dataclass(frozen=True)
class ConversionReport:
    """The result of a conversion.

    Attributes:
        settings: The request.
        architecture: What the weights hold.
        parameters: Of the network.
        macs: A window.
        spec: The model's contract with the device.
        origin: Where the weights come from, for the card.
        calibration_windows: Windows the ranges come from.
        verification_windows: Windows compared.
        verified_on: Which traces they are cut from.
        skipped_traces: Traces that could not be used.
        graph_error: Largest difference between Keras and the rewritten float32 file.
        float_contents: Of the float32 reference.
        converted: The files.
        micro: The int8 file as microcontrollers take it, if the target is `tflm`.
        tools: Versions.
    """

    settings: ConvertSettings
    architecture: str
    parameters: int
    macs: int
    spec: ModelSpec
    origin: Origin
    calibration_windows: int
    verification_windows: int
    verified_on: str
    skipped_traces: int
    graph_error: float
    float_contents: Contents
    converted: tuple[Converted, ...] = ()
    micro: MicroModel | None = None
    tools: dict[str, str] = field(default_factory=dict)

    def io_of(self, result: Converted) -> str:
        """Type of a result's input and outputs."""
        return self.settings.io if result.precision == "int8" else "float32"
