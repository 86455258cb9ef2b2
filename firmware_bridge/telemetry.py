"""Packets a device sends unrequested: its identity (Hello), its Samples, its Status."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .wire import VERSION, PacketType, require, unpack

MAX_CHANNELS = 6
MAX_SAMPLES = 255
MAX_RATE_HZ = 10_000.0
MAX_TEXT_BYTES = 32
UNITS = ("", "M/S", "M/S**2")
"""Unit by its code on the wire; an empty unit means a sensor without calibration."""

_HELLO = struct.Struct("<BBIIIffBBB")
_SAMPLES = struct.Struct("<BBBHIIBBB")
_STATUS = struct.Struct("<BBBIIIIHHhHB")
_NO_TEMPERATURE = -0x8000
_NO_SUPPLY = 0xFFFF


def _float32(value: float) -> float:
    return float(struct.unpack("<f", struct.pack("<f", value))[0])


def _ascii(data: bytes, length: int) -> str:
    require(len(data) == length, "Hello", "text is cut short")
    require(data.isascii(), "Hello", "text that is not ASCII")
    return data.decode("ascii")


@dataclass(frozen=True, slots=True)
class Hello:
    """The device's description of itself: sent at boot, on request, and every 10 s of samples.

    Floats are rounded on creation to what the wire carries (millihertz, binary32), so that a
    Hello equals itself after a round trip.
    """

    device_id: str
    """Name of the device, 1 to 32 printable ASCII characters."""
    firmware: str
    """Name and version of the firmware, at most 32 printable ASCII characters."""
    rate_hz: float
    """Nominal sampling rate; the true one follows from sample counter and tick."""
    channels: tuple[str, ...]
    """SEED channel codes in the order of the counts, e.g. `("HNE", "HNN", "HNZ")`; 1 to 6."""
    tick_hz: int = 1_000_000
    """Nominal rate of the device's free-running 32-bit tick."""
    adc_bits: int = 24
    """Resolution of the converter, sign included."""
    gain: float = 1.0
    """Gain of the amplifier before the converter; units_per_count includes it."""
    units_per_count: float = 1.0
    """Ground motion in `unit` that one count stands for."""
    unit: str = ""
    """`"M/S"`, `"M/S**2"`, or `""` where counts were never calibrated."""
    boot_id: int = 0
    """32 bits, new at each boot and each change of rate or gain: counters then restart."""

    def __post_init__(self) -> None:
        """Reject impossible values, and round floats to what the wire carries."""
        require(0.0 < self.rate_hz <= MAX_RATE_HZ, self, f"a rate of {self.rate_hz:g} Hz")
        object.__setattr__(self, "rate_hz", round(self.rate_hz * 1000.0) / 1000.0)
        require(self.rate_hz > 0.0, self, "a rate below 1 mHz")
        require(
            self.rate_hz <= self.tick_hz <= 0xFFFF_FFFF,
            self,
            f"a tick of {self.tick_hz} Hz at {self.rate_hz:g} samples a second",
        )
        for name in ("units_per_count", "gain"):
            value = getattr(self, name)
            require(math.isfinite(value) and 0.0 < abs(value) < 3e38, self, f"{name} is {value}")
            object.__setattr__(self, name, _float32(value))
            require(getattr(self, name) != 0.0, self, f"{name} is {value}")
        require(1 <= self.adc_bits <= 32, self, f"{self.adc_bits} ADC bits")
        require(0 <= self.boot_id <= 0xFFFF_FFFF, self, f"boot_id {self.boot_id}")
        require(self.unit in UNITS, self, f"unit {self.unit!r}, known are {UNITS}")
        require(1 <= len(self.channels) <= MAX_CHANNELS, self, f"{len(self.channels)} channels")
        for code in self.channels:
            good = len(code) == 3 and code.isascii() and code.isalnum() and code == code.upper()
            require(good, self, f"channel code {code!r} (three of A-Z, 0-9 wanted)")
        require(len(set(self.channels)) == len(self.channels), self, "a channel code appears twice")
        for name, least in (("device_id", 1), ("firmware", 0)):
            text = getattr(self, name)
            good = least <= len(text) <= MAX_TEXT_BYTES and text.isascii() and text.isprintable()
            require(good, self, f"{name} {text!r} (at most 32 printable ASCII characters)")

    @property
    def boot(self) -> int:
        """Low byte of boot_id: the mark that Samples, Status and replies carry."""
        return self.boot_id & 0xFF

    def to_bytes(self) -> bytes:
        """Return the payload."""
        fixed = _HELLO.pack(
            VERSION,
            PacketType.HELLO,
            self.boot_id,
            round(self.rate_hz * 1000.0),
            self.tick_hz,
            self.units_per_count,
            self.gain,
            self.adc_bits,
            UNITS.index(self.unit),
            len(self.channels),
        )
        texts = (text.encode("ascii") for text in (self.device_id, self.firmware))
        named = b"".join(bytes([len(text)]) + text for text in texts)
        return fixed + "".join(self.channels).encode("ascii") + named

    @classmethod
    def from_bytes(cls, payload: bytes) -> Hello:
        """Read a payload; raise MalformedPacket if its values are impossible."""
        fields = unpack(_HELLO, payload, "Hello")
        _, _, boot_id, rate_mhz, tick_hz, units_per_count, gain, adc_bits, unit, count = fields
        require(unit < len(UNITS), "Hello", f"unit code {unit}")
        at = _HELLO.size + 3 * count
        codes = _ascii(payload[_HELLO.size : at], 3 * count)
        texts = []
        for _ in range(2):
            length = payload[at] if at < len(payload) else 0xFFFF
            texts.append(_ascii(payload[at + 1 : at + 1 + length], length))
            at += 1 + length
        return cls(
            device_id=texts[0],
            firmware=texts[1],
            rate_hz=rate_mhz / 1000.0,
            channels=tuple(codes[at : at + 3] for at in range(0, len(codes), 3)),
            tick_hz=tick_hz,
            adc_bits=adc_bits,
            gain=gain,
            units_per_count=units_per_count,
            unit=UNITS[unit],
            boot_id=boot_id,
        )


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """Samples without a gap between them; the tick is that of the first."""

    sequence: int
    """16 bits, one more with each Samples packet of this boot; wraps."""
    first_sample: int
    """32-bit number of the first sample since boot; wraps. Dropped samples are counted too."""
    tick: int
    """32-bit device tick at which the first sample was taken; wraps."""
    counts: NDArray[np.int32]
    """Counts, shape (samples, channels); do not write to it."""
    boot: int = 0
    """Low byte of the boot_id this packet belongs to."""

    def __eq__(self, other: object) -> bool:
        """Compare the bytes on the wire."""
        return isinstance(other, Samples) and self.to_bytes() == other.to_bytes()

    def __hash__(self) -> int:
        """Hash the bytes on the wire."""
        return hash(self.to_bytes())

    def to_bytes(self) -> bytes:
        """Return the payload, with counts of the least number of bytes (2, 3, 4) that holds all."""
        samples, channels = self.counts.shape
        require(1 <= samples <= MAX_SAMPLES, self, f"{samples} samples (1 to {MAX_SAMPLES})")
        require(1 <= channels <= MAX_CHANNELS, self, f"{channels} channels")
        # A count needs the bits of |x| (of ~x below zero) and one for the sign.
        reach = int((self.counts ^ (self.counts >> 31)).max())
        width = 2 if reach < 1 << 15 else 3 if reach < 1 << 23 else 4
        fixed = _SAMPLES.pack(
            VERSION,
            PacketType.SAMPLES,
            self.boot,
            self.sequence,
            self.first_sample,
            self.tick,
            channels,
            width,
            samples,
        )
        if width == 2:
            return fixed + self.counts.astype("<i2").tobytes()
        octets = np.ascontiguousarray(self.counts, dtype="<i4")
        if width == 4:
            return fixed + octets.tobytes()
        return fixed + octets.view(np.uint8).reshape(-1, 4)[:, :3].tobytes()

    @classmethod
    def from_bytes(cls, payload: bytes) -> Samples:
        """Read a payload; raise MalformedPacket if its sizes do not match."""
        fields = unpack(_SAMPLES, payload, "Samples")
        _, _, boot, sequence, first_sample, tick, channels, width, samples = fields
        require(1 <= channels <= MAX_CHANNELS, "Samples", f"{channels} channels")
        require(2 <= width <= 4, "Samples", f"{width} bytes a count")
        require(samples >= 1, "Samples", "no samples")
        size = channels * width * samples
        data = payload[_SAMPLES.size : _SAMPLES.size + size]
        require(len(data) == size, "Samples", f"{len(data)} bytes of counts, {size} announced")
        if width == 3:
            widened = np.zeros((samples * channels, 4), dtype=np.uint8)
            widened[:, 1:] = np.frombuffer(data, np.uint8).reshape(-1, 3)
            counts = widened.view("<i4").ravel() >> 8  # the shift carries the sign down
        else:
            counts = np.frombuffer(data, "<i2" if width == 2 else "<i4").astype(np.int32)
        counts = counts.reshape(samples, channels)
        counts.flags.writeable = False
        return cls(sequence, first_sample, tick, counts, boot)


@dataclass(frozen=True, slots=True)
class Status:
    """The device's state, sent every 10 s of samples; counts begin at boot and may wrap."""

    tick: int
    """32-bit device tick when this was written."""
    next_sample: int
    """32-bit number that the next sample taken will have."""
    samples_dropped: int = 0
    """Samples taken but lost because the ring buffer was full."""
    adc_faults: int = 0
    """Times that the converter answered late, wrongly or not."""
    receive_errors: int = 0
    """Frames from the host that failed their CRC (16 bits)."""
    replies_dropped: int = 0
    """Requests not answered because two others were still waiting (16 bits)."""
    temperature_celsius: float | None = None
    """Temperature in hundredths of a degree, or None where there is no thermometer."""
    supply_volts: float | None = None
    """Supply in millivolts, or None where it is not measured."""
    streaming: bool = True
    """Samples are being sent (not stopped by a command)."""
    adc_ok: bool = True
    """The converter answers at present."""
    pps_locked: bool = False
    """A pulse-per-second edge came within the last two seconds."""
    boot: int = 0
    """Low byte of boot_id."""

    def __post_init__(self) -> None:
        """Round to what the wire carries."""
        if self.temperature_celsius is not None:
            object.__setattr__(
                self, "temperature_celsius", round(self.temperature_celsius * 100) / 100
            )
        if self.supply_volts is not None:
            object.__setattr__(self, "supply_volts", round(self.supply_volts * 1000) / 1000)

    def to_bytes(self) -> bytes:
        """Return the payload."""
        celsius, volts = self.temperature_celsius, self.supply_volts
        return _STATUS.pack(
            VERSION,
            PacketType.STATUS,
            self.boot,
            self.tick,
            self.next_sample,
            self.samples_dropped,
            self.adc_faults,
            self.receive_errors,
            self.replies_dropped,
            _NO_TEMPERATURE if celsius is None else round(celsius * 100),
            _NO_SUPPLY if volts is None else round(volts * 1000),
            self.streaming | self.adc_ok << 1 | self.pps_locked << 2,
        )

    @classmethod
    def from_bytes(cls, payload: bytes) -> Status:
        """Read a payload; raise MalformedPacket if it is too short."""
        _, _, boot, tick, next_sample, *counters, centi, milli, flags = unpack(
            _STATUS, payload, "Status"
        )
        dropped, faults, receive, replies = counters
        return cls(
            tick=tick,
            next_sample=next_sample,
            samples_dropped=dropped,
            adc_faults=faults,
            receive_errors=receive,
            replies_dropped=replies,
            temperature_celsius=None if centi == _NO_TEMPERATURE else centi / 100,
            supply_volts=None if milli == _NO_SUPPLY else milli / 1000,
            streaming=bool(flags & 1),
            adc_ok=bool(flags & 2),
            pps_locked=bool(flags & 4),
            boot=boot,
        )
