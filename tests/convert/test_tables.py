"""Tables in Markdown and for a terminal."""

from eqedge.convert.tables import aligned_table, markdown_table

HEADER = ("model", "KB", "ms")
ROWS = [["leqnet", "474", "1.2"], ["a", "7", "12.25"]]


def test_markdown_sets_numbers_to_the_right():
    """From a column on; without one every column is text."""
    assert markdown_table(HEADER, ROWS, 1) == [
        "| model | KB | ms |",
        "|---|---:|---:|",
        "| leqnet | 474 | 1.2 |",
        "| a | 7 | 12.25 |",
    ]
    assert markdown_table(("", ""), [("file", 3)]) == ["|  |  |", "|---|---|", "| file | 3 |"]


def test_a_terminal_gets_columns_as_wide_as_their_widest_cell():
    """Text to the left, numbers to the right, no blanks at a line's end."""
    assert aligned_table(HEADER, ROWS, 1) == [
        "model    KB     ms",
        "leqnet  474    1.2",
        "a         7  12.25",
    ]
    assert aligned_table(("name",), [["a"], ["bcdef"]], 1) == ["name", "a", "bcdef"]
