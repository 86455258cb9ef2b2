"""The soak's command line; exit 1 where something was lost."""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path

from . import __doc__ as about
from .disk import enter
from .plan import KINDS
from .run import Soak


def main() -> None:
    """Run one soak."""
    parser = argparse.ArgumentParser("python -m tests.soak", description=str(about).splitlines()[0])
    parser.add_argument(
        "--hours",
        type=float,
        default=24.0,
        help="simulated (default 24); from 4 hours on, the last 40 %% are without kills",
    )
    parser.add_argument("--speed", type=float, default=100.0, help="times real time (default 100)")
    parser.add_argument("--seed", type=int, default=1, help="of earthquakes and faults")
    parser.add_argument(
        "--every", type=float, default=600.0, help="seconds of data between faults (default 600)"
    )
    parser.add_argument(
        "--keep",
        type=Path,
        help="a folder for logs, messages, breaks and what came of each earthquake",
    )
    parser.add_argument(
        "--only", action="append", choices=KINDS, metavar="FAULT", help=f"of {', '.join(KINDS)}"
    )
    parser.add_argument("--json", type=Path, help="a file for the account")
    options = parser.parse_args()
    if options.keep and options.keep.is_dir() and any(options.keep.iterdir()):
        parser.error(f"--keep {options.keep}: holds files; give a new folder")
    if min(options.hours, options.speed, options.every) <= 0:
        parser.error("--hours, --speed and --every: use more than 0")
    enter()
    with tempfile.TemporaryDirectory(prefix="eqedge-soak-") as scratch:
        folder = options.keep or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        soak = Soak(
            folder, options.hours, options.speed, options.seed, options.every, options.only or KINDS
        )
        account = soak.run()
    for name, value in vars(account).items():
        print(f"{name:24} {value}")
    if options.json:
        options.json.write_text(json.dumps(vars(account)))
    sys.exit(1 if account.is_bad else 0)


if __name__ == "__main__":
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    main()
