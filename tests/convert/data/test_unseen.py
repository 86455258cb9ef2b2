"""Which records a network is scored on: those that its trainings held out, by their cards."""

import json
from collections import Counter

import pytest
from eqedge.convert.data.records import DataError, Index, Record, held_out
from eqedge.convert.data.unseen import Selection, SplitError, limited, splits_of
from eqedge.convert.training_cards import TrainingCardError, trained
from eqedge.models.registry import DEFAULT_MODEL, weights_folder

from tests.support.cards import trained_by

SIDES = (True, False)
STATIONS = {s: next(f"S{k}.X" for k in range(999) if held_out(f"S{k}.X") is s) for s in SIDES}
EVENTS = {s: next(f"e{k}" for k in range(999) if held_out(f"e{k}", "event") is s) for s in SIDES}


def index():
    """A record of every side of both splits, an earthquake without an event, and noise."""
    rows = [(station, event, "event") for station in SIDES for event in SIDES]
    records = [
        Record("f", f"data/{k}", 0, 6000, STATIONS[station], "set", EVENTS[event], kind=kind)
        for k, (station, event, kind) in enumerate(rows)
    ]
    records.append(Record("f", "data/nameless", 0, 6000, STATIONS[True], "set", kind="event"))
    records.append(Record("f", "data/noise", 0, 6000, STATIONS[True], "set", kind="noise"))
    return Index(records, Counter())


def names(selection):
    """Of the traces that are scored."""
    return [record.trace for record in selection.of(index())[0].records]


def splits(*networks, asked=None, everything=False):
    """What has to be held out, and what was reported."""
    lines = []
    found = splits_of([trained(str(one)) for one in networks], asked, everything, lines.append)
    return found, lines


def test_shipped_models_were_split_by_station_all_the_way():
    """Their card and that of the training before it state it; nothing is reported."""
    for name in (DEFAULT_MODEL, weights_folder() / "leqnet_gru.weights.h5"):
        known = trained(str(name))
        assert (known.splits, known.complete, len(known.cards)) == (("station",), True, 2)
        assert splits(name) == (("station",), [])


@pytest.mark.parametrize("asked", [None, "event"])
def test_a_network_is_scored_on_what_its_own_training_held_out(tmp_path, asked):
    """Split by event: of its training's station all events that it did not see, and noise."""
    found, lines = splits(trained_by(tmp_path / "a", "event"), asked=asked)
    assert (found, lines) == (("event",), [])
    assert names(Selection(found)) == ["0", "2", "noise"]


@pytest.mark.parametrize(("stated", "asked"), [("event", "station"), ("station", "event")])
def test_what_contradicts_a_card_is_refused(tmp_path, stated, asked):
    """One line: the network, its card, what that states, what was asked, what to do."""
    mine = trained_by(tmp_path / "a", stated)
    with pytest.raises(SplitError) as caught:
        splits(DEFAULT_MODEL if asked == "station" else "none", mine, asked=asked)
    message = str(caught.value)
    for part in (str(mine), "mine.training.json", f"with --split {stated}", f"--split {asked} wo"):
        assert part in message
    assert "leave out --split" in message and "\n" not in message
    assert splits(mine, asked=asked, everything=True)[1] == []


def test_networks_of_both_splits_share_what_both_held_out(tmp_path):
    """Also one network, whose weights came from a training of the other split."""
    for networks in (
        (trained_by(tmp_path / "a", "event"), DEFAULT_MODEL),
        (trained_by(tmp_path / "b", "event", begun_by="station"),),
    ):
        found, lines = splits(*networks)
        assert found == ("station", "event") and "both station and event" in lines[0]
        assert names(Selection(found)) == ["0", "noise"]


def test_a_network_without_a_card_is_reported(tmp_path):
    """Nothing is known; it is scored by what was asked, or by station."""
    unknown = trained_by(tmp_path / "a", None)
    found, lines = splits(unknown)
    assert found == ("station",) and len(lines) == 1
    assert f"{unknown}: nothing is known of its training records" in lines[0]
    assert splits(unknown, asked="event")[0] == ("event",)


def test_a_missing_link_of_the_chain_is_reported(tmp_path):
    """The card is there, that of the weights before it is not, or is another's."""
    mine = trained_by(tmp_path / "a", "event", begun_by="event")
    (mine.parent / "before.training.json").write_text("{}")
    found, lines = splits(mine)
    assert found == ("event",) and "weights that it began from" in lines[0]
    (mine.parent / "before.training.json").unlink()
    assert splits(mine)[1] == lines


def test_a_card_that_states_no_split_of_ours_is_refused(tmp_path):
    """Damaged, or from elsewhere: the file and what was expected."""
    mine = trained_by(tmp_path / "a", "moon")
    with pytest.raises(TrainingCardError, match=r"split by 'moon'; expected station or event"):
        splits(mine)
    card = tmp_path / "b.training.json"
    (tmp_path / "b.weights.h5").write_bytes(b"weights")
    for content in ("[]", "{", json.dumps({"sha256": "0"})):
        card.write_text(content)
        with pytest.raises(TrainingCardError, match=r"b\.training\.json: (not readable|of other)"):
            trained(str(tmp_path / "b.weights.h5"))


def test_all_records_are_all_records():
    """With --all-stations no split leaves any out, earthquakes without an event included."""
    assert len(names(Selection(("event",), all_stations=True))) == 6


def test_data_without_held_out_records_or_events_are_refused():
    """What would help is named."""
    seen = Index([r for r in index().records if not held_out(r.station)], Counter())
    with pytest.raises(DataError, match="none is held out; give --all-stations"):
        Selection().of(seen)
    nameless = Index([r for r in index().records if not r.event], Counter())
    with pytest.raises(DataError, match="no earthquake of the data has a source_id"):
        Selection(("event",)).of(nameless)


def test_a_limit_draws_the_same_records_for_the_same_seed():
    """In their order, none twice, other ones for another seed, all where there are fewer."""
    records = [Record("f", f"data/{k}", 0, 6000, "S", "set") for k in range(50)]
    some = limited(records, 10, 3)
    assert some == limited(records, 10, 3) != limited(records, 10, 4)
    assert some == sorted(some, key=records.index) and len({r.trace for r in some}) == 10
    assert limited(records, 50, 3) == records
    chosen, stated = Selection(all_stations=True, limit=2, seed=5).of(index())
    assert len(chosen.records) == 2 and stated == {"records": 2, "of": 6, "seed": 5}
