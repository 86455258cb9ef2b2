"""The firmware's Linux build, a megabaud line that damages bytes, a Port and a Decoder; an account.

    python -m studies.megabaud --seconds 600 --damage 0.01 --seed 1

builds the firmware, lets it play noise of 24 bits, and passes its bytes on to a pty at 100 kB a
second, a share of them changed in one bit, lost, or followed by a byte of noise. Exit 1 if the
decoder read anything but what arrived whole, missed any of it, miscounted, or grew.
"""

import argparse
import os
import pty
import subprocess
import sys
import tempfile
import threading
import time
import tty
from collections import OrderedDict, deque
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from eqedge.edge.process import resident_bytes
from eqedge.edge.tools.sensor.waveform import waveform_bytes
from eqedge.firmware_bridge.decoder import Decoder
from eqedge.firmware_bridge.framing import frame
from eqedge.firmware_bridge.packets import Hello, Samples
from eqedge.firmware_bridge.port import Port

FIRMWARE = Path(__file__).resolve().parents[1] / "firmware_bridge/firmware"
BYTES_A_SECOND = 100_000
"""1 Mbaud, ten bits a byte."""
BLOCK = 2_000
"""Bytes that are passed on at once: 20 ms."""
PACKET = 25
"""Samples in a packet of the firmware."""
BYTES_A_SAMPLE = 9.5
"""A little less than one of three 24-bit channels takes on the wire."""
SPARE = 20_000
"""Samples beyond what is needed: when the firmware ends, the pty forgets what it holds."""
RECENT = 64
"""Frames back that one that arrives is looked for."""
SETTLED = 0.2
"""Share of the time after which memory must stay as it is."""


@dataclass
class Account:
    """What became of the bytes, the frames and the memory."""

    seconds: float = 0.0
    bytes_sent: int = 0
    """By the firmware."""
    bytes_damaged: int = 0
    bytes_unread: int = 0
    """Of those that came out of the line, what the port did not deliver."""
    frames_sent: int = 0
    frames_whole: int = 0
    """Arrived unchanged, from one zero byte to the next; compared byte by byte."""
    frames_read: int = 0
    """Became packets."""
    frames_misread: int = 0
    """Of these, packets that are not what was sent."""
    pieces_broken: int = 0
    """Anything else between two zeros."""
    pieces_refused: int = 0
    """What the decoder counted of them."""
    whole_after_broken: int = 0
    """Whole frames just after a broken piece: the decoder must be in step again."""
    longest_silence_frames: int = 0
    """Broken pieces between two whole frames, at most."""
    packets_lost: int = 0
    """Samples packets missing between the first and the last, by their sample numbers."""
    packets_counted_lost: int = 0
    """The same by the decoder, from sequence numbers that wrap at 65536."""
    memory_kb: int = 0
    """Resident once settled."""
    memory_growth_kb: int = 0
    """The most beyond that, later."""
    reader_processor_seconds: float = 0.0

    def faults(self) -> list[str]:
        """What should not be; empty if all is well."""
        wrong = {
            "the port lost bytes": self.bytes_unread != 0,
            "not every whole frame was read, or others were": self.frames_read != self.frames_whole,
            "a packet is not what was sent": self.frames_misread != 0,
            "broken pieces were miscounted": self.pieces_refused != self.pieces_broken,
            "lost packets were miscounted": self.packets_counted_lost != self.packets_lost,
            "nothing was damaged": self.pieces_broken == 0 or self.whole_after_broken == 0,
            "memory grew by more than 1 MB": self.memory_growth_kb > 1024,
        }
        return [name for name, is_wrong in wrong.items() if is_wrong]


class Line:
    """Damages bytes, and knows by comparing them which frames arrive whole."""

    def __init__(self, share: float, seed: int, account: Account) -> None:
        """Of all bytes ``share`` are damaged."""
        self.whole: deque[bytes] = deque()
        """Frames that arrived whole and have not yet been read."""
        self._share = share
        self._rng = np.random.default_rng(seed)
        self._account = account
        self._recent: OrderedDict[bytes, None] = OrderedDict()
        self._unsent = self._unread = b""  # frames not yet closed by a zero, on either side
        self._silence = 0

    def carry(self, data: bytes) -> bytes:
        """Return what comes out for these bytes of the firmware."""
        *frames, self._unsent = (self._unsent + data).split(b"\0")
        for body in filter(None, frames):
            self._recent[body] = None
            self._account.frames_sent += 1
        while len(self._recent) > RECENT:
            self._recent.popitem(last=False)
        out = self._damage(data)
        *pieces, self._unread = (self._unread + out).split(b"\0")
        for piece in filter(None, pieces):
            self._take_down(piece)
        return out

    def _damage(self, data: bytes) -> bytes:
        places = np.flatnonzero(self._rng.random(len(data)) < self._share)
        out, done = bytearray(), 0
        for at in map(int, places):
            kind = self._rng.integers(3)
            out += data[done:at]
            if kind == 0:
                out.append(data[at] ^ 1 << int(self._rng.integers(8)))
            elif kind == 1:
                out += bytes([data[at], int(self._rng.integers(256))])
            done = at + 1
        self._account.bytes_sent += len(data)
        self._account.bytes_damaged += len(places)
        return bytes(out + data[done:])

    def _take_down(self, piece: bytes) -> None:
        account = self._account
        if piece not in self._recent:
            account.pieces_broken += 1
            self._silence += 1
            account.longest_silence_frames = max(account.longest_silence_frames, self._silence)
            return
        account.frames_whole += 1
        account.whole_after_broken += self._silence > 0
        self._silence = 0
        self.whole.append(piece)


def relay(source: int, sink: int, size: int, line: Line, passed: list[int]) -> None:
    """Pass ``size`` bytes of the firmware on to the pty, at its speed or slower."""
    began, sent, came_out = time.monotonic(), 0, 0
    while sent < size:
        ahead = sent / BYTES_A_SECOND - (time.monotonic() - began)
        if ahead > 0.0:
            time.sleep(ahead)
        data = os.read(source, min(BLOCK, size - sent))
        if not data:
            raise EOFError("the firmware has ended")
        sent += len(data)
        out = line.carry(data)
        came_out += len(out)
        while out:
            out = out[os.write(sink, out) :]
    passed.append(came_out)


def resident_kb() -> int:
    """Memory of this process."""
    return resident_bytes() // 1024


class Reader:
    """The other end of the line: decodes, compares, watches its memory."""

    def __init__(self, line: Line, account: Account) -> None:
        """Compare with what `line` recorded as arrived whole."""
        self.decoder = Decoder()
        self._line = line
        self._account = account
        self._first: int | None = None
        self._packets = self._last = 0

    def take(self, data: bytes) -> None:
        """Decode some bytes."""
        for packet in self.decoder.feed(data):
            sent = self._line.whole.popleft() if self._line.whole else b""
            self._account.frames_read += 1
            self._account.frames_misread += frame(packet.to_bytes()) != sent + b"\0"
            if isinstance(packet, Samples):
                self._first = packet.first_sample if self._first is None else self._first
                self._packets += 1
                self._last = packet.first_sample

    def close(self) -> None:
        """Record what was lost, by the decoder's count and by the sample numbers."""
        self._account.pieces_refused = self.decoder.losses.frames_bad
        self._account.packets_counted_lost = self.decoder.losses.sequence_lost
        if self._first is not None:
            span = (self._last - self._first) // PACKET + 1
            self._account.packets_lost = span - self._packets


def run(folder: Path, seconds: float, share: float, seed: int) -> Account:
    """Play `seconds` of bytes and return the account."""
    subprocess.run(["make", "-s", "-C", FIRMWARE, f"OUT={folder}", "host"], check=True)
    size = int(seconds * BYTES_A_SECOND)
    samples = int(size / BYTES_A_SAMPLE) + SPARE
    hello = Hello("megabaud", "", 100.0, ("HHE", "HHN", "HHZ"))
    counts = np.random.default_rng(seed).integers(-(2**23), 2**23, (samples, 3), np.int32)
    (folder / "wave.bin").write_bytes(waveform_bytes(hello, counts))
    del counts
    account = Account()
    line = Line(share, seed, account)
    reader = Reader(line, account)
    master, slave = pty.openpty()
    tty.setraw(slave)
    firmware = subprocess.Popen(
        [folder / "sensor", folder / "wave.bin", "--pty", "--speed", "max"], stdout=subprocess.PIPE
    )
    try:
        where = firmware.stdout.readline().decode().split()[1]
        source = os.open(where, os.O_RDWR | os.O_NOCTTY)
        passed: list[int] = []
        with Port(os.ttyname(slave), baud=1_000_000) as port:
            began = time.monotonic()
            sender = threading.Thread(target=relay, args=(source, master, size, line, passed))
            sender.start()
            looked, more = began, True
            while more:
                more = sender.is_alive()
                data = port.read(0.05)
                more |= bool(data)
                reader.take(data)
                if time.monotonic() - looked > 0.5:
                    looked = time.monotonic()
                    watch_memory(account, looked - began > SETTLED * seconds)
            account.seconds = time.monotonic() - began
        account.reader_processor_seconds = time.thread_time()
        account.bytes_unread = sum(passed) - reader.decoder.losses.bytes_received
        reader.close()
        os.close(source)
    finally:
        firmware.kill()
        firmware.communicate()
        os.close(master)
        os.close(slave)
    return account


def watch_memory(account: Account, settled: bool) -> None:
    """Note the resident memory, or by how much it has grown since it was settled."""
    now = resident_kb()
    if not settled or not account.memory_kb:
        account.memory_kb = now
    account.memory_growth_kb = max(account.memory_growth_kb, now - account.memory_kb)


def main() -> int:
    """Run, print the account and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--damage", type=float, default=0.01, help="share of bytes")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        account = run(Path(folder), options.seconds, options.damage, options.seed)
    for field in fields(account):
        value = getattr(account, field.name)
        text = f"{value:.1f}" if isinstance(value, float) else f"{value}"
        print(f"{field.name:25} {text:>12}")
    faults = account.faults()
    print("; ".join(faults) or "all well")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
