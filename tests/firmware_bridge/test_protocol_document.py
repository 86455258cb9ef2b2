"""PROTOCOL.md's hex dumps, tests/vectors/frames.json and the code agree."""

import re

import pytest
from eqedge.firmware_bridge.decoder import Decoder
from eqedge.firmware_bridge.framing import frame, unframe
from eqedge.firmware_bridge.packets import parse

BLOCK = re.compile(r"```hex (\S+) (payload|frame)\n(.*?)```", re.S)


@pytest.fixture(scope="module")
def document(root):
    """The dumps of PROTOCOL.md by name and kind; a line is hex pairs, two spaces, a comment."""
    text = (root / "firmware_bridge/PROTOCOL.md").read_text()
    dumps = {}
    for name, kind, body in BLOCK.findall(text):
        digits = "".join(line.split("  ")[0] for line in body.splitlines())
        dumps[name, kind] = bytes.fromhex(digits)
    return dumps


def test_every_vector_stands_in_the_document_and_the_other_way(document, vectors):
    """Neither side has a vector that the other lacks, and their bytes agree."""
    wanted = {}
    for vector in vectors["good"]:
        wanted[vector["name"], "payload"] = bytes.fromhex(vector["payload"])
    for vector in vectors["good"] + vectors["longer"] + vectors["bad"]:
        wanted[vector["name"], "frame"] = bytes.fromhex(vector["frame"])
    assert document == wanted


def test_packets_give_the_vectors_and_come_back(vectors, packet_from):
    """Each vector's fields make its payload and frame, and its frame makes its fields."""
    assert len(vectors["good"]) >= 15
    for vector in vectors["good"]:
        packet = packet_from(vector["packet"])
        payload, sealed = bytes.fromhex(vector["payload"]), bytes.fromhex(vector["frame"])
        assert packet.to_bytes() == payload, vector["name"]
        assert frame(payload) == sealed, vector["name"]
        assert parse(unframe(sealed)) == packet, vector["name"]


def test_later_revisions_are_read_as_this_one(vectors, packet_from):
    """Fields appended by a later revision are passed over."""
    known = {vector["name"]: vector for vector in vectors["good"]}
    for vector in vectors["longer"]:
        packet = parse(unframe(bytes.fromhex(vector["frame"])))
        assert packet == packet_from(known[vector["same_as"]]["packet"])


def test_bad_vectors_are_counted_as_in_the_document(root, vectors):
    """Each faulty frame raises exactly one counter, the one that the document's table names."""
    table = (root / "firmware_bridge/PROTOCOL.md").read_text()
    for vector in vectors["bad"]:
        decoder = Decoder()
        data = bytes.fromhex(vector["frame"])
        assert decoder.feed(data) == []
        assert getattr(decoder.losses, vector["counter"]) == 1, vector["name"]
        assert decoder.losses.frames_bad == 1 and decoder.losses.bytes_discarded == len(data)
        assert re.search(rf"`{vector['name']}` \|.*\| {vector['counter']} \|", table)
