"""Figures of README and docs/results.md are those of the cards and of the commands they name."""

import json
import re

import pytest
from eqedge.edge.replay.sample import DEMO_FILE
from eqedge.models.registry import DEFAULT_MODEL, open_model, weights_folder

from .conftest import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
RESULTS = (ROOT / "docs/results.md").read_text(encoding="utf-8")


def numbers(text):
    """Return the text with each number replaced by #, and the numbers."""
    number = r"[-+]?\d+(?:\.\d+)?"
    return re.sub(number, "#", text), [float(one) for one in re.findall(number, text)]


def test_the_demo_prints_what_it_shows(eqedge, tmp_path):
    """The account is that of the demo's run, and the first events are those of its file."""
    block = re.search(r"ends with:\n\n```\n(.*?)\.\.\.\n```", README, re.S)
    assert block is not None
    shown = block[1].splitlines()
    output = tmp_path / "triggers.jsonl"
    run = eqedge("run", "--sim", DEMO_FILE, "--speed", "max", "--output", output)
    account, events = run.stderr.splitlines(), eqedge("events", output).stdout.splitlines()
    for line, printed in zip(shown[:4], account, strict=False):
        (text, values), (expected, found) = numbers(line), numbers(printed)
        assert text == expected
        assert values == pytest.approx(found, abs=0.011)
    assert shown[5] == events[0]
    for row, printed in zip(shown[6:], events[1:], strict=False):
        (_, *picks, s_minus_p, state, trace, _, sample), found = row.split(), printed.split()
        assert [state, trace] == [found[4], found[5]]
        values = [*picks, s_minus_p.removesuffix("s")]
        expected = [*found[1:3], found[3].removesuffix("s")]
        assert [*map(float, values)] == pytest.approx([*map(float, expected)], abs=0.05)
        assert int(sample) == pytest.approx(int(found[7]), abs=3)


def test_the_models_table_is_what_the_command_prints(eqedge):
    """`eqedge models` prints every line of the page's table."""
    block = re.search(r"## Models\n\n```\n(.*?)```", RESULTS, re.S)
    assert block is not None
    assert block[1].rstrip() == eqedge("models").stdout.rstrip()


@pytest.mark.parametrize(
    ("row", "key"),
    [("picked by hand", "manually_picked"), ("left out", "unlabelled_set_aside"),
     ("counted as false", "pooled")],
)  # fmt: skip
def test_the_scores_are_the_training_cards(row, key):
    """The three rows of scores stand on the training card."""
    card = json.loads((weights_folder() / "leqnet_gru.training.json").read_text())
    scores = card["scores_on_held_out_stations"]["P 0.3, S 0.3"]
    line = next(line for line in RESULTS.splitlines() if line.startswith("|") and row in line)
    stated = [cell.strip() for cell in line.split("|")[2:4]]
    assert [float(cell) for cell in stated] == pytest.approx(
        [scores[phase][key]["f1"] for phase in "PS"], abs=0.00051
    )


@pytest.mark.parametrize("name", ["leqnet_gru_mixed", "leqnet_gru_int8"])
def test_what_quantization_keeps_is_the_models_card(name):
    """A row's picks, shifts, change of F1 and size are those of that model's own card."""
    card = open_model(name).card
    agreement, heads = card["agreement"], card["agreement"]["heads"]
    row = next(line for line in RESULTS.splitlines() if line.startswith(f"| `{name}`"))
    p, s, moved, change, kb, time = (cell.strip() for cell in row.split("|")[2:-1])
    for phase, stated in (("P", p), ("S", s)):
        kept = heads[phase]["kept"]
        assert stated == f"{kept} of {kept + heads[phase]['lost']}"
    shifts = [round(heads[phase]["shift_p95_samples"]) for phase in "PS"]
    assert moved == "{}, {} samples".format(*shifts)
    points = [100 * (heads[phase]["f1"] - heads[phase]["float_f1"]) for phase in "PS"]
    assert [float(x) for x in change.removesuffix(" points").split(" / ")] == pytest.approx(
        points, abs=0.051
    )
    assert int(kb) == round(card["size_bytes"] / 1000)
    assert float(time) == pytest.approx(agreement["latency_ratio"], abs=0.006)
    assert f"Over {agreement['windows']} windows" in RESULTS


def test_the_default_model_is_the_lossless_one():
    """No part of the lossless limit is missed by it, and full int8's card names a part."""
    assert open_model(DEFAULT_MODEL).card["agreement"]["loss"] is None
    assert open_model("leqnet_gru_int8").card["agreement"]["loss"]
