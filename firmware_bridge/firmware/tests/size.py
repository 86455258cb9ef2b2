"""Measure the firmware: flash and RAM from the ELF files, processor time from the emulators."""

from __future__ import annotations

import random
import shutil
import socket
import struct
import subprocess
import sys
from pathlib import Path

CHANNELS = 3
RATE_HZ = 100
CORTEX_HZ = 25_000_000
AVR_HZ = 16_000_000
INSTRUCTION_NANOSECONDS = 1 << 6
"""Time of an instruction with QEMU's `-icount shift=6`."""
SECTIONS_IN_FLASH = {".text", ".data", ".rodata", ".vectors"}
SECTIONS_IN_RAM = {".data", ".bss", ".noinit"}


def waveform(path: Path, rate_hz: int, bits: int) -> None:
    """Write full-scale noise: every count needs the widest encoding."""
    rng = random.Random(1)
    samples = 70_000
    header = struct.pack(
        "<4sIIIfBBxxiII18s42s",
        *(b"EQW1", samples, CHANNELS, rate_hz * 1000, 1.0, 0, bits, 0, 1, 0xFFFF_FFFF),
        *(b"EHEEHNEHZ", b"size"),
    )
    limit = 1 << (bits - 1)
    counts = (rng.randrange(-limit, limit) for _ in range(samples * CHANNELS))
    path.write_bytes(header + struct.pack(f"<{samples * CHANNELS}i", *counts))


def memory(prefix: str, elf: Path) -> tuple[int, int]:
    """Return bytes of flash and of static RAM."""
    listing = subprocess.run([f"{prefix}size", "-A", elf], capture_output=True, text=True)
    flash = ram = 0
    for line in listing.stdout.splitlines():
        fields = line.split()
        if len(fields) == 3 and fields[1].isdigit():
            flash += int(fields[1]) if fields[0] in SECTIONS_IN_FLASH else 0
            ram += int(fields[1]) if fields[0] in SECTIONS_IN_RAM else 0
    return flash, ram


def largest(prefix: str, elf: Path) -> str:
    """Return the three largest objects in RAM."""
    listing = subprocess.run([f"{prefix}nm", "-S", elf], capture_output=True, text=True).stdout
    objects = []
    for line in listing.splitlines():
        fields = line.split()
        if len(fields) == 4 and fields[2] in "bBdD":
            objects.append((int(fields[1], 16), fields[3]))
    return ", ".join(f"{name} {size}" for size, name in sorted(objects, reverse=True)[:3])


def avr_cost(out: Path, board: str, converter: str, bits: int) -> dict[str, float]:
    """Return cycles and stack of a simulated minute on simavr with time requests of the host."""
    wave = out / f"size-{bits}.bin"
    waveform(wave, 1000, bits)
    done = subprocess.run(
        [out / "simulate_avr", out / f"{board}.elf", converter, wave, "--measure", "60"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    pairs = (line.split() for line in done.stdout.splitlines())
    return {pair[0]: float(pair[1]) for pair in pairs if len(pair) == 2}


def cortex_cost(out: Path) -> list[int]:
    """Return instructions counted by QEMU, 64 ns each; 40 s are simulated.

    Returns those awake in all, in the longest stretch, at most from one sampling instant to the
    next, and at most in the interrupt that samples.
    """
    wave = out / "size-32.bin"
    waveform(wave, RATE_HZ, 32)
    with socket.create_server(("127.0.0.1", 0)) as measured:
        port = measured.getsockname()[1]
        qemu = subprocess.Popen(
            [
                *("qemu-system-arm", "-M", "mps2-an385", "-display", "none", "-monitor", "none"),
                *("-icount", "shift=6,sleep=off", "-kernel", str(out / "qemu_measure.elf")),
                *("-device", f"loader,file={wave},addr=0x21000000,force-raw=on"),
                *("-serial", "null", "-serial", f"tcp:127.0.0.1:{port}"),
            ]
        )
        try:
            measured.settimeout(60)
            connection, _ = measured.accept()
            connection.settimeout(60)
            lines = connection.makefile()
            ticks = [int(lines.readline(), 16) for _ in range(4)]
        finally:
            qemu.kill()
            qemu.wait()
    return [tick * 1_000_000_000 // CORTEX_HZ // INSTRUCTION_NANOSECONDS for tick in ticks]


def main(out: Path) -> None:
    """Print the cost of each board that was built."""
    if (out / "qemu_cortexm.elf").exists():
        elf = out / "qemu_cortexm.elf"
        flash, ram = memory("arm-none-eabi-", elf)
        print("qemu_cortexm (Cortex-M3, 3 channels of 32 bits at 100 Hz)")
        print(f"  flash {flash} B, static RAM {ram} B ({largest('arm-none-eabi-', elf)})")
        if shutil.which("qemu-system-arm"):
            awake, longest, interval, reading = cortex_cost(out)
            samples = 4000
            print(f"  {awake / samples:.0f} instructions a sample, all included, on average")
            print(f"  {interval} instructions at most between two sampling instants")
            print(f"  {reading} instructions at most in the interrupt that takes a sample")
            print(f"  {longest} instructions the longest time awake (a packet is built and sent)")
    for board, converter, bits in (("avr_uno", "uno", 14), ("uno_ads1256", "ads1256", 24)):
        elf = out / f"{board}.elf"
        if not elf.exists():
            continue
        flash, ram = memory("avr-", elf)
        print(f"{board} (ATmega328P: 32256 B flash, 2048 B RAM; 3 channels at {RATE_HZ} Hz)")
        print(f"  flash {flash} B, static RAM {ram} B ({largest('avr-', elf)})")
        if (out / "simulate_avr").exists():
            cost = avr_cost(out, board, converter, bits)
            busy = cost["busy_cycles_per_second"]
            print(f"  stack {cost['stack_bytes']:.0f} B at its deepest")
            print(f"  {busy / RATE_HZ:.0f} cycles a sample, {100 * busy / AVR_HZ:.1f} % of 16 MHz")
            worst, taking = cost["worst_interval_cycles"], cost["worst_reading_cycles"]
            share = 100 * worst * RATE_HZ / AVR_HZ
            print(f"  {worst:.0f} cycles at most between two sampling instants, {share:.1f} %")
            print(f"  {taking:.0f} cycles at most in the interrupts that take a sample")
            print(f"  {cost['longest_awake_cycles']:.0f} cycles the longest time awake")


main(Path(sys.argv[1]))
