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
    """An Uno keeps half its flash, a third of its RAM, a third of a sampling interval.

    The README's table has the present figures, and each board's README the same worst case.
    """
    out = make_firmware("qemu_cortexm", "avr_uno", "uno_ads1256")
    folder = root / "firmware_bridge/firmware"
    printed = subprocess.run(
        ["make", "-s", "-C", folder, "size", f"OUT={out}"], capture_output=True, text=True
    ).stdout
    blocks = re.findall(r"^(\w+) \(.*\n((?:  .*\n)+)", printed, re.M)
    assert [name for name, _ in blocks] == ["qemu_cortexm", "avr_uno", "uno_ads1256"]
    table = (folder / "README.md").read_text()
    for name, block in blocks:
        flash, ram = map(int, re.search(r"flash (\d+) B, static RAM (\d+) B", block).groups())
        if name != "qemu_cortexm":
            assert flash < 32_256 / 2 and ram < 2048 * 2 / 3
        stated = re.search(
            rf"^\| {name} \| (\d+) B \| (\d+) B \| [^|]+"
            r"\| (\d+) \w+ \| (\d+) \w+ \| (\d+) \w+ \| (\d+)",
            table,
            re.M,
        )
        assert (flash, ram) == pytest.approx([int(n) for n in stated.groups()[:2]], rel=0.1)
        emulator = "qemu-system-arm" if name == "qemu_cortexm" else out / "simulate_avr"
        if not shutil.which(emulator):
            continue
        kinds = ("a sample, ", "at most between", "at most in", "the longest")
        costs = [int(re.search(rf"(\d+) \w+ {kind}", block)[1]) for kind in kinds]
        assert costs == pytest.approx([int(n) for n in stated.groups()[2:]], rel=0.1)
        own = (folder / "boards" / name / "README.md").read_text()
        worst = re.search(r"(\d+) \w+ at most between.*; (\d+)(?: of them)? at most in", own, re.S)
        assert [int(n) for n in worst.groups()] == pytest.approx(costs[1:3], rel=0.1)
        if name != "qemu_cortexm":
            assert costs[1] < 16_000_000 / 100 * 2 / 3
