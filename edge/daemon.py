"""The chain: blocks -> windows -> probabilities -> picks -> triggers -> messages."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence

from ..models.registry import Model
from .components import ComponentCheck
from .delivery.file import Sink
from .detector import Detector
from .gaps import GapPolicy
from .message import Node
from .pace import Lag, LoadShedder
from .prepare import prepare
from .resample import Resampler
from .run_counts import Observer, Observers, RunCounts
from .settings.node import Settings
from .sources import BlockSource
from .stack import Stack
from .trigger import Associator, thresholds_of
from .types import Block, Instrument, Probabilities, Trigger, Window
from .windows import Windower


class Daemon:
    """The chain, wired; `run` drives it until the source ends.

    Args:
        settings: Of the node.
        model: The picker.
        source: Where dated blocks come from.
        node: What all messages have in common.
        live: The stream does not wait for the chain, which then must keep up, see `LoadShedder`.

    Attributes:
        source: As given.
        node: As given.
        counts: Of the run.

    Raises:
        ModelError: The model cannot be run.
        SettingsError: The settings do not suit the model.
    """

    def __init__(
        self, settings: Settings, model: Model, source: BlockSource, node: Node, *, live: bool
    ) -> None:
        spec = model.spec
        rate_hz = spec.sampling_rate_hz
        thresholds = thresholds_of(settings.trigger, spec)
        self.counts = RunCounts()
        self._spec = spec
        self.source = source
        self.node = node
        self._sinks: Sequence[Sink] = ()
        self._observer: Observer = Observers()
        self._lag = Lag()
        self._instruments: dict[int, Instrument] = {}
        self._gaps = GapPolicy(settings.window)
        self._components = ComponentCheck()
        self._resampler = Resampler(rate_hz)
        self._windower = Windower(spec.window_samples, rate_hz, settings.window)
        self._shedder = LoadShedder.of(settings.window, thresholds, spec, live=live)
        self._detector = Detector(model)
        self._stack = Stack(spec.window_samples, rate_hz)
        self._associator = Associator(settings.trigger, thresholds, rate_hz, node.event_id)

    def run(self, sinks: Sequence[Sink], observer: Observer | None = None) -> RunCounts:
        """Turn the stream into messages until the source ends; return what was counted.

        Args:
            sinks: Open; take the messages.
            observer: Follows the run.

        Raises:
            SensorError: The sensor cannot serve this model.
            PortError: The port cannot be opened at the start.
        """
        begin = time.monotonic()
        self._sinks = sinks
        self._observer = observer or self._observer
        for blocks, arrival in self.source:
            self._lag.note(arrival)
            for block in blocks:
                self._observer.sampled(block)
                contiguous = self._components.push(self._noted(self._gaps.push(block)))
                self._pick(self._windows(self._resampled(contiguous)))
            self._pick(self._windows(self._resampled(self._gaps.wait(arrival))))
            self._update_counts(begin)
            self._observer.tick(self.counts)
            self._lag.reading()
        self._pick(self._windows(self._resampler.close()))
        self._pick(self._windower.close())
        self._update_counts(begin)
        return self.counts

    def _windows(self, resampled: Iterable[Block]) -> Iterator[Window]:
        """Yield the windows that blocks complete and that the machine has time for."""
        for block in resampled:
            for window in self._windower.push(block):
                if self._shedder.takes(window, self._lag.seconds):
                    yield window

    def _noted(self, contiguous: Iterable[Block]) -> Iterator[Block]:
        """Pass blocks on, and keep what sent them: the window that ends a segment comes later."""
        for block in contiguous:
            if block.segment not in self._instruments and self.source.instrument is not None:
                before = list(self._instruments.items())[-1:]
                self._instruments = {**dict(before), block.segment: self.source.instrument}
            yield block

    def _resampled(self, contiguous: Iterable[Block]) -> Iterator[Block]:
        for block in contiguous:
            yield from self._resampler.push(block)

    def _pick(self, windows: Iterable[Window]) -> None:
        for window in windows:
            for trigger in self._associator.push(self._stack.push(self._score(window))):
                self._emit(trigger)

    def _score(self, window: Window) -> Probabilities:
        begin = time.perf_counter()
        values = self._detector(prepare(window.samples, self._spec))[-len(window.samples) :]
        seconds = time.perf_counter() - begin
        self.counts.inference_seconds += seconds
        self.counts.windows_scored += 1
        probabilities = Probabilities(window, values, seconds * 1000)
        self._observer.inferred(probabilities, self._lag.seconds)
        return probabilities

    def _emit(self, trigger: Trigger) -> None:
        instrument = self._instruments.get(trigger.window.segment, self.source.instrument)
        assert instrument is not None
        message = self.node.message(trigger, instrument, time.monotonic_ns())
        self.counts.messages += 1
        self.counts.events += trigger.type == "new"
        for sink in self._sinks:
            sink.write(message)

    def _update_counts(self, begin: float) -> None:
        self.counts.source = self.source.counts
        self.counts.stream = self._gaps.counts
        self.counts.components = self._components.counts
        self.counts.shedder = self._shedder.counts
        self.counts.wall_seconds = time.monotonic() - begin
