"""The firmware, built and running, and bounds on a device's tick rate."""

import math
import shutil
import socket
import subprocess
import threading
import time
from itertools import combinations
from pathlib import Path

import pytest

from tests.support.broker import free_port


@pytest.fixture
def tick_rate_bounds():
    """Bound a device's tick rate by time requests, rigorously, however late any of them were.

    The function takes (requested, replied, tick received, tick sent) of each, in seconds and
    ticks, and returns the lowest and the highest rate in hertz that agree with all.
    """

    def bound(exchanges):
        low, high = 0.0, math.inf
        for (requested, replied, received, sent), later in combinations(exchanges, 2):
            low = max(low, (later[3] - received) / (later[1] - requested))
            if later[0] > replied:
                high = min(high, (later[2] - sent) / (later[0] - replied))
        return low, high

    return bound


class Board:
    """The firmware running on QEMU's Cortex-M3: its line, its marks, its reset button."""

    def __init__(self, elf, waveform, folder):
        """Start QEMU; the firmware begins when a reader connects to `url`."""
        wave = folder / "wave.bin"
        wave.write_bytes(waveform)
        port = free_port()
        self.url = f"socket://127.0.0.1:{port}"
        self._marks = socket.create_server(("127.0.0.1", 0))
        self._marked = []
        self._first_mark = threading.Event()
        threading.Thread(target=self._listen, daemon=True).start()
        self._monitor = folder / "monitor"
        self._process = subprocess.Popen(
            [
                *("qemu-system-arm", "-M", "mps2-an385", "-display", "none", "-kernel", elf),
                *("-device", f"loader,file={wave},addr=0x21000000,force-raw=on"),
                *("-serial", f"tcp:127.0.0.1:{port},server=on,wait=on,nodelay=on"),
                *("-serial", f"tcp:127.0.0.1:{self._marks.getsockname()[1]}"),
                *("-monitor", f"unix:{self._monitor},server=on,wait=off"),
            ]
        )
        until = time.monotonic() + 120  # until it listens; a connection would start the firmware
        while f":{port:04X} 00000000:0000 0A" not in Path("/proc/net/tcp").read_text():
            assert time.monotonic() < until and self._process.poll() is None, "no QEMU"
            time.sleep(0.02)

    def _listen(self):
        connection, _ = self._marks.accept()
        with connection:
            while first := connection.recv(1):
                came = time.monotonic()
                rest = connection.recv(8, socket.MSG_WAITALL)
                if len(rest) == 8:
                    self._marked.append((came, int(first + rest, 16)))
                    self._first_mark.set()

    def mark(self, seconds):
        """Wait for the first mark; return (monotonic time it came, tick it was given at)."""
        assert self._first_mark.wait(seconds), "no mark came"
        return self._marked[0]

    def marks(self):
        """All marks that came so far, each as `mark` gives it."""
        return list(self._marked)

    def press_reset(self):
        """Reset the board as its button would."""
        with socket.socket(socket.AF_UNIX) as monitor:
            monitor.connect(str(self._monitor))
            monitor.settimeout(120)
            for order in (b"system_reset\n", b"info status\n"):
                answer = b""
                while not answer.endswith(b"(qemu) "):
                    answer += monitor.recv(4096)
                monitor.sendall(order)
            while b"VM status" not in monitor.recv(4096):
                pass

    def stop(self):
        """End QEMU."""
        self._process.kill()
        self._process.wait()
        self._marks.close()


def boards(make_firmware, folder):
    """Build the Cortex-M3 firmware; return a function that runs it on QEMU with a waveform."""
    if not (shutil.which("qemu-system-arm") and shutil.which("arm-none-eabi-gcc")):
        pytest.skip("needs Debian's gcc-arm-none-eabi, libnewlib-arm-none-eabi, qemu-system-arm")
    running = []

    def start(waveform):
        elf = make_firmware("qemu_cortexm") / "qemu_cortexm.elf"
        own = folder / str(len(running))
        own.mkdir()
        running.append(Board(elf, waveform, own))
        return running[-1]

    yield start
    for board in running:
        board.stop()


@pytest.fixture
def cortexm(make_firmware, tmp_path):
    """Run the Cortex-M3 firmware for one test."""
    yield from boards(make_firmware, tmp_path)


@pytest.fixture(scope="module")
def cortexm_for_module(make_firmware, tmp_path_factory):
    """Run the Cortex-M3 firmware for all tests of a file."""
    yield from boards(make_firmware, tmp_path_factory.mktemp("boards"))
