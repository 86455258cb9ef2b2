"""`eqedge plot`: every figure as a file, and what goes wrong in one line."""

import json
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

import h5py
import pytest
from click.testing import CliRunner
from eqedge import EqedgeError
from eqedge.convert.pictures.cli import plot
from eqedge.edge.replay.sample import DEMO_FILE
from eqedge.edge.replay.stead import SteadFile

pytestmark = pytest.mark.slow  # runs whole commands

WITHOUT_MATPLOTLIB = """
import sys
sys.modules["matplotlib"] = None
from eqedge.__main__ import main
sys.argv = ["eqedge", *sys.argv[1:]]
main()
"""


def run(*arguments):
    """`eqedge plot`; what a user can put right comes as the error it is."""
    result = CliRunner().invoke(plot, [str(a) for a in arguments])
    if isinstance(result.exception, EqedgeError):
        raise result.exception
    assert result.exit_code == 0, result.output + repr(result.exception)
    return result


@pytest.fixture
def figures(triggers, scores, training):
    """The arguments of every kind of figure."""
    return {
        "trace": ("trace", DEMO_FILE),
        "grid": ("grid", triggers, "--data", DEMO_FILE, "--panels", "4"),
        "residuals": ("residuals", scores),
        "precision-recall": ("precision-recall", scores, "--rows", "manually_picked"),
        "onset": ("onset", scores, "--at", "P 0.5, S 0.5"),
        "learning": ("learning", training),
    }


@pytest.mark.parametrize(
    "kind", ["trace", "grid", "residuals", "precision-recall", "onset", "learning"]
)
def test_every_figure_as_png_and_svg(figures, tmp_path, kind):
    """Files of their kind, and no other file beside them."""
    png, svg = tmp_path / "a.png", tmp_path / "a.svg"
    for path in (png, svg):
        run(*figures[kind], "--output", path)
    assert png.read_bytes().startswith(b"\x89PNG") and png.stat().st_size > 10_000
    assert ElementTree.parse(svg).getroot().tag.endswith("svg")
    assert list(tmp_path.glob("*.part*")) == []


def test_the_same_figure_is_the_same_file(figures, tmp_path):
    """No date, no random name: what lies in a repository changes when the data do."""
    one, other = tmp_path / "a.svg", tmp_path / "b.svg"
    for path in (one, other):
        run(*figures["onset"], "--output", path)
    assert one.read_bytes() == other.read_bytes()


def test_several_records_are_pages_of_a_pdf_or_numbered_files(tmp_path):
    """Of a list, a CSV or repeated options; the last line names the files."""
    with SteadFile(DEMO_FILE) as file:
        names = list(file.names)[:7]
    (tmp_path / "names.txt").write_text("# seven\n" + "\n".join(names) + "\n\n")
    (tmp_path / "names.csv").write_text("p,trace_name\n" + "".join(f"1,{n}\n" for n in names))
    for listed in ("names.txt", "names.csv"):
        out = tmp_path / f"{listed}.png"
        result = run("trace", DEMO_FILE, "--traces-from", tmp_path / listed, "--output", out)
        assert result.output == f"wrote {tmp_path}/{listed}-1.png to {listed}-2.png, 7 records\n"
        assert [path.name for path in sorted(tmp_path.glob(f"{listed}*.png"))] == [
            f"{listed}-1.png", f"{listed}-2.png",
        ]  # fmt: skip
    both = [option for name in names for option in ("--trace", name)]
    run("trace", DEMO_FILE, *both, *both, "--output", tmp_path / "all.pdf")
    assert len(re.findall(rb"/Type /Page\b", (tmp_path / "all.pdf").read_bytes())) == 2


@pytest.mark.parametrize("content", ["", "\n# none\n", "trace_name,p\n"])
def test_a_list_without_a_name_is_an_error(tmp_path, content):
    """The remedy is the form of the file."""
    listed = tmp_path / "names.txt"
    listed.write_text(content)
    with pytest.raises(EqedgeError, match=r"names\.txt: no trace name; write one on each line"):
        run("trace", DEMO_FILE, "--traces-from", listed, "--output", tmp_path / "a.png")


def test_labels_of_other_traces_are_refused(tmp_path, triggers):
    """Not drawn as 0 of 0: the CSV beside the file has a row for none of its traces."""
    data = tmp_path / "bare.hdf5"
    with h5py.File(DEMO_FILE) as source, h5py.File(data, "w") as bare:
        for name, trace in source["data"].items():
            bare[f"data/{name.removesuffix('_NO')}"] = trace[()]
    triggers_of_bare = tmp_path / "run.jsonl"
    triggers_of_bare.write_text(triggers.read_text())
    csv = data.with_suffix(".csv")
    csv.write_text("trace_name,p_arrival_sample\nother_EV,700\n")
    for arguments in (("trace", data), ("grid", triggers_of_bare, "--data", data)):
        with pytest.raises(
            EqedgeError, match=r"bare\.csv: no row for .* name the CSV of this file"
        ):
            run(*arguments, "--output", tmp_path / "a.png")
    csv.unlink()
    run("grid", triggers_of_bare, "--data", data, "--output", tmp_path / "a.png")


@pytest.mark.parametrize("name", ["figure", "figure.jpg", "figure.PNG"])
def test_a_suffix_that_is_none_of_ours_is_refused(tmp_path, name):
    """Before anything is drawn; the remedy is named."""
    with pytest.raises(EqedgeError, match=r"name it \.png, \.svg or \.pdf"):
        run("trace", DEMO_FILE, "--output", tmp_path / name)


def test_a_folder_that_is_not_there_is_named(tmp_path):
    """Before anything is drawn."""
    with pytest.raises(EqedgeError, match=r"a\.png: there is no folder .*no; make it or name"):
        run("trace", DEMO_FILE, "--output", tmp_path / "no" / "a.png")


def test_no_display_is_one_line(monkeypatch):
    """Without --output a window is wanted."""
    monkeypatch.setenv("MPLBACKEND", "agg")
    import matplotlib

    matplotlib.use("agg")
    with pytest.raises(EqedgeError, match=r"no display .*give --output FILE\.png"):
        run("trace", DEMO_FILE)


@pytest.mark.parametrize("kind", ["--help", "trace"])
def test_without_matplotlib(tmp_path, kind):
    """Help comes all the same; a figure is one line with the package to install, exit 2."""
    arguments = ["plot", kind]
    if kind == "trace":
        arguments += [str(DEMO_FILE), "--output", str(tmp_path / "a.png")]
    result = subprocess.run(
        [sys.executable, "-c", WITHOUT_MATPLOTLIB, *arguments],
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    if kind == "--help":
        assert result.returncode == 0 and "precision-recall" in result.stdout
    else:
        assert result.returncode == 2
        (line,) = result.stderr.splitlines()
        assert "pip install '.[plot]'" in line


def test_a_backend_that_is_none(eqedge, monkeypatch, tmp_path):
    """What the environment says wrongly is one line too."""
    monkeypatch.setenv("MPLBACKEND", "nonsense")
    result = eqedge("plot", "trace", DEMO_FILE, "--output", tmp_path / "a.png")
    (line,) = result.stderr.splitlines()
    assert result.returncode == 2 and line.endswith("unset MPLBACKEND")


def test_a_trace_that_is_not_there_is_named(tmp_path):
    """With those that are called nearly so."""
    with pytest.raises(EqedgeError, match=r"not in demo\.hdf5; did you mean SYN\.XX_\w+_EV"):
        run("trace", DEMO_FILE, "--trace", "20260101000700", "--output", tmp_path / "a.png")


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{}",
        "[1]",
        "null",
        "\x00",
        '{"schema": 1, "models": {}, "runs": {}}',
        '{"schema": 1, "models": {"a": {"scores": {"P 0.3": {"P": 1}}}}, "runs": {}}',
    ],
)
def test_what_is_no_scores_is_one_line(tmp_path, content):
    """An empty file, other JSON, a report of nothing."""
    path = tmp_path / "odd.json"
    path.write_text(content)
    for kind in ("residuals", "precision-recall", "onset"):
        with pytest.raises(EqedgeError, match=r"odd\.json: "):
            run(kind, path, "--output", tmp_path / "a.png")


def test_scores_of_another_version_or_threshold(scores, tmp_path):
    """The first is to be made anew; of the second those that are there are named."""
    with pytest.raises(EqedgeError, match=r"has no 'P 0\.9, S 0\.9', only P 0\.3, S 0\.3; P 0\.5"):
        run("onset", scores, "--at", "P 0.9, S 0.9", "--output", tmp_path / "a.png")
    other = tmp_path / "old.json"
    other.write_text(json.dumps(json.loads(scores.read_text()) | {"schema": 0}))
    with pytest.raises(EqedgeError, match="schema 0; run eqedge evaluate again"):
        run("onset", other, "--output", tmp_path / "a.png")


def test_a_training_without_enough_scores(training, tmp_path):
    """No history, one note, a damaged line: named, with the remedy."""
    history = training / "history.jsonl"
    lines = history.read_text().splitlines()
    for content, message in (
        (lines[0], "0 losses and 1 scores, a curve needs two; train for longer"),
        ("\n".join([*lines, "{"]), "line 4 is not a note of a training"),
    ):
        history.write_text(content)
        with pytest.raises(EqedgeError, match=message):
            run("learning", training, "--output", tmp_path / "a.png")
    history.unlink()
    with pytest.raises(EqedgeError, match=r"history\.jsonl: .*give the --output of eqedge train"):
        run("learning", training, "--output", tmp_path / "a.png")


def test_another_files_run_is_refused(triggers, tmp_path, eqedge):
    """The grid needs the file that was replayed."""
    other = tmp_path / "other.hdf5"
    assert eqedge("sample", other, "--events", "1", "--noise", "1", "--seed", "9").returncode == 0
    with pytest.raises(EqedgeError, match=r"trace .* not in other\.hdf5; name the file"):
        run("grid", triggers, "--data", other, "--output", tmp_path / "a.png")
