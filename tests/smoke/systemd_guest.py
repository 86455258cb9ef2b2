"""What runs inside the machine of `make systemd-smoke`: query systemd, break the service, report.

Debian's own Python runs it, without packages. Reports are lines of JSON on a serial port.
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

REPORTS = "/dev/ttyS2"
TRIGGERS = Path("/var/lib/eqedge/triggers.jsonl")
NORTH = "eqedge@north"
"""The second station's service, beside `eqedge`."""
NORTH_TRIGGERS = Path("/var/lib/eqedge-north/triggers.jsonl")
SHOWN = ("ActiveState", "Result", "NRestarts", "MainPID", "StatusText", "MemoryCurrent")
ASKED_FILES = ("/etc/eqedge/x", "/usr/x", "/var/lib/x", "/tmp/x", "/var/lib/eqedge/x")


def report(what, **facts):
    """Send one line out of the machine."""
    with open(REPORTS, "w") as port:
        port.write(json.dumps({"what": what, **facts}) + "\n")


def output_of(*command):
    """Standard output of a command, whatever its end."""
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


def state(unit="eqedge"):
    """What systemd knows of a service."""
    lines = output_of("systemctl", "show", unit, "--property", ",".join(SHOWN)).splitlines()
    return dict(line.split("=", 1) for line in lines)


def wait_for(condition, seconds):
    """Return how long it took; report what did not happen."""
    began = time.monotonic()
    while not condition():
        if time.monotonic() - began > seconds:
            report("gave up", state=state(), north=state(NORTH), journal=journal())
            sys.exit(1)
        time.sleep(0.2)
    return round(time.monotonic() - began, 1)


def journal():
    """The service's last log lines."""
    return output_of(
        "journalctl", "-u", "eqedge*", "-o", "cat", "-n", "60", "--no-pager"
    ).splitlines()


def is_active():
    """Whether the service has sent READY."""
    return state()["ActiveState"] == "active"


def messages(path=TRIGGERS):
    """Lines of a file of triggers."""
    try:
        return path.read_text().splitlines()
    except FileNotFoundError:
        return []


def until_cut():
    """Wait for events, and report each line once it is in the file; the harness pulls the plug."""
    reported = 0
    while True:
        lines = messages()
        if len(lines) > reported:
            reported = len(lines)
            report("lines", lines=reported)
        time.sleep(0.05)


def broken_by(number):
    """Send the service a signal; return how long systemd took to have another one ready."""
    before = state()
    os.kill(int(before["MainPID"]), number)

    def is_another():
        now = state()
        return now["ActiveState"] == "active" and now["MainPID"] not in ("0", before["MainPID"])

    return {"seconds": wait_for(is_another, 200), "restarts": state()["NRestarts"]}


def writable(pid):
    """Which of some files even root could write in the service's own view of the system."""
    inside = ("nsenter", "--target", pid, "--mount", "--", "sh", "-c")
    tried = " ".join(ASKED_FILES)
    return output_of(*inside, f"for f in {tried}; do touch $f && echo $f && rm $f; done").split()


def stay():
    """Look at the running service, freeze it, kill it, stop it."""
    pid = state()["MainPID"]
    status = Path(f"/proc/{pid}/status").read_text()
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    user, groups = fields["Uid"].split()[0], fields["Groups"].split()
    report(
        "service",
        state=state(),
        uid=int(user),
        groups=[output_of("getent", "group", group).split(":")[0] for group in groups],
        capabilities=int(fields["CapEff"], 16),
        no_new_privileges=int(fields["NoNewPrivs"]),
        writable=writable(pid),
        folder=output_of("stat", "-L", "-c", "%a %u", "/var/lib/eqedge"),
        exposure=output_of("systemd-analyze", "security", "eqedge", "--no-pager").splitlines()[-1],
    )
    wait_for(health, 60)
    wait_for(lambda: messages(NORTH_TRIGGERS), 300)
    report("frozen", **broken_by(signal.SIGSTOP))
    report("killed", **broken_by(signal.SIGKILL))
    began = time.monotonic()
    output_of("systemctl", "stop", "eqedge")
    seconds = round(time.monotonic() - began, 1)
    north = state(NORTH)
    user = Path(f"/proc/{north['MainPID']}/status").read_text().partition("Uid:")[2].split()[0]
    report(
        "north",
        state=north,
        uid=int(user),
        folder=output_of("stat", "-L", "-c", "%a %u", NORTH_TRIGGERS.parent),
    )
    output_of("systemctl", "stop", NORTH)
    report("north stopped", state=state(NORTH), lines=messages(NORTH_TRIGGERS))
    report("stopped", seconds=seconds, state=state(), journal=journal(), lines=messages())


def health():
    """The newest health record, or nothing."""
    try:
        return json.loads(Path("/run/eqedge/health.json").read_text())
    except (OSError, ValueError):
        return {}


def main():
    """Say when the service is ready, then do the part that the kernel's command line names."""
    seconds = wait_for(is_active, 180)
    uptime = float(Path("/proc/uptime").read_text().split()[0])
    report("ready", waited=seconds, uptime=uptime, state=state())
    if "eqedge.part=cut" in Path("/proc/cmdline").read_text():
        until_cut()
    stay()
    output_of("systemctl", "--no-block", "poweroff")


if __name__ == "__main__":
    main()
