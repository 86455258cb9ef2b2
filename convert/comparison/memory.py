"""Print a process's peak memory in MB with one .tflite: `python -m ...memory FILE`."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import numpy as np

from ...edge.runtime import open_interpreter, stderr_silenced


def main(path: Path) -> None:
    """Load the file, run it once on zeros."""
    with stderr_silenced():
        interpreter = open_interpreter(path.read_bytes())
        for detail in interpreter.get_input_details():
            interpreter.set_tensor(detail["index"], np.zeros(detail["shape"], detail["dtype"]))
        interpreter.invoke()
    # not getrusage: its peak is handed down from the process that started this one
    status = Path("/proc/self/status").read_text()
    peak = re.search(r"VmHWM:\s+(\d+) kB", status)
    if peak is None:
        sys.exit("this system does not report a process's peak memory")
    print(int(peak[1]) / 1024)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
