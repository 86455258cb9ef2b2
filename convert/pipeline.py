"""Load, calibrate, quantise, verify: weights and records in, models with card and report out."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from .. import EqedgeError
from ..edge.detector import Detector
from ..edge.runtime import find_runtime
from ..models.shelf import CARD_SCHEMA, Model
from ..models.spec import BandPass, ModelSpec, Preparation
from .calibrate import CalibrationData, load_windows
from .flatbuffer import Contents, contents
from .macs import count_macs
from .quantize import QuantizeError, quantize
from .report import render
from .verify import Agreement, compare, disagreement
from .weights import LoadedNetwork, load_network

PUBLISHED_PREPARATION = Preparation("linear", BandPass(1.0, 45.0), "std")
"""What EQTransformer and LEQNet were trained on."""
EQUIVALENCE_LIMIT = 1e-3
"""More than this between Keras and the float graph is a fault. Rounding gives 1e-5; published
weights, in windows where an attention band holds next to nothing of its row, 1.4e-4."""
EQUIVALENCE_WINDOWS = 8
TUNING_STEPS = 3000
"""Two minutes on one core for LEQNet; twice as many gain another half point of picks."""

Progress = Callable[[str, int, int], None]


class Disagreement(EqedgeError):
    """A converted model does not say what the float model says; nothing was written."""

    exit_code = 1


class OutputError(EqedgeError):
    """The results cannot be written."""


@dataclass(frozen=True)
class ConvertSettings:
    """What is asked of a conversion.

    Attributes:
        weights: The weights file.
        calibration: STEAD-layout HDF5 files.
        output: Folder for the results.
        arch: Architecture to insist on; None takes what the weights hold.
        precisions: Of the files to write, all or none of them.
        name: Beginning of the results' names; None takes the weights file's.
        float_stages: Stages that `mixed` keeps in float32.
        tuning_steps: Gradient steps that fit the encoder to int8.
        seed: Of the choice of calibration and verification windows.
        force: Write even what misses the agreement limit; the card then says so.
    """

    weights: Path
    calibration: tuple[Path, ...]
    output: Path
    arch: str | None = None
    precisions: tuple[str, ...] = ("int8",)
    name: str | None = None
    float_stages: tuple[str, ...] = ()
    tuning_steps: int = TUNING_STEPS
    seed: int = 0
    force: bool = False


@dataclass(frozen=True)
class Converted:
    """One file of a conversion.

    Attributes:
        name: Of the model.
        precision: One of quantize.PRECISIONS.
        data: The flatbuffer.
        contents: Its operations and float tensors.
        agreement: With float32 of the same weights.
        refusal: Why it must not be written without --force, or None.
    """

    name: str
    precision: str
    data: bytes
    contents: Contents
    agreement: Agreement
    refusal: str | None

    @property
    def sha256(self) -> str:
        """Of `data`."""
        return hashlib.sha256(self.data).hexdigest()


@dataclass(frozen=True)
class Report:
    """What a conversion did.

    Attributes:
        settings: What was asked.
        architecture: What the weights hold.
        parameters: Of the network.
        macs: A window.
        spec: The model's contract with the device.
        origin: Where the weights come from, for the card.
        calibration_windows: Windows the ranges come from.
        verification_windows: Windows compared.
        skipped_traces: Traces that could not be used.
        graph_error: Largest difference between Keras and the rewritten float32 file.
        float_contents: Of the float32 reference.
        converted: The files.
        tools: Versions.
    """

    settings: ConvertSettings
    architecture: str
    parameters: int
    macs: int
    spec: ModelSpec
    origin: dict[str, Any]
    calibration_windows: int
    verification_windows: int
    skipped_traces: int
    graph_error: float
    float_contents: Contents
    converted: tuple[Converted, ...] = ()
    tools: dict[str, str] = field(default_factory=dict)


def convert(settings: ConvertSettings, progress: Progress | None = None) -> Report:
    """Convert weights and write the results; all of them, or nothing.

    Raises:
        EqedgeError: An input is not usable.
        Disagreement: A result misses the agreement limit and `force` is not set.
        OutputError: The output folder cannot be written.
    """
    _check_writable(settings.output)
    loaded = load_network(settings.weights, settings.arch)
    spec, origin = describe_weights(settings, loaded)
    windows = load_windows(settings.calibration, spec, seed=settings.seed, progress=progress)
    report = _converted(settings, loaded, spec, origin, windows, progress)
    for result in report.converted:
        if result.refusal is not None and not settings.force:
            raise Disagreement(
                f"{result.name} does not agree with float32: {result.refusal}; nothing was "
                "written; give more calibration records, --precision mixed or dynamic, or --force"
            )
    _write(report)
    return report


def describe_weights(
    settings: ConvertSettings, loaded: LoadedNetwork
) -> tuple[ModelSpec, dict[str, Any]]:
    """Tell the device's contract and the origin of weights.

    Published weights were trained on detrended, band-passed, standardised windows. Our own say it
    in the training card beside them, or were trained on the defaults.
    """
    name = settings.name or base_name(settings.weights)
    origin: dict[str, Any] = {
        "weights": settings.weights.name,
        "sha256": hashlib.sha256(settings.weights.read_bytes()).hexdigest(),
        "layout": "eqedge" if loaded.own_layout else "published",
    }
    if not loaded.own_layout:
        return ModelSpec(name, loaded.architecture, preparation=PUBLISHED_PREPARATION), origin
    card_path = settings.weights.parent / f"{base_name(settings.weights)}.training.json"
    spec = ModelSpec(name, loaded.architecture)
    try:
        training = json.loads(card_path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return spec, origin
    except (OSError, ValueError) as error:
        raise EqedgeError(
            f"training card {card_path}: not readable ({error}); repair or remove it"
        ) from error
    if training.get("sha256", origin["sha256"]) != origin["sha256"]:
        raise EqedgeError(
            f"training card {card_path}: speaks of other weights than {settings.weights.name}; "
            "put the card that belongs to them beside them, or remove it"
        )
    origin["training"] = training
    if "spec" in training:
        spec = replace(
            ModelSpec.from_json(training["spec"]), name=name, architecture=loaded.architecture
        )
    return spec, origin


def base_name(weights: Path) -> str:
    """`leqnet_gru` for `leqnet_gru.weights.h5`."""
    return weights.name.split(".")[0]


def card(report: Report, result: Converted) -> dict[str, Any]:
    """The card that lies beside a model; `models.shelf` reads it."""
    return {
        "schema": CARD_SCHEMA,
        "name": result.name,
        "file": f"{result.name}.tflite",
        "sha256": result.sha256,
        "size_bytes": len(result.data),
        "precision": result.precision,
        "architecture": report.architecture,
        "parameters": report.parameters,
        "macs": report.macs,
        "spec": report.spec.to_json(),
        "agreement": result.agreement.to_json()
        | {"refused": result.refusal, "graph_max_error": float(f"{report.graph_error:.1e}")},
        "calibration": {
            "files": [path.name for path in report.settings.calibration],
            "windows": report.calibration_windows,
            "tuning_steps": report.settings.tuning_steps if result.precision == "int8" else 0,
            "seed": report.settings.seed,
        },
        "operations": result.contents.operations,
        "float_stages": result.contents.float_tensors,
        "origin": report.origin,
        "tools": report.tools,
        "licence": "MIT" if report.origin["layout"] == "eqedge" else "that of the weights",
    }


def _converted(
    settings: ConvertSettings,
    loaded: LoadedNetwork,
    spec: ModelSpec,
    origin: dict[str, Any],
    windows: CalibrationData,
    progress: Progress | None,
) -> Report:
    def make(precision: str) -> bytes:
        return quantize(
            loaded.architecture,
            loaded.variant,
            loaded.layers,
            precision=precision,
            windows=windows.calibrate.windows,
            float_stages=settings.float_stages if precision == "mixed" else (),
            tuning_steps=settings.tuning_steps,
            progress=progress,
        )

    reference = _model(f"{spec.name}_float32", make("float32"), spec)
    graph_error = _graph_error(loaded, reference, windows)
    if graph_error > EQUIVALENCE_LIMIT:
        raise QuantizeError(
            f"{loaded.architecture}: the float32 graph differs from Keras by {graph_error:.1e}, "
            f"the limit is {EQUIVALENCE_LIMIT:.0e}; please report these weights"
        )
    results = []
    for precision in settings.precisions:
        name = f"{spec.name}_{precision}"
        data = reference.data if precision == "float32" else make(precision)
        agreement = compare(reference, _model(name, data, spec), windows.verify, progress)
        results.append(
            Converted(name, precision, data, contents(data), agreement, disagreement(agreement))
        )
    return Report(
        settings=settings,
        architecture=loaded.architecture,
        parameters=loaded.network.count_params(),
        macs=count_macs(loaded.network),
        spec=spec,
        origin=origin,
        calibration_windows=len(windows.calibrate.windows),
        verification_windows=len(windows.verify.windows),
        skipped_traces=windows.skipped,
        graph_error=graph_error,
        float_contents=contents(reference.data),
        converted=tuple(results),
        tools=_tools(),
    )


def _model(name: str, data: bytes, spec: ModelSpec) -> Model:
    return Model(name, data, hashlib.sha256(data).hexdigest(), spec, {})


def _graph_error(loaded: LoadedNetwork, reference: Model, windows: CalibrationData) -> float:
    """Largest difference between Keras and the float32 file on real windows."""
    some = windows.verify.windows[:EQUIVALENCE_WINDOWS]
    expected = np.concatenate([np.asarray(y) for y in loaded.network(some, training=False)], axis=2)
    detector = Detector(reference)
    return float(np.abs(np.stack([detector(window) for window in some]) - expected).max())


def _tools() -> dict[str, str]:
    runtime = find_runtime()
    names = ("eqedge", "tensorflow", "keras", "numpy")
    return {name: metadata.version(name) for name in names} | {runtime.name: runtime.version}


def _check_writable(folder: Path) -> None:
    """Fail before the work rather than after it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise OutputError(
            f"output {folder}: {error.strerror or error}; name a folder that can be written"
        ) from error


def _write(report: Report) -> None:
    """Write every file under a temporary name; once all are there, rename them.

    The card comes last: a model without its card is refused by the node, so a set that was
    interrupted between two renames cannot run.
    """
    folder = report.settings.output
    waiting: list[tuple[Path, Path]] = []
    try:
        for result in report.converted:
            document = json.dumps(card(report, result), indent=1, ensure_ascii=False) + "\n"
            for suffix, content in (
                (".md", render(report, result).encode()),
                (".tflite", result.data),
                (".json", document.encode()),
            ):
                final = folder / f"{result.name}{suffix}"
                partial = final.with_name(f".{final.name}.part")
                waiting.append((partial, final))
                partial.write_bytes(content)
        for partial, final in waiting:
            os.replace(partial, final)
    except OSError as error:
        raise OutputError(
            f"output {folder}: {error.strerror or error}; free space or name another folder"
        ) from error
    finally:
        for partial, _ in waiting:
            partial.unlink(missing_ok=True)
