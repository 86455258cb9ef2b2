"""The firmware's static checks, its fuzzer for a fixed time, and what it costs."""

import re
import shutil
import subprocess

import pytest


@pytest.mark.skipif(
    not (shutil.which("cppcheck") and shutil.which("clang")), reason="needs cppcheck and clang"
)
def test_cppcheck_and_all_warnings_of_clang(make_firmware):
    """No finding, and the portable part stays under a thousand lines."""
    make_firmware("check")


@pytest.mark.skipif(not shutil.which("clang"), reason="needs clang and libclang-rt-14-dev")
def test_fuzzing_for_eight_seconds_finds_nothing(make_firmware):
    """Fuzzed with address and undefined sanitizers; `make fuzz` runs longer, with other seeds."""
    make_firmware("fuzz", "FUZZ_SECONDS=8", "FUZZ_SEED=6")


@pytest.mark.skipif(
    not (shutil.which("avr-gcc") and shutil.which("arm-none-eabi-gcc")),
    reason="needs gcc-avr, avr-libc, gcc-arm-none-eabi, libnewlib-arm-none-eabi",
)
def test_every_board_fits_with_room_to_spare(make_firmware, root):
    """An Uno keeps half its flash and a third of its RAM; the table in the README is of today."""
    out = make_firmware("size")
    folder = root / "firmware_bridge/firmware"
    printed = subprocess.run(
        ["make", "-s", "-C", folder, "size", f"OUT={out}"], capture_output=True, text=True
    ).stdout
    figures = {
        name: tuple(map(int, numbers))
        for name, *numbers in re.findall(
            r"^(\w+) \(.*\n  flash (\d+) B, static RAM (\d+) B", printed, re.M
        )
    }
    assert set(figures) == {"qemu_cortexm", "avr_uno", "uno_ads1256"}
    table = (folder / "README.md").read_text()
    for name, (flash, ram) in figures.items():
        if name != "qemu_cortexm":
            assert flash < 32_256 / 2 and ram < 2048 * 2 / 3
        said = re.search(rf"^\| {name} \| (\d+) B \| (\d+) B", table, re.M)
        assert flash == pytest.approx(int(said[1]), rel=0.1)
        assert ram == pytest.approx(int(said[2]), rel=0.1)
    cycles = re.findall(r"(\d+) cycles a sample, ([\d.]+) %", printed)
    if shutil.which("simavr") or (out / "simulate_avr").exists():
        assert len(cycles) == 2 and all(float(share) < 25.0 for _, share in cycles)
