"""What three channels cost on a line of 115200 baud: as the wire has them, and as differences.

    python -m studies.budget

prints the tables that stand in PROTOCOL.md. Ground motion is that of the synthetic records.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from eqedge.edge.replay.synthetic import NOISE_LEVEL, earthquake, noise
from eqedge.firmware_bridge.framing import frame
from eqedge.firmware_bridge.packets import Samples
from numpy.typing import NDArray

LINE = 11_520
"""Bytes a second at 115200 baud."""
PACKETS = {100: 25, 250: 62, 500: 125}
"""Samples a packet, about a quarter of a second, by rate in hertz."""
RECORDS, SECONDS, SEED = 20, 60, 6
FULL_SCALE = 2**23 - 1
GROUNDS = ("quiet", "loud", "strong")
"""Noise of 100 counts rms; of 30 000; an earthquake that fills 24 bits, in its worst second."""


@dataclass(frozen=True)
class Cost:
    """Bytes a second of whole frames."""

    plain: float
    """As on the wire: all counts of a packet 2, 3 or 4 bytes wide."""
    differences: float
    """First differences in the fewest bits that the packet needs."""


def pack_differences(counts: NDArray[np.int32]) -> bytes:
    """The counts of a packet, shape (samples, channels), as bits.

    First comes one byte: how many bits a difference has; then the first sample, four bytes a count;
    then the differences from sample to sample, two's complement.
    """
    steps = np.diff(counts.astype(np.int64), axis=0).ravel()
    reach = np.where(steps < 0, ~steps, steps)  # as many bits are left when the sign has its own
    bits = int(reach.max(initial=0)).bit_length() + 1
    planes = steps[:, None] >> np.arange(bits - 1, -1, -1) & 1
    return bytes([bits]) + counts[0].astype("<i4").tobytes() + np.packbits(planes).tobytes()


def cost(counts: NDArray[np.int32], rate_hz: int) -> list[Cost]:
    """What each packet of a record, shape (samples, channels), costs if all were like it."""
    size = PACKETS[rate_hz]
    costs = []
    for at in range(0, len(counts) - size + 1, size):
        block = counts[at : at + size]
        payload = Samples(at // size & 0xFFFF, at, at * 10_000, block).to_bytes()
        header = payload[: len(payload) - payload[14] * block.size]
        lengths = (len(frame(payload)), len(frame(header + pack_differences(block))))
        costs.append(Cost(*(length * rate_hz / size for length in lengths)))
    return costs


def records(ground: str, rate_hz: int) -> Iterator[NDArray[np.int32]]:
    """Seeded records of one of the GROUNDS, shape (samples, 3)."""
    rng = np.random.default_rng(SEED)
    for _ in range(RECORDS):
        size = dict(n_samples=SECONDS * rate_hz, rate_hz=float(rate_hz))
        if ground == "strong":
            wave = earthquake(rng, distance_km=10.0, snr_db=60.0, **size).waveform
            wave = wave * (FULL_SCALE / np.abs(wave).max())
        else:
            wave = noise(rng, transients=False, **size).waveform
            wave = wave * (100.0 if ground == "quiet" else 30_000.0) / NOISE_LEVEL
        yield np.rint(wave).astype(np.int32)


def ground_cost(ground: str, rate_hz: int) -> Cost:
    """Bytes a second: the mean of all records, or of each earthquake's worst second."""
    costs = [cost(counts, rate_hz) for counts in records(ground, rate_hz)]
    if ground != "strong":
        packets = [packet for record in costs for packet in record]
        return Cost(
            float(np.mean([packet.plain for packet in packets])),
            float(np.mean([packet.differences for packet in packets])),
        )
    worst = []
    for record in costs:
        four = np.array([[p.plain, p.differences] for p in record])
        seconds = np.lib.stride_tricks.sliding_window_view(four, 4, axis=0).mean(axis=-1)
        worst.append(seconds.max(axis=0))
    plain, differences = np.mean(worst, axis=0)
    return Cost(float(plain), float(differences))


def width_cost(width: int, rate_hz: int) -> float:
    """Return bytes a second of counts of one size without a zero byte: the worst case of COBS."""
    counts = np.full((PACKETS[rate_hz], 3), int.from_bytes(width * b"\x7f", "big"), np.int32)
    return cost(counts, rate_hz)[0].plain


def cell(bytes_a_second: float) -> str:
    """A figure and its share of the line."""
    return f"{bytes_a_second:.0f}, {100 * bytes_a_second / LINE:.0f} %"


def lines() -> Iterator[str]:
    """Both tables, line by line."""
    yield "| rate | samples a packet | 16-bit | 24-bit | 32-bit |"
    yield "|---|---|---|---|---|"
    for rate_hz, size in PACKETS.items():
        widths = " | ".join(cell(width_cost(width, rate_hz)) for width in (2, 3, 4))
        yield f"| {rate_hz} Hz | {size} | {widths} |"
    yield ""
    yield "| rate | ground | as on the wire | as differences |"
    yield "|---|---|---|---|"
    for rate_hz in PACKETS:
        for ground in GROUNDS:
            found = ground_cost(ground, rate_hz)
            yield f"| {rate_hz} Hz | {ground} | {cell(found.plain)} | {cell(found.differences)} |"


if __name__ == "__main__":
    for line in lines():
        print(line)
