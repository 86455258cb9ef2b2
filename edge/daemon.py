"""bytes -> packet -> block -> window -> probabilities -> picks -> trigger -> line, MQTT."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence

from ..firmware_bridge.decoder import Decoder
from ..models.shelf import Model
from .assemble import Assembler
from .delivery.file import Sink
from .detector import Detector
from .gaps import GapPolicy
from .health.sensor import SensorLog
from .identification import Introduction
from .message import Node
from .pace import Pace
from .prepare import prepare
from .resample import Resampler
from .run_counts import Account, Watch, Watches
from .settings.node import Settings
from .sources import Source
from .stack import Stack
from .trigger import Associator, thresholds_of
from .types import NANOSECONDS, Block, Probabilities, Trigger, Window
from .windows import Windower

AT_ONCE_NS = 1_000_000
"""A read that took no longer found its bytes there."""
SILENCE_NS = 30_000_000_000
"""Without samples for so long what there is of a window is looked at, and its events end."""


class Daemon:
    """The chain, wired; `run` drives it until the source ends.

    Args:
        settings: Of the node.
        model: What picks.
        source: Where bytes come from.
        node: What all messages have in common.
        notice: Called with one line that an operator should see.
        live: The stream does not wait for the chain, which then must keep up, see `Pace`.

    Raises:
        ModelError: The model cannot be run.
        SettingsError: The settings do not suit the model.
    """

    def __init__(
        self,
        settings: Settings,
        model: Model,
        source: Source,
        node: Node,
        notice: Callable[[str], None],
        *,
        live: bool = False,
    ) -> None:
        spec = model.spec
        rate_hz = spec.sampling_rate_hz
        self.account = Account()
        self._spec = spec
        self._source = source
        self._node = node
        self._sinks: Sequence[Sink] = ()
        self._watch: Watch = Watches()
        self._waiting_since_ns = 0
        self._decoder = Decoder()
        self._sensor = SensorLog()
        self._introduction = Introduction(self._decoder, source.ask_who, notice)
        self._assembler = Assembler(rate_hz, source.clock)
        self._gaps = GapPolicy(settings.window)
        self._resampler = Resampler(rate_hz)
        self._windower = Windower(spec.window_samples, rate_hz, settings.window)
        thresholds = thresholds_of(settings.trigger, spec)
        self._pace = Pace.of(settings.window, thresholds, spec, live=live)
        self._detector = Detector(model)
        self._stack = Stack(spec.window_samples, rate_hz)
        self._associator = Associator(settings.trigger, thresholds, rate_hz, node.event_id)

    def run(self, sinks: Sequence[Sink], watch: Watch | None = None) -> Account:
        """Turn the stream into messages until the source ends; returns the account.

        Args:
            sinks: Open.
            watch: Told how it goes.

        Raises:
            SensorError: The sensor cannot serve this model.
            PortError: The port cannot be opened at the start.
        """
        begin = time.monotonic()
        self._sinks = sinks
        self._watch = watch or self._watch
        for window in self._windows():
            probabilities = self._look(window)
            for trigger in self._associator.push(self._stack.push(probabilities)):
                self._tell(trigger)
        self._take_stock(begin)
        return self.account

    def _windows(self) -> Iterator[Window]:
        for block in self._at_the_models_rate():
            for window in self._windower.push(block):
                if self._pace.takes(window, self._lag_seconds()):
                    yield window
        yield from self._windower.close()

    def _at_the_models_rate(self) -> Iterator[Block]:
        for block in self._contiguous():
            yield from self._resampler.push(block)
        yield from self._resampler.close()

    def _contiguous(self) -> Iterator[Block]:
        begin, read_ns, asked_ns = time.monotonic(), 0, time.monotonic_ns()
        heard_ns: int | None = None
        losses = 0
        for data, arrival in self._source:
            if self._source.losses != losses:
                losses = self._source.losses
                self._decoder.restart()
            # What was there when asked for may have come right after the time before.
            at_once = arrival.monotonic_ns - asked_ns < AT_ONCE_NS
            self._waiting_since_ns = read_ns if at_once and read_ns else arrival.monotonic_ns
            read_ns = arrival.monotonic_ns
            for packet in self._decoder.feed(data):
                self._sensor.push(packet)
                block = self._assembler.push(packet, arrival)
                if block is not None:
                    heard_ns = arrival.monotonic_ns
                    self._watch.sampled(block)
                    yield from self._gaps.push(block)
            if heard_ns is not None and arrival.monotonic_ns - heard_ns > SILENCE_NS:
                yield from self._gaps.fall_silent()
            if self._assembler.introduced:
                self._introduction.settle()
            else:
                self._introduction.wait(arrival)
            self._take_stock(begin)
            self._watch.tick(self.account)
            asked_ns = time.monotonic_ns()

    def _look(self, window: Window) -> Probabilities:
        begin = time.perf_counter()
        values = self._detector(prepare(window.samples, self._spec))[-len(window.samples) :]
        seconds = time.perf_counter() - begin
        self.account.inference_seconds += seconds
        self.account.windows_scored += 1
        probabilities = Probabilities(window, values, seconds * 1000)
        self._watch.inferred(probabilities, self._lag_seconds())
        return probabilities

    def _lag_seconds(self) -> float:
        """Longest that the samples in hand can have been waiting."""
        return (time.monotonic_ns() - self._waiting_since_ns) / NANOSECONDS

    def _tell(self, trigger: Trigger) -> None:
        hello = self._assembler.hello
        assert hello is not None
        message = self._node.message(trigger, hello.channels, hello.rate_hz, time.monotonic_ns())
        self.account.messages += 1
        self.account.events += trigger.type == "new"
        for sink in self._sinks:
            sink.write(message)

    def _take_stock(self, begin: float) -> None:
        self.account.losses = self._decoder.losses
        self.account.stream = self._gaps.counts
        self.account.sensor = self._sensor.health
        self.account.packets_unannounced = self._assembler.unannounced
        self.account.windows_skipped = self._pace.skipped
        self.account.hop_factor = self._pace.factor
        self.account.wall_seconds = time.monotonic() - begin
