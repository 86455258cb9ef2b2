"""A sensor in software that sends the same bytes as the firmware, for simulation and tests."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from .decoder import Decoder
from .framing import frame
from .packets import Ack, Command, Hello, Result, Samples, Status, TimeReply, TimeRequest, Verb

LONGEST_BLINK_SECONDS = 60
LARGEST_SETTING = 10_000_000
"""Limit of RATE in millihertz and of GAIN in thousandths."""

BEACON_SECONDS = 10
"""Status and Hello are sent again after this many seconds of samples."""


class VirtualSensor:
    """Implements the protocol as the reference firmware does, byte for byte.

    Its tick follows the samples: sample n is taken at tick `n * tick_hz // rate_hz`. To play
    in real time, let `now_tick` count from the moment of the first sample.

    Args:
        hello: Who the sensor is.
        samples_per_packet: Samples in a full packet, 1 to 255.
        first_sample: Number of the first sample, to start near a wrap.
        first_tick: Tick of the first sample.
        first_sequence: Sequence number of the first Samples packet.
        now_tick: The device's tick at this moment; by default that of the last sample.
    """

    def __init__(
        self,
        hello: Hello,
        samples_per_packet: int = 25,
        *,
        first_sample: int = 0,
        first_tick: int = 0,
        first_sequence: int = 0,
        now_tick: Callable[[], int] | None = None,
    ) -> None:
        self.hello = hello
        self.samples_per_packet = samples_per_packet
        self.streaming = True
        self._now_tick = now_tick
        self._decoder = Decoder(max_frame=64)
        self._pending: list[NDArray[np.int32]] = []
        self._pending_samples = 0
        self._begin(first_sample, first_tick, first_sequence)

    def _begin(self, first_sample: int, first_tick: int, first_sequence: int) -> None:
        self._first_sample = first_sample
        self._first_tick = first_tick
        self._sequence = first_sequence
        self._taken = 0  # samples pushed since the beginning
        self._sent = 0  # of these, in packets or passed over while stopped
        self._since_beacon = 0

    def greet(self) -> bytes:
        """Return the bytes sent at boot: a zero, which ends any noise before it, and a Hello."""
        return b"\0" + frame(self.hello.to_bytes())

    def push(self, counts: NDArray[np.int32]) -> bytes:
        """Take samples of shape (samples, channels); return the packets that they complete.

        A remainder is kept for the next call; do not write to the array afterwards.
        """
        if counts.ndim != 2 or counts.shape[1] != len(self.hello.channels):
            raise ValueError(
                f"counts of shape {counts.shape}, wanted (samples, {len(self.hello.channels)})"
            )
        self._taken += len(counts)
        if not self.streaming:
            self._sent = self._taken
            return b""
        self._pending.append(counts)
        self._pending_samples += len(counts)
        if self._pending_samples < self.samples_per_packet:
            return b""
        block = np.concatenate(self._pending) if len(self._pending) > 1 else self._pending[0]
        whole = len(block) - len(block) % self.samples_per_packet
        out = [
            self._packet(block[at : at + self.samples_per_packet])
            for at in range(0, whole, self.samples_per_packet)
        ]
        self._pending = [block[whole:]]
        self._pending_samples = len(block) - whole
        return b"".join(out)

    def skip(self, samples: int) -> bytes:
        """Leave out samples, as in a gap: numbers and ticks go on."""
        out = self.flush()
        self._taken += samples
        self._sent += samples
        return out

    def flush(self) -> bytes:
        """Return the remainder as a packet with fewer samples."""
        if not self._pending_samples:
            return b""
        block = np.concatenate(self._pending)
        self._pending, self._pending_samples = [], 0
        return self._packet(block)

    def receive(self, data: bytes) -> bytes:
        """Take bytes from the host; return the device's replies."""
        out = b""
        for packet in self._decoder.feed(data):
            if isinstance(packet, TimeRequest):
                now = self._tick_now()
                reply = TimeReply(packet.request_id, now, now, boot=self.hello.boot)
                out += frame(reply.to_bytes())
            elif isinstance(packet, Command):
                out += self._execute(packet)
        return out

    def _ticks(self, samples: int) -> int:
        return samples * self.hello.tick_hz * 1000 // round(self.hello.rate_hz * 1000)

    def _tick_now(self) -> int:
        if self._now_tick is not None:
            return self._now_tick() & 0xFFFF_FFFF
        last = max(self._taken - 1, 0)
        return self._first_tick + self._ticks(last) & 0xFFFF_FFFF

    def _packet(self, counts: NDArray[np.int32]) -> bytes:
        tick = self._first_tick + self._ticks(self._sent)
        samples = Samples(
            sequence=self._sequence & 0xFFFF,
            first_sample=self._first_sample + self._sent & 0xFFFF_FFFF,
            tick=tick & 0xFFFF_FFFF,
            counts=counts,
            boot=self.hello.boot,
        )
        self._sequence += 1
        self._sent += len(counts)
        self._since_beacon += len(counts)
        out = frame(samples.to_bytes())
        beacon_samples = max(round(self.hello.rate_hz * 1000) * BEACON_SECONDS // 1000, 1)
        if self._since_beacon >= beacon_samples:
            self._since_beacon = 0
            out += frame(self._status().to_bytes()) + frame(self.hello.to_bytes())
        return out

    def _status(self) -> Status:
        tick = self._first_tick + self._ticks(self._sent - 1)
        return Status(
            tick=(tick if self._now_tick is None else self._now_tick()) & 0xFFFF_FFFF,
            next_sample=self._first_sample + self._sent & 0xFFFF_FFFF,
            receive_errors=self._decoder.losses.frames_bad & 0xFFFF,
            streaming=self.streaming,
            boot=self.hello.boot,
        )

    def _execute(self, command: Command) -> bytes:
        result, value, after = Result.DONE, 0, b""
        boot = self.hello.boot
        if command.verb == Verb.IDENTIFY and command.argument > LONGEST_BLINK_SECONDS:
            result = Result.BAD_ARGUMENT
        elif command.verb == Verb.IDENTIFY:
            after = frame(self.hello.to_bytes())
        elif command.verb == Verb.START:
            self.streaming = True
        elif command.verb == Verb.STOP:
            self._pending, self._pending_samples, self._sent = [], 0, self._taken
            self.streaming, self._since_beacon = False, 0
        elif command.verb == Verb.RATE:
            value = round(self.hello.rate_hz * 1000)
            result = _keep(value, command.argument)
        elif command.verb == Verb.GAIN:
            value = round(self.hello.gain * 1000)
            result = _keep(value, command.argument)
        elif command.verb != Verb.REBOOT:
            result = Result.UNKNOWN_VERB
        elif command.argument != self.hello.boot_id:
            result = Result.BAD_ARGUMENT
        else:
            after = self.reboot()
        ack = Ack(command.command_id, command.verb, result, value, boot)
        return frame(ack.to_bytes()) + after

    def reboot(self) -> bytes:
        """Reset: next boot_id, counters at zero, samples not yet sent are lost."""
        fields = {name: getattr(self.hello, name) for name in Hello.__dataclass_fields__}
        self.hello = Hello(**{**fields, "boot_id": self.hello.boot_id + 1 & 0xFFFF_FFFF})
        self._pending, self._pending_samples, self.streaming = [], 0, True
        self._begin(0, 0, 0)
        return self.greet()


def _keep(present: int, wanted: int) -> Result:
    """Return the result of setting rate or gain, which a recording cannot change."""
    if wanted == present:
        return Result.DONE
    return Result.NOT_POSSIBLE if 0 < wanted <= LARGEST_SETTING else Result.BAD_ARGUMENT
