"""Kill a node again and again while it writes, and compare its file with what the broker got.

    python -m tests.soak.kills --kills 100 --seed 1

A real mosquitto hands each message to a receiver before it acknowledges it. Between two kills the
spool is deleted, one bit of it is changed, the disk is full, or the broker is away; some kills come
while the node starts and stores the lines that its spool lost. Exit 1 where a line of the file has
not reached the broker.
"""

from __future__ import annotations

import argparse
import json
import random
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from eqedge.edge.delivery.outputs import Delivery
from eqedge.edge.health.metrics import metrics_of

from tests.support.broker import Broker, Listener, wait_until

from .account import key
from .disk import limit_files
from .writer import delivery_of

FAULTS = (
    "none",
    "none",
    "spool deleted, killed while it starts",
    "spool deleted between two runs",
    "spool deleted while it runs",
    "one bit of a stored message",
    "half of the spool",
    "disk full",
    "broker away",
)
LONGEST_LIFE_SECONDS = 0.6
"""After its first event a node is killed within this time."""
EVENTS_APART = 100_000
"""Between the numbers of two runs' events."""


@dataclass
class KillAccount:
    """What came of it; `missing` must be 0."""

    kills: int
    seed: int
    faults: Counter[str] = field(default_factory=Counter)
    lines: int = 0
    """Lines in the file, each once."""
    at_broker: int = 0
    """Events that the broker got, each once."""
    again: int = 0
    """Events that it got more than once."""
    missing: int = 0
    """Lines of the file that it never got."""
    only_at_broker: int = 0
    """Events whose line was in memory when the node was killed on a full disk."""
    wall_seconds: float = 0.0


class Kills:
    """One run.

    Args:
        folder: For output, spool and the broker's files.
        kills: How many.
        seed: Of faults and moments.
        faults: What happens besides, in turn.
    """

    def __init__(self, folder: Path, kills: int, seed: int, faults: Sequence[str] = FAULTS) -> None:
        self._folder = folder
        self._output = folder / "events.jsonl"
        self._spool = folder / "events.jsonl.spool"
        self._faults = faults
        self._rng = random.Random(seed)
        self._start_seconds = 1.0
        self._broker = Broker(folder).reserve("eqedge/+/+/event")
        self._account = KillAccount(kills, seed)

    def run(self) -> KillAccount:
        """Kill, look at file and broker."""
        began = time.monotonic()
        self._broker.start()
        arrived: Counter[tuple[str, int]] = Counter()
        for number in range(self._account.kills):
            fault = self._faults[number % len(self._faults)]
            self._account.faults[fault] += 1
            self._live(number, fault)
        with self._broker.collect() as received:
            self._deliver_rest(received)
            arrived.update(key(message) for message in received.json("event"))
        self._broker.stop()
        self._count(arrived)
        self._account.wall_seconds = round(time.monotonic() - began, 1)
        return self._account

    def _live(self, number: int, fault: str) -> None:
        """Start the node, let it write, kill it at a random moment."""
        rng = self._rng
        self._harm_before(fault)
        if fault == "broker away":
            self._broker.stop()
        values = [self._folder, self._broker.port, number * EVENTS_APART, rng.getrandbits(32)]
        command = [sys.executable, "-m", "tests.soak.writer", *map(str, values)]
        with (self._folder / "log").open("ab") as log:
            process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log)
        started = time.monotonic()
        try:
            if fault == "spool deleted, killed while it starts":
                # a start whose lines are all stored again takes longer than the one measured
                time.sleep(rng.uniform(0.7, 2.0) * self._start_seconds)
                return
            assert process.stdout is not None and process.stdout.readline(), "the node writes"
            self._start_seconds = time.monotonic() - started
            time.sleep(rng.uniform(0, LONGEST_LIFE_SECONDS / 2))
            if fault == "spool deleted while it runs":
                self._spool.unlink()
            if fault == "disk full":
                limit_files(process.pid, 0)
            time.sleep(rng.uniform(0, LONGEST_LIFE_SECONDS / 2))
        finally:
            process.kill()
            process.wait()
        if fault == "broker away":
            self._broker.start()

    def _harm_before(self, fault: str) -> None:
        if not self._spool.exists():
            return
        if fault in ("spool deleted between two runs", "spool deleted, killed while it starts"):
            self._spool.unlink()
            self._spool.with_name(self._spool.name + "-wal").unlink(missing_ok=True)
        elif fault == "one bit of a stored message":
            self._change_bit()
        elif fault == "half of the spool":
            with self._spool.open("r+b") as file:
                file.truncate(self._spool.stat().st_size // 2)

    def _change_bit(self) -> None:
        with closing(sqlite3.connect(self._spool, isolation_level=None)) as database:
            rows = database.execute("SELECT id, payload FROM message").fetchall()
            if not rows:
                return
            number, payload = self._rng.choice(rows)
            harmed = bytearray(payload)
            harmed[self._rng.randrange(len(harmed))] ^= 1 << self._rng.randrange(8)
            statement = "UPDATE message SET payload = ? WHERE id = ?"
            database.execute(statement, (bytes(harmed), number))

    def _deliver_rest(self, received: Listener) -> None:
        with delivery_of(self._folder, self._broker.port) as delivery:
            wait_until(lambda: not metrics(delivery)["spool_messages"], "the spool is empty")
        lines = self._lines()
        with suppress(AssertionError):  # the account shows it
            received.wait_for(lambda got: lines <= {key(m) for m in got.json("event")})

    def _lines(self) -> set[tuple[str, int]]:
        files = [path for path in self._folder.glob("events.jsonl*") if "spool" not in path.name]
        return {key(json.loads(line)) for path in files for line in path.read_bytes().splitlines()}

    def _count(self, arrived: Counter[tuple[str, int]]) -> None:
        account, lines = self._account, self._lines()
        account.lines, account.at_broker = len(lines), len(arrived)
        account.again = sum(number > 1 for number in arrived.values())
        account.missing = len(lines - arrived.keys())
        account.only_at_broker = len(arrived.keys() - lines)


def metrics(delivery: Delivery) -> dict[str, Any]:
    """Return the metrics of the outputs by name."""
    return {one.name: one.value for one in metrics_of(delivery.counts)}


def main() -> None:
    """Run it and print the account."""
    parser = argparse.ArgumentParser(
        "python -m tests.soak.kills", description=str(__doc__).splitlines()[0]
    )
    parser.add_argument("--kills", type=int, default=100, help="how many (default 100)")
    parser.add_argument("--seed", type=int, default=1, help="of faults and moments")
    parser.add_argument("--plain", action="store_true", help="only kills, no other faults")
    options = parser.parse_args()
    faults = ["none"] if options.plain else FAULTS
    with tempfile.TemporaryDirectory(prefix="eqedge-kills-") as scratch:
        account = Kills(Path(scratch), options.kills, options.seed, faults).run()
    for name, value in vars(account).items():
        print(f"{name:16} {dict(value) if isinstance(value, Counter) else value}")
    sys.exit(1 if account.missing else 0)


if __name__ == "__main__":
    main()
