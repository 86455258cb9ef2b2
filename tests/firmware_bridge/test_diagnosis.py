"""What is sent in place of packets is recognised, and quoted."""

import pytest
from eqedge.firmware_bridge.decoder import Decoder
from eqedge.firmware_bridge.diagnosis import diagnose


def finding(data):
    """Return the diagnosis of these bytes."""
    decoder = Decoder()
    decoder.feed(data)
    return diagnose(decoder)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", "\n\n\n", "", "\n  ", "\nte"])
def test_text_is_quoted_by_its_newest_whole_line(end):
    """However it ends: with a line, with blank ones, or in the middle of the next."""
    text = "".join(f"temperature {n} C\r\n" for n in range(40)) + "temperature 40 C"
    quoted = "temperature 39 C" if end == "" else "temperature 40 C"
    assert f"sends text ({quoted!r}), not packets" in finding((text + end).encode())


def test_one_endless_line_is_quoted_in_part():
    """There is no whole line, yet something to recognise the device by."""
    assert "sends text ('cabcabc" in finding(b"abc" * 400)


def test_long_lines_are_shortened_and_blanks_are_named():
    """A message stays one short line."""
    line = finding(b"short\n" + b"x" * 300 + b"\n" + b"y" * 90 + b"\n")
    assert f"('{'y' * 40}')" in line
    assert "sends empty lines, not packets" in finding(b"\r\n" * 300)
