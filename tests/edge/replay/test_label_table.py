"""Rows of a CSV, found by name without the file in memory."""

import csv
import gzip
import io
import tracemalloc

import pytest
from eqedge.edge.replay.label_table import LabelTable, LabelTableError
from hypothesis import given, settings
from hypothesis import strategies as st

ROWS = [
    {"trace_name": "A.XX_1_EV", "p_arrival_sample": "700", "place": "Málaga, south"},
    {"trace_name": "B.XX_2_EV", "p_arrival_sample": "900", "place": 'two\nlines, "quoted"'},
    {"trace_name": "C.XX_3_NO", "p_arrival_sample": "", "place": ""},
]


def text_of(rows, separator=",", end="\r\n"):
    """Write rows as Python's csv module does."""
    text = io.StringIO(newline="")
    table = csv.DictWriter(text, rows[0], delimiter=separator, lineterminator=end)
    table.writeheader()
    table.writerows(rows)
    return text.getvalue()


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "latin-1", "utf-16", "utf-16-le", "utf-16-be", "utf-32"]
)
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_every_form_gives_the_same_rows(tmp_path, separator, encoding, end):
    """As spreadsheets write them, fields with separators and line breaks too."""
    path = tmp_path / "labels.csv"
    path.write_bytes(text_of(ROWS, separator, end).encode(encoding))
    table = LabelTable(path)
    assert table.columns == ("trace_name", "p_arrival_sample", "place")
    assert [table.row(row["trace_name"]) for row in reversed(ROWS)] == ROWS[::-1]
    assert len(table) == 3 and "D" not in table and table.row("") is None
    latin = encoding == "latin-1"
    assert [remark[:24] for remark in table.remarks] == ["labels.csv is not in UTF"] * latin


names = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Zs", "Zl", "Zp")),
                min_size=1, max_size=8)  # fmt: skip


@settings(max_examples=60)
@given(
    st.dictionaries(names, st.text(st.characters(codec="utf-8"), max_size=9), max_size=12),
    st.sampled_from(["utf-8", "utf-16-le"]),
)
def test_any_row_is_found(tmp_path_factory, cells, encoding):
    """Whatever stands in the cells."""
    path = tmp_path_factory.mktemp("any") / "labels.csv"
    rows = [{"trace_name": name, "note": note} for name, note in cells.items()]
    text = text_of([{"trace_name": "the first", "note": ""}, *rows])
    path.write_bytes(text.encode(encoding))
    table = LabelTable(path)
    for row in rows:
        found = table.row(row["trace_name"])
        assert found is not None and found["note"] == row["note"].strip()


def test_the_memory_does_not_grow_with_the_rows_content(tmp_path):
    """20 MB of CSV need a few bytes for each row."""
    path = tmp_path / "merge.csv"
    with path.open("w") as file:
        file.write("trace_name," + ",".join(f"c{n}" for n in range(34)) + "\n")
        for n in range(50_000):
            file.write(f"S.XX_{n}_EV," + ",".join(["17.0799999"] * 34) + "\n")
    tracemalloc.start()
    table = LabelTable(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert path.stat().st_size > 18_000_000 and peak < 5_000_000
    row = table.row("S.XX_49999_EV")
    assert row is not None and row["c33"] == "17.0799999"


def test_repeated_and_uneven_rows_are_remarked(tmp_path):
    """The first row of a name counts; a short row has what it has."""
    path = tmp_path / "labels.csv"
    path.write_text("trace_name, p_arrival_sample\na,1\na,2\nb\n\nc,3,4\n")
    table = LabelTable(path)
    assert table.row("a") == {"trace_name": "a", "p_arrival_sample": "1"}
    assert table.row("b") == {"trace_name": "b"}
    assert table.remarks == [
        "rows of labels.csv that repeat a trace_name: 1; the first one counts",
        "rows of labels.csv with more or fewer fields than its first line: 2",
    ]


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", "no trace_name column; it is not STEAD's CSV .it is empty"),
        (
            b"name;p\n1;2\n",
            "no trace_name column; it is not STEAD's CSV .its first line has name",
        ),
        (b"PK\x03\x04rest", "a workbook or an archive; save it as CSV"),
        (gzip.compress(b"trace_name\na\n", mtime=0), "compressed by gzip; unpack it"),
        (b"\x89HDF\r\n", "HDF5, not a CSV"),
        (b"trace_name\n" + b"x" * 3_000_000, "line 2 is longer than 1048576 characters"),
        (b"trace_name\n" + b"x" * 200_000 + b"\n", "cannot be read as CSV in UTF-8 .*field larger"),
        ("trace_name\na\n".encode("utf-16") + b"\x00", "cannot be read as CSV in UTF-16"),
    ],
)
def test_what_is_no_csv_is_named_with_its_remedy(tmp_path, content, text):
    """One line."""
    path = tmp_path / "bad.csv"
    path.write_bytes(content)
    with pytest.raises(LabelTableError, match=rf"bad\.csv: {text}") as caught:
        LabelTable(path)
    assert "\n" not in str(caught.value)


def test_a_csv_that_changes_while_it_is_read_is_named(tmp_path):
    """A row is read when it is wanted."""
    path = tmp_path / "labels.csv"
    path.write_text(text_of(ROWS))
    table = LabelTable(path)
    path.write_bytes(b"")
    with pytest.raises(LabelTableError, match="it has changed"):
        table.row("A.XX_1_EV")


def test_lines_before_the_columns_and_columns_of_one_name(tmp_path):
    """A spreadsheet's line of its separator and empty lines; the first column of a name counts."""
    path = tmp_path / "labels.csv"
    path.write_text("sep=;\n\ntrace_name;p;p\na;1;2\nb;3;4\n")
    table = LabelTable(path)
    assert table.row("a") == {"trace_name": "a", "p": "1"}
    assert table.row("b") == {"trace_name": "b", "p": "3"}
    assert table.remarks == ["labels.csv has more than one column p; the first one counts"]


@pytest.mark.parametrize("cut", range(1, 12))
def test_half_a_number_at_the_end_of_a_file_that_was_cut_is_no_label(tmp_path, cut):
    """1894 without its end is 189: another sample, which nobody labelled."""
    path = tmp_path / "labels.csv"
    whole = "trace_name,p_arrival_sample,s_arrival_sample,place\na,5,6,x\nb,700,1894,there"
    path.write_text(whole[:-cut])
    row = LabelTable(path).row("b")
    whole_row = {"trace_name": "b", "p_arrival_sample": "700", "s_arrival_sample": "1894"}
    assert row is not None and row.get("s_arrival_sample") in (None, "1894")
    assert {k: v for k, v in row.items() if k != "place"}.items() <= whole_row.items()


def test_each_row_is_read_once(tmp_path, monkeypatch):
    """Whether a trace has a row is known without the row."""
    path = tmp_path / "labels.csv"
    path.write_text(text_of(ROWS))
    table = LabelTable(path)
    reads = []
    read = LabelTable._read
    monkeypatch.setattr(LabelTable, "_read", lambda self, k: reads.append(k) or read(self, k))
    assert "A.XX_1_EV" in table and "nowhere" not in table
    assert reads == []
    assert table.row("A.XX_1_EV") and table.row("nowhere") is None
    assert len(reads) == 1


def test_a_csv_that_is_written_anew_while_it_is_read_is_named(tmp_path):
    """Another trace's labels must not be taken for this one's."""
    path = tmp_path / "labels.csv"
    path.write_text(text_of(ROWS))
    table = LabelTable(path)
    path.write_text(text_of(ROWS).replace("A.XX_1_EV", "A.XX_9_EV"))
    with pytest.raises(LabelTableError, match="it has changed while it was read"):
        table.row("A.XX_1_EV")
