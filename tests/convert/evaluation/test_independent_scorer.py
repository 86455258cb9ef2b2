"""A second scorer, written from the definitions in docs/results.md, gives the same figures.

It is plain Python over lists, and uses nothing of the package that decides what is right. Only
where the windows lie comes from the package.
"""

from collections import Counter, defaultdict
from fractions import Fraction

import h5py
import numpy as np
from eqedge.convert.comparison.scores import choose, score_all
from eqedge.convert.data.files import DataFiles
from eqedge.convert.data.indexing import index_stead
from eqedge.convert.data.picker import Picker
from eqedge.convert.data.records import Record
from eqedge.convert.data.unseen import Selection
from eqedge.convert.data.waveforms import WaveformCache
from eqedge.convert.data.windows import TRIAL_DRAWS, TRIAL_SEED, cuts
from eqedge.convert.evaluation.subjects import Subject
from eqedge.convert.evaluation.summary import of_network
from eqedge.convert.evaluation.triggers import PlayedRun, events_of, table_of
from eqedge.convert.evaluation.windowed import choose_data, score_networks
from eqedge.edge.replay.timeline import Placement
from eqedge.models.spec import ModelSpec, Thresholds
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

ALL = Selection(all_stations=True)
LEVELS = (0.5, 0.3, 0.4)
"""Thresholds of detection, P and S."""
HEIGHTS = (0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.9)
OFFSETS = (-120, -51, -50, -49, -1, 0, 1, 49, 50, 51, 99, 101, 400)
"""Where bumps stand from a label: on both sides of each limit."""


def the_picks(curve, threshold):
    """(top, begin, end) of each stretch: to half the threshold, its top at the threshold or above.

    The top is the middle of the highest samples that stand side by side first; of two tops less
    than 50 samples apart the higher one counts, of equals the earlier.
    """
    limit = float(np.float32(threshold))
    found, begin = [], None
    for place, value in enumerate([*curve, -1.0]):
        if value >= limit / 2 and begin is None:
            begin = place
        if value < limit / 2 and begin is not None:
            stretch = curve[begin:place]
            highest = max(stretch)
            first = stretch.index(highest)
            last = first
            while last + 1 < len(stretch) and stretch[last + 1] == highest:
                last += 1
            if highest >= limit:
                found.append((begin + first + (last - first) // 2, begin, place, highest))
            begin = None
    kept = []
    for one in found:
        if kept and one[0] - kept[-1][0] < 50:
            if one[3] <= kept[-1][3]:
                continue
            kept.pop()
        kept.append(one)
    return [one[:3] for one in kept]


class Tally:
    """Counts of one head."""

    def __init__(self):
        self.found = self.missed = self.false = 0
        self.residuals = []

    def judge(self, picks, label):
        """One window's picks: the nearest within 50 samples is right, all others are false."""
        if label is None:
            return
        right = min((abs(k - label), k) for k in picks)[0] <= 50 if picks else False
        self.found += right
        self.missed += not right
        self.false += len(picks) - right
        if right:
            self.residuals.append(min(abs(k - label) for k in picks))

    def row(self):
        """Rates by exact fractions, rounded to four digits."""

        def share(above, below):
            return round(float(Fraction(above, below)), 4) if below else 0.0

        sums = sum(map(Fraction, self.residuals))
        return {
            "found": self.found,
            "missed": self.missed,
            "false": self.false,
            "precision": share(self.found, self.found + self.false),
            "recall": share(self.found, self.found + self.missed),
            "f1": share(2 * self.found, 2 * self.found + self.missed + self.false),
            "mean_absolute_s": round(float(sums / self.found) / 100, 4) if self.found else None,
        }


def bumpy(samples):
    """Answer a window by its bytes alone: bumps beside the labels that its last column shows.

    That column is highest at P and lowest at S.
    """
    rng = np.random.default_rng(np.frombuffer(samples.tobytes()[:4096], np.uint32))
    marks = [int(samples[:, 2].argmax()), int(samples[:, 2].argmin())]
    answer = np.zeros((6000, 3), np.float32)
    for head in range(3):
        for mark in (*marks, int(rng.integers(6000))):
            for _ in range(rng.integers(0, 4)):
                at = mark + int(rng.choice(OFFSETS))
                half, height = int(rng.integers(0, 40)), np.float32(rng.choice(HEIGHTS))
                low, high = max(0, at - half), max(0, min(6000, at + half + 1))
                answer[low:high, head] = np.maximum(answer[low:high, head], height)
    return answer


def fake_network():
    """A network whose answers are `bumpy`."""
    spec = ModelSpec("fake", "fake", thresholds={"default": Thresholds(*LEVELS)})
    picker = Picker("fake", "0", (spec,), lambda windows: windows)
    object.__setattr__(picker, "answer", lambda windows: np.stack([bumpy(w) for w in windows]))
    return picker


def write(path, seed):
    """A file of events of two data sets, by hand and automatic, with S and without, and noise."""
    rng = np.random.default_rng(seed)
    with h5py.File(path, "w") as file:
        for number in range(7):
            n = int(rng.choice([6000, 6001, 9000]))
            data = rng.normal(0, 0.01, (n, 3)).astype(np.float32)
            is_event = number < 5
            attributes = {"trace_category": "earthquake_local" if is_event else "noise"}
            attributes |= {"network_code": "XX", "receiver_code": f"S{rng.integers(3)}"}
            attributes["source_set"] = ("one", "two")[int(rng.integers(2))]
            if is_event:
                p = int(rng.integers(100, 3500))
                data[p, 2] = 50.0
                attributes["p_arrival_sample"] = float(p)
                attributes["p_status"] = ("manual", "automatic")[
                    int(rng.integers(min(number, 1) + 1))
                ]
                attributes["source_id"] = f"e{rng.integers(4)}"
                if rng.random() < 0.7:
                    s = p + int(rng.choice([1, 30, 90, 800]))
                    data[s, 2] = -50.0
                    attributes["s_arrival_sample"] = float(s)
            trace = file.create_dataset(f"data/{number}", data=data)
            trace.attrs.update(attributes)
    return path


def scored_again(path, by_hand=False):
    """Rows of each head, and false picks and detections an hour, by the second scorer."""
    heads = defaultdict(Tally)
    noise, windows = [0, 0, 0], 0
    records = index_stead(path).records
    for cut in cuts(records, WaveformCache(0), TRIAL_SEED, TRIAL_DRAWS, ()):
        curves = [column.tolist() for column in bumpy(cut.samples).T]
        picks = [the_picks(c, t) for c, t in zip(curves, LEVELS, strict=True)]
        if cut.use == "noise":
            windows += 1
            noise = [total + len(own) for total, own in zip(noise, picks, strict=True)]
            heads["detection"].false += bool(picks[0])
            continue
        if by_hand and not cut.record.manual:
            continue
        p = cut.record.p_arrival_sample - cut.first
        s = cut.record.s_arrival_sample
        s = None if s is None or s - cut.first >= 6000 else s - cut.first
        end = p + 500 if s is None else s
        seen = any(begin <= end and stop > p for _, begin, stop in picks[0])
        heads["detection"].found += seen
        heads["detection"].missed += not seen
        heads["P"].judge([k for k, _, _ in picks[1]], p)
        heads["S"].judge([k for k, _, _ in picks[2]], s)
    rows = {head: heads[head].row() for head in ("detection", "P", "S")}
    del rows["detection"]["mean_absolute_s"]
    return rows, [count / (windows * 60 / 3600) for count in noise]


@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(seed=st.integers(0, 10**6))
def test_evaluate_compare_and_a_second_scorer_agree_to_the_last_digit(tmp_path, seed):
    """On random records and answers: every rate and count of each head, and what noise costs."""
    path = write(tmp_path / "records.hdf5", seed)
    network = fake_network()
    data = choose_data(DataFiles((path,), label_folder=tmp_path / str(seed)), (), (), ALL)
    (scores,) = score_networks([network], data, LEVELS, print).tables
    table = of_network(scores, {"one": LEVELS})["scores"]["one"]
    for row, by_hand in (("pooled", False), ("manually_picked", True)):
        rows, rates = scored_again(path, by_hand)
        for head in rows:
            found = {name: table[head][row][name] for name in rows[head]}
            assert found == rows[head], (head, row)
        compared = score_all([network], choose([path], ALL, by_hand)).scores[0]
        for head in rows:
            whole = getattr(compared, head).row()
            assert {name: whole[name] for name in rows[head]} == rows[head], (head, row)
        if row == "pooled":
            expected = [round(rate, 2) for rate in rates]
            names = [f"false_{x}_per_hour" for x in ("detections", "p", "s")]
            assert [table["noise"][name] for name in names] == expected
            assert round(compared.false_detections_per_hour, 2) == expected[0]
            assert round(compared.false_p_per_hour, 2) == expected[1]


def message(event, picks):
    """An event's message: picks are (phase, trace, sample)."""
    return {
        "event_id": event,
        "latency_ms": {"data": 1000.0},
        "picks": [
            {"phase": phase, "time_ns": 0, "sim": {"trace_name": trace, "sample": sample}}
            for phase, trace, sample in picks
        ],
    }


TRACES = ("both", "p only", "between", "none", "quiet")
LABELS = {"both": (1000.0, 1400.0), "p only": (2000.0, None), "between": (1500.5, 1600.25)}
"""Of an earthquake without labels, and of noise, there are none."""
PICKS = st.tuples(
    st.sampled_from("PS"),
    st.sampled_from(TRACES),
    st.sampled_from([1000, 1400, 2000, 1500, 1600]),
    st.sampled_from(OFFSETS),
).map(lambda drawn: (*drawn[:2], drawn[2] + drawn[3]))
MESSAGES = st.lists(
    st.tuples(st.integers(0, 5), st.lists(PICKS, min_size=1, max_size=3)), max_size=8
)


def events_again(messages):
    """Found, missed, false and unscored events, by the second scorer.

    Of each event the last message counts. It belongs to the trace of its first pick. It finds a
    labelled trace's event where a pick is within 50 samples of the label of its phase; one that
    finds nothing that no message before it found, or that comes after one that found something, is
    false.
    """
    last = {}
    for event, picks in messages:
        last[event] = picks
    tally = dict.fromkeys(("found", "missed", "false", "unscored"), 0)
    for trace in TRACES:
        own = [picks for picks in last.values() if picks[0][1] == trace]
        if trace == "quiet":
            tally["false"] += len(own)
        elif trace == "none":
            tally["unscored"] += len(own)
        else:
            right = set()
            for picks in own:
                last_of = {phase: (where, k) for phase, where, k in picks}
                of_phase = {phase: k for phase, (where, k) in last_of.items() if where == trace}
                new = {
                    phase
                    for phase, label in zip("PS", LABELS[trace], strict=True)
                    if label is not None
                    and phase in of_phase
                    and abs(of_phase[phase] - label) <= 50
                } - right
                tally["false"] += bool(right) or not new
                right |= new
            tally["found"] += bool(right)
            tally["missed"] += not right
    return tally


@settings(max_examples=300, deadline=None)
@given(messages=MESSAGES)
def test_a_run_and_a_second_scorer_agree(messages):
    """Events and picks of random messages: updates, several events a trace, labels on limits."""
    played, placements = [], []
    for trace in TRACES:
        p, s = LABELS.get(trace, (None, None))
        kind = "noise" if trace == "quiet" else "event"
        record = Record(
            "f", f"data/{trace}", 0, 6000, "S", "set", kind=kind,
            p_arrival_sample=None if p is None else round(p),
            s_arrival_sample=None if s is None else round(s),
        )  # fmt: skip
        played.append(Subject(record, trace, {}))
        placements.append(
            Placement(trace, 0, 0, 6000, kind=kind, p_arrival_sample=p, s_arrival_sample=s)
        )
    made = [message(f"event {number}", picks) for number, picks in messages]
    run = PlayedRun("run.jsonl", made, played, placements, Counter())
    events = events_of(run)
    assert {name: events[name] for name in ("found", "missed", "false", "unscored")} == (
        events_again(messages)
    )
    last = {}
    for event, picks in messages:
        last[event] = picks
    table = table_of(run, {})
    for phase, outcomes in (("P", table.P), ("S", table.S)):
        again = Tally()
        for trace in TRACES[:3]:
            picks = [
                k for own in last.values() for x, where, k in own if (x, where) == (phase, trace)
            ]
            again.judge(picks, LABELS[trace]["PS".index(phase)])
        whole, own = outcomes.score(0).row(), again.row()
        del whole["mean_absolute_s"], own["mean_absolute_s"]  # kept to a whole sample
        assert whole == own
    quiet = [k for own in last.values() for x, w, k in own if w == "quiet" and 0 <= k < 6000]
    assert int(table.noise.p.sum() + table.noise.s.sum()) == len(quiet)
