"""What the host asks of a device on a pty, and how often."""

import os
import pty
import tty

from eqedge.edge.tools.sensor.link import ASK_SECONDS, Link
from eqedge.firmware_bridge.decoder import Decoder
from eqedge.firmware_bridge.packets import Command, TimeRequest, Verb
from eqedge.firmware_bridge.port import Port
from eqedge.firmware_bridge.virtual import VirtualSensor


def test_who_is_there_is_asked_again_until_answered(hello):
    """The same command each time; each time request has an id of its own, and they go on."""
    master, slave = pty.openpty()
    tty.setraw(slave)
    device, ears, heard, now = VirtualSensor(hello), Decoder(), [], 0.0
    with Port(os.ttyname(slave)) as port:
        link = Link(port, monotonic=lambda: now)
        for turn in range(6):
            now = turn * ASK_SECONDS
            link.poll(0.0)
            asked = os.read(master, 4096)
            heard.append(ears.feed(asked))
            if turn == 3:  # the three before went missing
                os.write(master, device.receive(asked))
                assert link.poll(1.0) and link.hello == hello
    os.close(master)
    os.close(slave)
    commands = [[p for p in packets if isinstance(p, Command)] for packets in heard]
    assert commands == [[commands[0][0]]] * 4 + [[]] * 2
    assert commands[0][0].verb == Verb.IDENTIFY
    requests = [p.request_id for packets in heard for p in packets if isinstance(p, TimeRequest)]
    assert len(set(requests)) == len(requests) == 6
