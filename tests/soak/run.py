"""One soak: earthquakes are played, faults come and go, and at the end everything is counted."""

from __future__ import annotations

import json
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from itertools import count
from pathlib import Path

from eqedge.edge.dating.replayed import replayed_ns
from eqedge.edge.delivery.spool import Spool

from tests.support.broker import Broker, free_port, wait_until

from .account import Account, Quake, key
from .disk import Disk
from .node import Node
from .plan import KINDS, Fault, plan
from .quakes import CELL_SECONDS, Cells
from .sensor import KILL, PACKET, RATE, Break, Sensor

STEP_SECONDS = 3600.0
"""By which the node's clock is set wrong, and half a cell of data: none then looks like another."""
Step = Callable[[int], None]


class Soak:
    """One run.

    Args:
        folder: For everything; nothing of it is needed afterwards.
        hours: Of data.
        speed: Times real time.
        seed: Of earthquakes and faults.
        every_seconds: Of data between two faults, on average.
        only: Kinds of faults.
    """

    def __init__(
        self,
        folder: Path,
        hours: float,
        speed: float,
        seed: int,
        every_seconds: float,
        only: Sequence[str] = KINDS,
    ) -> None:
        rng = random.Random(seed)
        self._cells = Cells(seed)
        self._folder = folder
        self._speed = speed
        self._hours = hours
        self._no_topic = folder / "acl"
        self._no_topic.write_text("topic read #\n")
        self._faults = list(plan(rng, hours, every_seconds, only))
        self._broker = Broker(folder, receive_port=free_port()).reserve("eqedge/#")
        self._sensor = Sensor(rng)
        self._disk = Disk(folder / "disk", megabytes=8 + round(hours / 8))
        self._node = Node(folder, self._disk, self._sensor.port, self._broker.port, speed)
        self._ahead_seconds = 0.0
        self._quakes: list[Quake] = []
        counted = dict(Counter(fault.kind for fault in self._faults))
        self._account = Account(hours, speed, seed, self._disk.description, counted)

    def run(self) -> Account:
        """Play, disturb, count."""
        began = time.monotonic()
        self._broker.start()
        self._sensor.plug_in()
        self._node.start()
        with self._broker.collect() as received:
            self._play()
            self._node.end()
            with suppress(AssertionError):
                received.wait_for(lambda got: not self._missing(got.json("event")))
            self._count(received.json("event"))
        self._broker.stop()
        self._disk.close()
        self._account.wall_seconds = round(time.monotonic() - began, 1)
        return self._account

    def _play(self) -> None:
        # the first samples of a run that starts with the program would only wait for it
        wait_until(self._is_ready, "the node opens the port")
        steps = list(self._steps())
        cells = self._cells(round(self._hours * 3600 / CELL_SECONDS))
        begin = time.monotonic()
        for first, (counts, place) in zip(count(0, CELL_SECONDS * RATE), cells, strict=False):
            quake = Quake(first + place.p, first + place.s)
            self._quakes.append(quake)
            for at in range(0, len(counts), PACKET):
                sample = first + at
                ahead = begin + sample / RATE / self._speed - time.monotonic()
                if ahead > 0.002:
                    time.sleep(ahead)
                while steps and steps[0][0] <= sample / RATE:
                    steps.pop(0)[1](sample)
                wait_until(self._is_ready, "the node reads")
                self._sensor.send(counts[at : at + PACKET], sample)
                if sample <= quake.p < sample + PACKET:
                    quake.sent_ns = self._node_time_ns(time.time_ns())

    def _is_ready(self) -> bool:
        self._node.look_after()
        return self._sensor.is_read()

    def _node_time_ns(self, utc_ns: int) -> int:
        """What time the node's clock makes of the machine's."""
        return replayed_ns(utc_ns + round(self._ahead_seconds * 1e9), self._speed)

    # -- the faults ----------------------------------------------------------------------------

    def _steps(self) -> Iterator[tuple[float, Step]]:
        """Yield (second, what is done then) in order."""
        for fault in self._faults:
            begin, end = self._ways(fault)
            yield fault.at, begin
            yield fault.at + fault.seconds, end

    def _ways(self, fault: Fault) -> tuple[Step, Step]:
        node, broker, disk = self._node, self._broker, self._disk

        def unlock(at: int) -> None:
            disk.unlock()
            node.wait_for_lines()

        def nothing(at: int) -> None:
            """End of a fault that has no length."""

        def restart(at: int) -> None:
            broker.start()

        def refuse(config: str) -> Step:
            def again(at: int) -> None:
                broker.stop()
                broker.configure(config)
                broker.start()

            return again

        def kill_and(mend: Callable[[], object]) -> Step:
            def both(at: int) -> None:
                self._kill(at)
                mend()

            return both

        def locked_start(at: int) -> None:
            disk.lock()
            self._kill(at)

        ways: dict[str, tuple[Step, Step]] = {
            "kill": (self._kill, nothing),
            "kill without broker": (lambda at: broker.stop(), kill_and(broker.start)),
            "kill with full disk": (
                lambda at: disk.fill(node.process_id),
                kill_and(lambda: disk.free(node.process_id)),
            ),
            "kill with read-only folder": (locked_start, unlock),
            "unplug": (lambda at: self._sensor.unplug(), lambda at: self._sensor.plug_in()),
            "broker stops": (lambda at: broker.stop(), restart),
            "broker freezes": (
                lambda at: broker.signal(signal.SIGSTOP),
                lambda at: broker.signal(signal.SIGCONT),
            ),
            "broker refuses the login": (refuse("allow_anonymous false"), refuse("")),
            "broker refuses messages": (refuse(f"acl_file {self._no_topic}"), refuse("")),
            "disk full": (
                lambda at: disk.fill(node.process_id),
                lambda at: disk.free(node.process_id),
            ),
            "folder read-only": (lambda at: disk.lock(), unlock),
            "clock steps forward": (self._set_clock(1), self._set_clock(0)),
            "clock steps back": (self._set_clock(-1), self._set_clock(0)),
        }
        return ways[fault.kind]

    def _kill(self, at: int) -> None:
        self._sensor.breaks.append(Break(at, KILL))
        self._node.kill()

    def _set_clock(self, sign: int) -> Step:
        ahead_seconds = sign * (STEP_SECONDS + CELL_SECONDS / 2 / self._speed)

        def step(at: int) -> None:
            self._ahead_seconds = ahead_seconds
            self._node.set_clock(ahead_seconds)
            self._quakes[-1].sent_ns = None

        return step

    # -- the account ---------------------------------------------------------------------------

    def _missing(self, arrived: list[dict]) -> set[tuple[str, int]]:
        return {key(m) for m in self._node.messages()} - {key(m) for m in arrived}

    def _count(self, arrived: list[dict]) -> None:
        account, node, lines = self._account, self._node, self._node.messages()
        account.count_messages(lines, arrived)
        fates = account.count_quakes(self._quakes, self._sensor.breaks, lines, arrived)
        breaks = [vars(broken) for broken in self._sensor.breaks]
        kept = {"file": lines, "broker": arrived, "earthquakes": fates, "breaks": breaks}
        for name, rows in kept.items():
            text = "".join(json.dumps(row) + "\n" for row in rows)
            (self._folder / f"{name}.jsonl").write_text(text)
        account.drawn_anew = self._cells.drawn_anew
        account.measure(node.records)
        spool = Spool(node.output.with_name(node.output.name + ".spool"))
        account.left_in_spool = len(spool)
        spool.close()
        account.frames, account.frames_damaged = self._sensor.frames, self._sensor.damaged
        account.starts, account.exits_of_its_own = node.starts, node.exits
        account.starts_without_sensor = node.sensorless
        account.peak_rss_mb = round(node.peak_kb / 1024, 1)
        account.disk_kb = sum(path.stat().st_blocks for path in node.output.parent.iterdir()) // 2
