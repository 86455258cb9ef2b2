"""Measure how soon, how often falsely and how steadily the daemon announces, by hop and preset.

    python -m studies.announcements --stead held.hdf5 --continuous continuous.hdf5 --only MPM

Each stream goes through the device's own windows, network, stack and associator; nothing is timed.
Figures of a file in STEAD's layout, played in the order of `--sim`:

- announced: share of the labelled P for which a message has a pick within 0.5 s of the label, by
  seconds of signal after the P;
- false: events per hour of noise whose first pick lies in a noise record, or more than a second
  before the labelled P of an earthquake record. The synthetic noise between records is not counted.

Figure of continuous records, which have no labels:

- unconfirmed: announced P per hour that the network does not pick within 0.5 s in the window that
  has 30 s of signal after them.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Event

import h5py
import numpy as np
from eqedge.edge.detector import Detector
from eqedge.edge.picks import find_peaks
from eqedge.edge.prepare import prepare
from eqedge.edge.replay.labels import matches
from eqedge.edge.replay.request import Replay
from eqedge.edge.replay.simulation import Simulation
from eqedge.edge.replay.timeline import Placement
from eqedge.edge.settings.node import TriggerSettings, WindowSettings
from eqedge.edge.stack import Stack
from eqedge.edge.trigger import Associator, thresholds_of
from eqedge.edge.types import Block, ClockState, Pick, Probabilities, Trigger, Window
from eqedge.edge.windows import Windower
from eqedge.models.registry import DEFAULT_MODEL, Model, open_model
from eqedge.models.spec import Thresholds

SIM = ClockState("sim", True)
FULL_VIEW_SECONDS = 30.0
AGES_SECONDS = (0.5, 1.0, 2.0, 3.0)


@dataclass
class Announced:
    """What one preset announced in one stream at one hop."""

    messages: list[tuple[int, Trigger]] = field(default_factory=list)
    """Each with the end sample of the window that produced it."""
    announced: list[Pick] = field(default_factory=list)
    unconfirmed: int = 0


def play(
    blocks: Iterable[np.ndarray], model: Model, hop_seconds: float, presets: dict[str, Thresholds]
) -> dict[str, Announced]:
    """Run counts, (n, 3) at a time, through the chain; the network runs once for all presets."""
    rate = model.spec.sampling_rate_hz
    detector, stack = Detector(model), Stack(model.spec.window_samples, rate)
    associators = {
        name: Associator(TriggerSettings(), thresholds, rate, str)
        for name, thresholds in presets.items()
    }
    results = {name: Announced() for name in presets}
    waiting = {name: list[Pick]() for name in presets}
    for window in windows(blocks, model, hop_seconds):
        values = detector(prepare(window.samples, model.spec))[-len(window.samples) :]
        stacked = stack.push(Probabilities(window, values, 0.0))
        for name, associator in associators.items():
            for trigger in associator.push(stacked):
                bare = replace(window, samples=window.samples[:0])  # the rest would fill memory
                results[name].messages.append((window.end_sample, replace(trigger, window=bare)))
                if trigger.type == "new" and trigger.picks[0].phase == "P":
                    results[name].announced.append(trigger.picks[0])
                    waiting[name].append(trigger.picks[0])
            results[name].unconfirmed += _judge(waiting[name], window, values, presets[name], rate)
    return results


def windows(blocks: Iterable[np.ndarray], model: Model, hop_seconds: float) -> Iterator[Window]:
    """Cut counts into windows."""
    rate = model.spec.sampling_rate_hz
    windower = Windower(model.spec.window_samples, rate, WindowSettings(hop_seconds))
    at = 0
    for counts in blocks:
        rows = np.asarray(counts, dtype=np.float32)
        for first in range(0, len(rows), 1000):
            part = rows[first : first + 1000]
            yield from windower.push(Block(at, round(at * 1e9 / rate), part, SIM))
            at += len(part)
    yield from windower.close()


def _judge(
    waiting: list[Pick], window: Window, values: np.ndarray, thresholds: Thresholds, rate: float
) -> int:
    """Count the announced picks whose window has 30 s after them now and does not confirm them."""
    complete = [p for p in waiting if window.end_sample - p.sample >= FULL_VIEW_SECONDS * rate]
    if not complete:
        return 0
    waiting[:] = [p for p in waiting if p not in complete]
    seen = [
        window.first_sample + k.sample for k in find_peaks(values[:, 1], thresholds.P_threshold)
    ]
    return sum(not any(matches(p.sample, k, rate) for k in seen) for p in complete)


def announced_shares(
    placements: list[Placement], messages: list[tuple[int, Trigger]], rate: float
) -> list[float]:
    """Share of the labelled P announced by each age, and at all."""
    waits = []
    for placed in placements:
        p = placed.p_arrival_sample
        if p is None:
            continue
        ends = [
            end
            for end, message in messages
            for pick in message.picks
            if pick.phase == "P" and matches(pick.sample, p, rate)
        ]
        waits.append((min(ends) - p) / rate if ends else np.inf)
    ages = (*AGES_SECONDS, 1e9)
    return (
        [float(np.mean(np.array(waits) <= age)) for age in ages] if waits else [np.nan] * len(ages)
    )


def false_per_hour(
    placements: list[Placement], messages: list[tuple[int, Trigger]], rate: float
) -> tuple[float, float]:
    """(false events an hour of real noise, hours of it)."""
    spans = [
        (p.first_sample, p.end_sample if p.is_noise else p.p_arrival_sample - rate)
        for p in placements
        if p.is_noise or p.p_arrival_sample is not None
    ]
    firsts = [message.picks[0].sample for _, message in messages if message.type == "new"]
    false = sum(a <= sample < b for a, b in spans for sample in firsts)
    hours = sum(max(b - a, 0) for a, b in spans) / rate / 3600
    return false / hours, hours


def of_stead(path: Path, model: Model, hop: float, presets: dict[str, Thresholds]) -> Iterator[str]:
    """Yield a line of the table for each preset."""
    rate = model.spec.sampling_rate_hz
    with Simulation(Replay(path), rate, Event()) as simulation:
        results = play(simulation.timeline.stretches(), model, hop, presets)
        placements = simulation.timeline.placements
    for name, result in results.items():
        shares = announced_shares(placements, result.messages, rate)
        false, hours = false_per_hour(placements, result.messages, rate)
        cells = " | ".join(f"{share:.2f}" for share in shares)
        yield f"| {path.name} | {hop:g} | {name} | {cells} | {false:.1f} ({hours:.2f} h) | |"


def of_continuous(
    path: Path, only: str, model: Model, hop: float, presets: dict[str, Thresholds]
) -> Iterator[str]:
    """Yield a line of the table for each preset, over all datasets whose name has `only` in it."""
    sums = {name: [0, 0] for name in presets}
    hours = 0.0
    with h5py.File(path, "r") as file:
        names: list[str] = []
        file.visititems(lambda name, item: names.append(name) if hasattr(item, "shape") else None)
        for name in names:
            if only in name:
                rows = file[name][()]
                hours += len(rows) / model.spec.sampling_rate_hz / 3600
                for preset, result in play([rows], model, hop, presets).items():
                    sums[preset][0] += len(result.announced)
                    sums[preset][1] += result.unconfirmed
    for preset, (announced, unconfirmed) in sums.items():
        yield (
            f"| {path.name} {only} | {hop:g} | {preset} | | | | | | | {unconfirmed / hours:.1f} of "
            f"{announced / hours:.1f} ({hours:.2f} h) |"
        )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--stead", type=Path, action="append", default=[])
    parser.add_argument("--continuous", type=Path, action="append", default=[])
    parser.add_argument("--only", default="", help="part of the names of continuous datasets")
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--hop", type=float, action="append")
    parser.add_argument("--preset", action="append", help="of the model's card; default: all")
    parser.add_argument("--confirm-seconds", type=float, action="append", default=[])
    chosen = parser.parse_args()
    model = open_model(chosen.model)
    names = chosen.preset or list(model.spec.thresholds)
    presets = {n: thresholds_of(TriggerSettings(preset=n), model.spec) for n in names}
    for seconds in chosen.confirm_seconds:
        presets[f"default, {seconds:g} s"] = replace(
            model.spec.thresholds["default"], confirm_seconds=seconds, confirm_windows=1
        )
    ages = " | ".join(f"by {age:g} s" for age in AGES_SECONDS)
    print(f"| stream | hop, s | preset | {ages} | ever | false an hour | unconfirmed an hour |")
    print("|---" * (6 + len(AGES_SECONDS)) + "|")
    for hop in chosen.hop or (0.25, 0.5, 1.0):
        for path in chosen.stead:
            for line in of_stead(path, model, hop, presets):
                print(line, flush=True)
        for path in chosen.continuous:
            for line in of_continuous(path, chosen.only, model, hop, presets):
                print(line, flush=True)


if __name__ == "__main__":
    main()
