"""Decode a byte stream, in portions of any size, into packets and count every loss."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from .counters import distance
from .framing import MAX_FRAME_BYTES, FrameError, unframe
from .measured import counter
from .packets import Hello, Packet, Samples, parse
from .wire import PacketError, UnknownType, UnknownVersion

_MEMORY = 64
"""A late or repeated packet is recognised up to this many sequence numbers back."""
_TAIL_BYTES = 256
"""Rejected bytes kept for a diagnosis."""


@dataclass(frozen=True, slots=True)
class Losses:
    """Counts of what arrived and what was lost since the decoder was made."""

    bytes_received: int = counter("bytes_received_total", "Bytes that came from the sensor.")
    bytes_discarded: int = counter(
        "bytes_discarded_total", "Bytes that did not become part of a packet.", degrades=8192
    )
    frames_ok: int = counter("frames_total", "Frames that became packets, repeated ones included.")
    framing_errors: int = counter(
        "frames_framing_errors_total",
        "Pieces between zeros that are not COBS frames, or too short for one.",
        degrades=3,
    )
    crc_errors: int = counter(
        "frames_crc_errors_total", "Frames with a wrong checksum.", degrades=3
    )
    oversize: int = counter(
        "frames_oversize_total",
        "Runs longer than the longest frame without a zero in them.",
        degrades=3,
    )
    malformed: int = counter(
        "frames_malformed_total",
        "Frames with a correct checksum and impossible contents.",
        degrades=1,
    )
    unknown_type: int = counter(
        "frames_unknown_type_total", "Frames of a type that this version does not know."
    )
    unknown_version: int = counter(
        "frames_unknown_version_total",
        "Frames of a protocol version that this one does not know.",
        degrades=3,
    )
    sequence_lost: int = counter(
        "frames_seq_lost_total",
        "Packets of samples that are missing, by their sequence numbers.",
        degrades=1,
    )
    duplicates: int = counter(
        "frames_duplicate_total", "Packets of samples that came twice; the second is left out."
    )
    late: int = counter(
        "frames_late_total", "Packets of samples that came after a newer one.", degrades=3
    )
    boots: int = counter(
        "source_boots_total", "Restarts of the sensor, also for another rate or gain.", degrades=1
    )

    @property
    def frames_bad(self) -> int:
        """Pieces between zeros that gave no packet, for any reason."""
        return (
            self.framing_errors
            + self.crc_errors
            + self.oversize
            + self.malformed
            + self.unknown_type
            + self.unknown_version
        )


class Decoder:
    """Decodes the byte stream of one device; does no I/O and raises no error on any input.

    It holds at most one unfinished frame. After any damage, decoding resumes with the first
    frame after the next zero byte.

    Attributes:
        last_fault: One line about the latest rejected frame, or `""`.
    """

    def __init__(self, max_frame: int = MAX_FRAME_BYTES) -> None:
        """Begin with nothing received; a frame of `max_frame` bytes or more is rejected."""
        self.last_fault = ""
        self._max_frame = max_frame
        self._pending = bytearray()
        self._skipping = False
        self._tail = b""
        self._counts: Counter[str] = Counter()
        self._sequences = _SequenceMemory()
        self._hello: Hello | None = None

    @property
    def losses(self) -> Losses:
        """A copy of the counters."""
        return Losses(**self._counts)

    @property
    def rejected_tail(self) -> bytes:
        """The latest bytes that are in no packet, for a diagnosis; at most 256."""
        return bytes(self._tail + self._pending)[-_TAIL_BYTES:]

    def feed(self, data: bytes) -> list[Packet]:
        """Take the next bytes, any number of them; return the packets that they complete."""
        self._counts["bytes_received"] += len(data)
        pieces = data.split(b"\0")
        packets: list[Packet] = []
        for piece in pieces[:-1]:
            self._append(piece)
            packet = self._close()
            if packet is not None:
                packets.append(packet)
        self._append(pieces[-1])
        return packets

    def restart(self) -> None:
        """Drop an unfinished frame, as after the port was lost; the counters go on."""
        self._reject(bytes(self._pending))
        self._pending.clear()
        self._skipping = False

    def _append(self, piece: bytes) -> None:
        if not self._skipping and len(self._pending) + len(piece) < self._max_frame:
            self._pending += piece
            return
        if not self._skipping:
            self._skipping = True
            self._counts["oversize"] += 1
            self.last_fault = f"no frame end within {self._max_frame} bytes"
            self._reject(bytes(self._pending))
            self._pending.clear()
        self._reject(piece)

    def _close(self) -> Packet | None:
        if self._skipping:
            self._skipping = False
            self._reject(b"\0")
            return None
        if not self._pending:
            return None  # zeros may be sent between frames
        data = bytes(self._pending)
        self._pending.clear()
        try:
            packet = parse(unframe(data))
        except FrameError as error:
            self._refuse(data, "crc_errors" if error.reason == "crc" else "framing_errors", error)
            return None
        except UnknownVersion as error:
            self._refuse(data, "unknown_version", error)
            return None
        except UnknownType as error:
            self._refuse(data, "unknown_type", error)
            return None
        except PacketError as error:
            self._refuse(data, "malformed", error)
            return None
        self._counts["frames_ok"] += 1
        return self._admit(packet)

    def _admit(self, packet: Packet) -> Packet | None:
        if isinstance(packet, Hello):
            # Under the same mark another Hello is a restart too: a whole boot_id has 32 bits, and
            # a sensor may describe itself differently without a new one.
            before, self._hello = self._hello, packet
            is_other = before is not None and packet.boot == before.boot and packet != before
            self._counts["boots"] += self._sequences.boot(packet.boot, is_other=is_other)
        elif isinstance(packet, Samples):
            self._counts["boots"] += self._sequences.boot(packet.boot)
            lost, repeated, late = self._sequences.admit(packet.sequence)
            self._counts["sequence_lost"] += lost
            self._counts["duplicates"] += repeated
            self._counts["late"] += late
            if repeated:
                return None
        return packet

    def _refuse(self, data: bytes, counter: str, error: Exception) -> None:
        self._counts[counter] += 1
        self.last_fault = str(error)
        self._reject(data + b"\0")

    def _reject(self, data: bytes) -> None:
        self._counts["bytes_discarded"] += len(data)
        self._tail = (self._tail + data[-_TAIL_BYTES:])[-_TAIL_BYTES:]


class _SequenceMemory:
    """Remembers which of the last 64 sequence numbers came, to count losses, late and repeated."""

    def __init__(self) -> None:
        self._boot: int | None = None
        self._newest: int | None = None
        self._seen = 0  # bit n: the number n before the newest came

    def boot(self, boot: int, *, is_other: bool = False) -> int:
        """Take a boot number; return 1 if it has changed, and then begin a new sequence.

        Args:
            boot: Its low byte.
            is_other: It is another boot with the same low byte.
        """
        if boot == self._boot and not is_other:
            return 0
        known = self._boot is not None
        self._boot, self._newest, self._seen = boot, None, 0
        return int(known)

    def admit(self, sequence: int) -> tuple[int, int, int]:
        """Take a sequence number; return what it adds to lost, duplicates and late."""
        step = 0 if self._newest is None else distance(sequence, self._newest, 16)
        if self._newest is None or step <= -_MEMORY:
            # The first of a boot, or so far back that the link must have been down for hours.
            self._newest, self._seen = sequence, (1 << _MEMORY) - 1
            return 0, 0, 0
        if step > 0:
            self._newest = sequence
            self._seen = (self._seen << min(step, _MEMORY) | 1) & ((1 << _MEMORY) - 1)
            return step - 1, 0, 0
        if self._seen >> -step & 1:
            return 0, 1, 0
        self._seen |= 1 << -step
        return -1, 0, 1
