"""Convert weights to models with card and report: load, calibrate, quantise, verify, write."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import metadata

import numpy as np

from .. import EqedgeError
from ..edge.detector import Detector
from ..edge.runtime import find_runtime
from ..models.registry import Model
from ..models.spec import ModelSpec
from .conversion import AUTO, TFLM, ConversionReport, Converted, ConvertSettings
from .data.calibration import CalibrationData, load_windows
from .data.windows import WindowSet
from .graph.macs import count_macs
from .graph.origin import describe_weights
from .graph.weights import LoadedNetwork, load_network
from .inputs import check_inputs, check_writable
from .microcontroller.proof import MicroModel, prove
from .output import write_all
from .progress import OnProgress
from .progress import report as to_stderr
from .proof.agreement import comparable, disagreement
from .proof.verify import compare
from .quantization.flatbuffer import contents
from .quantization.precisions import PrecisionBuilder
from .quantization.request import QuantizeError
from .quantization.sensitivity import FileVerdict, Step, groups_of, most_steps, search
from .quantization.stage_error import stage_errors, stages

EQUIVALENCE_LIMIT = 1e-3
"""More than this between Keras and the float graph is a fault. Rounding gives 1e-5; published
weights, in windows where an attention band holds next to nothing of its row, 1.4e-4."""
EQUIVALENCE_WINDOWS = 8
STAGE_WINDOWS = 32
"""Windows that stages' errors are measured on."""
SEARCH_WINDOWS = 400
"""Windows that a file of the search is judged on: of those that calibration saw, so that the
verification stays blind to it."""


class Disagreement(EqedgeError):
    """A converted model does not agree with the float model; nothing was written."""

    exit_code = 1


def convert(
    settings: ConvertSettings,
    progress: OnProgress | None = None,
    report: Callable[[str], None] = to_stderr,
) -> ConversionReport:
    """Convert weights and write the results; all of them, or nothing.

    Args:
        settings: What to convert, and how.
        progress: Called with what is done, how much of it, and of how much.
        report: Called with a line about calibration records that are left out.

    Raises:
        EqedgeError: An input is not usable.
        Disagreement: A result misses the agreement limit and `force` is not set.
        OutputError: The output folder cannot be written.
    """
    check_inputs(settings)
    check_writable(settings.output)
    loaded = load_network(settings.weights, settings.arch)
    origin = describe_weights(settings.weights, loaded, settings.name)
    spec = origin.spec
    windows = load_windows(
        settings.calibration,
        spec,
        held_out=origin.held_out_stations,
        seed=settings.seed,
        progress=progress,
        report=report,
    )
    builder = PrecisionBuilder(
        loaded, windows.calibrate.windows, settings.tuning_steps, settings.io, progress
    )
    reference = Model.of(f"{spec.name}_float32", builder.make("float32"), spec)
    graph_error = _graph_error(loaded, reference, windows)
    if graph_error > EQUIVALENCE_LIMIT:
        raise QuantizeError(
            f"{loaded.architecture}: the float32 graph differs from Keras by {graph_error:.1e}, "
            f"the limit is {EQUIVALENCE_LIMIT:.0e}; please report these weights"
        )
    _check_stages(settings.float_stages, reference.data)
    converted = tuple(
        _converted(precision, settings, builder, reference, windows, progress)
        for precision in settings.precisions
    )
    for result in converted:
        if result.refusal is not None and not settings.force:
            raise Disagreement(_refused(result, settings))
    micro = _micro(settings, reference.spec, converted, windows, progress)
    made = ConversionReport(
        settings=settings,
        architecture=loaded.architecture,
        parameters=loaded.network.count_params(),
        macs=count_macs(loaded.network),
        spec=spec,
        origin=origin,
        calibration_windows=len(windows.calibrate.windows),
        verification_windows=len(windows.verify.windows),
        verified_on=windows.verified_on,
        skipped_traces=windows.skipped,
        graph_error=graph_error,
        float_contents=contents(reference.data),
        converted=converted,
        micro=micro,
        tools=_tools(),
    )
    write_all(made)
    return made


def _check_stages(kept: Sequence[str], reference: bytes) -> None:
    """Refuse a stage that the network has not."""
    names = list(stages(reference))
    for stage in kept:
        if stage != AUTO and not any(name.startswith(stage) for name in names):
            raise QuantizeError(f"--float-stage {stage}: there is none; use {', '.join(names)}")


def _micro(
    settings: ConvertSettings,
    spec: ModelSpec,
    converted: tuple[Converted, ...],
    windows: CalibrationData,
    progress: OnProgress | None,
) -> MicroModel | None:
    """Prove the int8 file in the microcontrollers' interpreter, for the target `tflm`."""
    if settings.target != TFLM:
        return None
    source = next(result for result in converted if result.precision == "int8")
    micro = prove(Model.of(source.name, source.data, spec), windows.verify, progress)
    if micro.refusal is not None and not settings.force:
        raise Disagreement(
            f"{source.name} in tflite-micro does not agree with LiteRT: {micro.refusal}; nothing "
            "was written; leave --target away, or --force"
        )
    return micro


def _converted(
    precision: str,
    settings: ConvertSettings,
    builder: PrecisionBuilder,
    reference: Model,
    windows: CalibrationData,
    progress: OnProgress | None,
) -> Converted:
    """Make one file and measure it."""
    kept = settings.float_stages if precision == "mixed" else ()
    steps: list[Step] = []
    if kept == (AUTO,):
        steps = _searched(settings, builder, reference, windows.calibrate, progress)
        kept = steps[-1].kept
    if precision == "float32":
        data = reference.data
    elif precision == "mixed" and not kept:
        # the search found that nothing has to stay in float
        data = builder.make("int8", io="float32")
    else:
        data = builder.make(precision, kept)
    name = f"{reference.spec.name}_{precision}"
    agreement = compare(reference, Model.of(name, data, reference.spec), windows.verify, progress)
    return Converted(
        name=name,
        precision=precision,
        data=data,
        contents=contents(data),
        kept_float=kept,
        search=tuple(steps),
        stage_errors=stage_errors(reference.data, data, windows.verify.windows[:STAGE_WINDOWS]),
        agreement=agreement,
        refusal=disagreement(agreement, settings.limit),
    )


def _searched(
    settings: ConvertSettings,
    builder: PrecisionBuilder,
    reference: Model,
    windows: WindowSet,
    progress: OnProgress | None,
) -> list[Step]:
    """Find the fewest stages to keep in float with which the search's limit is kept."""
    some = windows.every(-(-len(windows.windows) // SEARCH_WINDOWS))
    groups = groups_of(stages(reference.data))
    done = 0

    def judge(kept: tuple[str, ...]) -> FileVerdict:
        nonlocal done
        data = builder.make("mixed" if kept else "int8", kept, progress=lambda *_: None)
        agreement = compare(reference, Model.of("trial", data, reference.spec), some)
        done += 1
        if progress is not None:
            progress("searching", done, most_steps(len(groups)))
        error = sum(head.mean_error for head in agreement.heads.values())
        return FileVerdict(error, disagreement(agreement, settings.search_limit))

    steps = search(groups, judge)
    if progress is not None:
        progress("searching", most_steps(len(groups)), most_steps(len(groups)))
    return steps


def _refused(result: Converted, settings: ConvertSettings) -> str:
    """Return what was missed and the remedy."""
    searched = AUTO in settings.float_stages
    remedies = {
        "int8": f"--precision mixed --float-stage {AUTO}",
        "mixed": "--precision float16" if searched else f"--float-stage {AUTO}",
    }
    remedy = "give calibration records with more events"
    if comparable(result.agreement, settings.limit):
        remedy = f"try {remedies[result.precision]}" if result.precision in remedies else remedy
    return (
        f"{result.name} does not agree with float32: {result.refusal}; nothing was written; "
        f"{remedy}, or --force"
    )


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
