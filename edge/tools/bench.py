"""Time each stage of the chain on this machine, with ratios within one run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np

from ...firmware_bridge.decoder import Decoder
from ...firmware_bridge.packets import Hello
from ...firmware_bridge.virtual import VirtualSensor
from ...models.registry import Model
from ..detector import Detector
from ..prepare import prepare
from ..replay.synthetic import earthquake
from ..settings.node import TriggerSettings
from ..stack import Stack
from ..timing import interleaved
from ..trigger import Associator, thresholds_of
from ..types import ClockState, Probabilities, Window
from .bench_node import NodeCost, ReplayCost


@dataclass(frozen=True)
class StageCost:
    """Cost of one stage.

    Attributes:
        stage: What was timed.
        median_ms: Wall time for one second of data at a hop of one second.
        share: Of the sum of all stages of the chain.
    """

    stage: str
    median_ms: float
    share: float


@dataclass(frozen=True)
class BenchReport:
    """One run of the benchmark; `replay` and `nodes` where they were measured."""

    model: str
    stages: tuple[StageCost, ...]
    hop_ms: float
    real_time_factor: float
    other_models: dict[str, float]
    """Network time of other models divided by this one's, in the same run."""
    replay: ReplayCost | None = None
    nodes: tuple[NodeCost, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return it as plain values."""
        return asdict(self)

    def lines(self) -> list[str]:
        """Return it as lines for people."""
        return [
            f"model {self.model}, one thread, one hop of 1 s",
            *(
                f"  {cost.stage:22} {cost.median_ms:8.3f} ms  {100 * cost.share:5.1f} %"
                for cost in self.stages
            ),
            f"  {'sum':22} {self.hop_ms:8.3f} ms: {self.real_time_factor:.0f} times real time",
            *(f"  network of {name}: {ratio:.2f} x" for name, ratio in self.other_models.items()),
            *self._replay_lines(),
            *(line for node in self.nodes for line in _node_lines(node)),
        ]

    def _replay_lines(self) -> list[str]:
        if self.replay is None:
            return []
        return [
            f"replay at --speed max ({self.replay.data_seconds / 3600:.1f} h of data): "
            f"{self.replay.windows_per_second:.0f} windows/s, "
            f"{self.replay.times_real_time:.0f} times real time; "
            f"{self.replay.times_cpu_time:.0f} times its CPU time"
        ]


def _node_lines(node: NodeCost) -> list[str]:
    return [
        f"eqedge run at a hop of {node.hop_seconds:g} s ({node.data_seconds / 60:.0f} min of data)",
        f"  {'CPU':22} {node.cpu_percent:8.2f} % of a core in real time",
        f"  {'memory':22} {node.rss_start_mb:8.1f} MB after the first window, "
        f"{node.rss_end_mb:.1f} MB at the end",
        f"  {'ready':22} {node.ready_seconds:8.2f} s after its start",
        f"  {'first window':22} {node.first_window_ms:8.2f} ms after its last sample",
    ]


def measure(model: Model, others: list[Model], repeats: int) -> BenchReport:
    """Time every stage on a synthetic earthquake, alternating between models.

    Args:
        model: Model whose chain is timed.
        others: Models whose networks are timed beside its own.
        repeats: Runs of each stage; the median is reported.
    """
    spec = model.spec
    rng = np.random.default_rng(0)
    record = earthquake(rng, n_samples=spec.window_samples, rate_hz=spec.sampling_rate_hz)
    second = round(spec.sampling_rate_hz)
    counts = np.rint(record.waveform[:second]).astype(np.int32)
    hello = Hello("bench", "bench", spec.sampling_rate_hz, ("HHE", "HHN", "HHZ"))
    sensor, decoder = VirtualSensor(hello), Decoder()
    detector = Detector(model)
    prepared = prepare(record.waveform, spec)
    values = detector(prepared)
    stack = Stack(spec.window_samples, spec.sampling_rate_hz)
    associator = Associator(
        TriggerSettings(), thresholds_of(TriggerSettings(), spec), spec.sampling_rate_hz, str
    )
    windows = (
        Window(n * second, 0, record.waveform, spec.sampling_rate_hz, ClockState("sim", True))
        for n in range(10**9)
    )
    stages: dict[str, Callable[[], object]] = {
        "wire (both ends)": lambda: decoder.feed(sensor.push(counts)),
        "preparation": lambda: prepare(record.waveform, spec),
        "network": lambda: detector(prepared),
        "stack, picks, events": lambda: associator.push(
            stack.push(Probabilities(next(windows), values, 0.0))
        ),
    }
    rivals = {other.name: Detector(other) for other in others}
    runs: dict[str, Callable[[], object]] = dict(stages)
    for name, rival in rivals.items():
        inputs = prepare(record.waveform, rival.model.spec)
        runs[name] = partial(rival, inputs)
    medians = _medians(runs, repeats)
    total = sum(medians[stage] for stage in stages)
    return BenchReport(
        model=model.name,
        stages=tuple(StageCost(s, medians[s], medians[s] / total) for s in stages),
        hop_ms=total,
        real_time_factor=1000 / total,
        other_models={name: medians[name] / medians["network"] for name in rivals},
    )


def _medians(runs: dict[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Return the median of each in milliseconds; run in turn, so that other load slows all."""
    for run in runs.values():
        run()
    medians = 1000 * np.median(interleaved(list(runs.values()), repeats), axis=1)
    return dict(zip(runs, map(float, medians), strict=True))
