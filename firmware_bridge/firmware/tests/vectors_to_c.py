"""The golden vectors (tests/vectors/frames.json) become a C header for test_protocol.c."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

Fields = dict[str, Any]

UNITS = ["", "M/S", "M/S**2"]
FAULTS = {"crc_errors": "WIRE_BAD_CRC", "framing_errors": "ANY_COBS_FAULT"}


def octets(name: str, text: str) -> str:
    """One array of bytes."""
    body = ", ".join(f"0x{byte:02x}" for byte in bytes.fromhex(text))
    return f"static const uint8_t {name}[] = {{{body}}};"


def identifier(name: str) -> str:
    """A vector's name as C spells it."""
    return name.replace("-", "_")


def hello(p: Fields) -> str:
    """Initialiser of struct wire_hello."""
    return (
        f"{{{p['boot_id']}u, {round(p['rate_hz'] * 1000)}u, {p['tick_hz']}u, "
        f"{p['units_per_count']!r}f, {p['gain']!r}f, {p['adc_bits']}, {UNITS.index(p['unit'])}, "
        f'{len(p["channels"])}, "{"".join(p["channels"])}", "{p["device_id"]}", '
        f'"{p["firmware"]}"}}'
    )


def status(p: Fields) -> str:
    """Initialiser of struct wire_status."""
    celsius, volts = p["temperature_celsius"], p["supply_volts"]
    centi = "WIRE_NO_TEMPERATURE" if celsius is None else round(celsius * 100)
    milli = "WIRE_NO_SUPPLY" if volts is None else round(volts * 1000)
    flags = ", ".join(str(p[k]).lower() for k in ("streaming", "adc_ok", "pps_locked"))
    return (
        f"{{{p['boot']}, {p['tick']}u, {p['next_sample']}u, {p['samples_dropped']}u, "
        f"{p['adc_faults']}u, {p['receive_errors']}, {p['replies_dropped']}, {centi}, {milli}, "
        f"{flags}}}"
    )


def fields(*names: str) -> Callable[[Fields], str]:
    """An initialiser of plain numbers in this order."""
    return lambda p: "{" + ", ".join(f"{p[name]}u" for name in names) + "}"


ENCODED: dict[str, tuple[str, Callable[[Fields], str]]] = {
    "Hello": ("wire_hello", hello),
    "Status": ("wire_status", status),
    "TimeReply": (
        "wire_time_reply",
        fields("boot", "request_id", "tick_received", "tick_sent", "pps_tick", "pps_count"),
    ),
    "Ack": ("wire_ack", fields("boot", "command_id", "verb", "result", "value")),
    "Command": ("wire_command", fields("command_id", "verb", "argument")),
}


def main(source: str) -> None:
    """Prints the header."""
    vectors = json.loads(Path(source).read_text())
    print("/* Made from", Path(source).name, "by vectors_to_c.py. */")
    framed: list[str] = []
    samples: list[str] = []
    tables: dict[str, list[str]] = {kind: [] for kind in ENCODED}
    for vector in vectors["good"] + vectors["longer"]:
        name, packet = identifier(vector["name"]), vector.get("packet", {"type": ""})
        print(octets(f"{name}_payload", vector["payload"]))
        print(octets(f"{name}_frame", vector["frame"]))
        bytes_of = f"{name}_payload, sizeof {name}_payload, {name}_frame, sizeof {name}_frame"
        framed.append(f'{{"{vector["name"]}", {bytes_of}}}')
        if packet["type"] in ENCODED:
            value = ENCODED[packet["type"]][1](packet)
            tables[packet["type"]].append(f"{{&framed[{len(framed) - 1}], {value}}}")
        if packet["type"] == "Samples":
            rows = packet["counts"]
            counts = [v for row in rows for v in row]
            flat = ", ".join(f"INT32_C({v})" if v > -(2**31) else "INT32_MIN" for v in counts)
            print(f"static const int32_t {name}_counts[] = {{{flat}}};")
            head = (
                f"{{{packet['boot']}, {packet['sequence']}, {packet['first_sample']}u, "
                f"{packet['tick']}u, {len(rows[0])}, 0, {len(rows)}}}"
            )
            samples.append(f"{{&framed[{len(framed) - 1}], {head}, {name}_counts}}")
    print("struct framed { const char *name; const uint8_t *payload; uint16_t payload_size;")
    print("    const uint8_t *frame; uint16_t frame_size; };")
    print("static const struct framed framed[] = {\n    " + ",\n    ".join(framed) + "};")
    for kind, (struct, _) in ENCODED.items():
        print(f"static const struct {{ const struct framed *framed; struct {struct} value; }}")
        print(f"{struct}_vectors[] = {{\n    " + ",\n    ".join(tables[kind]) + "};")
    print("static const struct { const struct framed *framed; struct wire_samples head;")
    print("    const int32_t *counts; }")
    print("wire_samples_vectors[] = {\n    " + ",\n    ".join(samples) + "};")
    for vector in vectors["bad"]:
        print(octets(f"bad_{identifier(vector['name'])}", vector["frame"]))
    print("static const struct { const char *name; const uint8_t *frame; uint16_t size;")
    print("    int fault; }")
    bad = [
        f'{{"{v["name"]}", bad_{identifier(v["name"])}, sizeof bad_{identifier(v["name"])}, '
        f"{FAULTS.get(v['counter'], 0)}}}"
        for v in vectors["bad"]
    ]
    print("bad_vectors[] = {\n    " + ",\n    ".join(bad) + "};")


main(sys.argv[1])
