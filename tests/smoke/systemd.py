"""The service under a real systemd, in a machine that loses its power: `make systemd-smoke`.

A Debian root with the node in it is built once and booted under QEMU. A simulated sensor on this
side plays the embedded sample into the machine's second serial port. In the first boot there is no
broker, and the plug is pulled as soon as the file holds an event. The second boot finds a broker:
what was on the disk must reach it. Then the service is frozen, killed and stopped, while that of a
second station beside it, at a third serial port, goes on.
`systemd_guest.py` does that from inside.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from tests.support.broker import Broker, Listener, free_port

SUITE, PYTHON = "bookworm", "3.11"
PACKAGES = "systemd,systemd-sysv,dbus,udev,python3,python3-venv,linux-image-cloud-amd64"
PLATFORMS = tuple(f"manylinux_2_{n}_x86_64" for n in (36, 34, 28, 27, 17, 12))
SAMPLE = Path("edge/replay/samples/demo.hdf5")
GUEST = Path(__file__).with_name("systemd_guest.py")
HOST_FROM_INSIDE = "10.0.2.2"
"""This machine, as QEMU's user network calls it."""
WRITABLE = ["/tmp/x", "/var/lib/eqedge/x"]
"""Of what `systemd_guest.py` tries, all that a hardened service may write."""
LINES_BEFORE_THE_CUT = 4
EVENT_TYPES = ("new", "update", "end")
PATIENCE_SECONDS = 600
CONFIG = """\
output = "/var/lib/eqedge/triggers.jsonl"
[station]
station = "GUEST"
[sensor]
port = "/dev/ttyS1"
[health]
json_file = "/run/eqedge/health.json"
[mqtt]
host = "{host}"
port = {port}
"""
PROOF_UNIT = f"""\
[Unit]
After=multi-user.target
[Service]
ExecStart=/usr/bin/python3 /{GUEST.name}
[Install]
WantedBy=multi-user.target
"""


class Failed(Exception):
    """What stops the smoke test, or what did not hold, in one line."""


def main() -> int:
    """Build, boot twice, hold what came against what must."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cache", type=Path, default=Path("build/systemd"))
    parser.add_argument("--accel", default="tcg", help="kvm is faster where it works")
    options = parser.parse_args()
    cache = options.cache.resolve()
    try:
        if os.geteuid() != 0:
            raise Failed("mmdebstrap and chroot want root: use sudo")
        base = build_root(cache)
        with tempfile.TemporaryDirectory() as name:
            prove(base, Path(name), options.accel)
    except (Failed, AssertionError, OSError, subprocess.CalledProcessError) as error:
        print(f"systemd-smoke: {error}", file=sys.stderr)
        return 1
    note("all of it held")
    return 0


def build_root(cache: Path) -> Path:
    """Build Debian with systemd and a kernel, once."""
    base = cache / "root.tar"
    if not base.exists():
        note(f"building Debian {SUITE} with systemd and a kernel in {base}: two minutes, once")
        cache.mkdir(parents=True, exist_ok=True)
        partial = cache / "partial.tar"
        # in a mount namespace of its own, which ends with what was mounted
        command = ["unshare", "--mount", "mmdebstrap", "--mode=root", "--variant=minbase"]
        run([*command, f"--include={PACKAGES}", SUITE, str(partial)])
        partial.rename(base)
    return base


def prove(base: Path, folder: Path, accel: str) -> None:
    """Cut the power in the first boot, look at everything in the second."""
    broker = Broker(folder, port=free_port())
    disk, kernel = build_disk(base, folder, broker.port)
    record = long_record(folder)
    machine = Machine(folder, disk, *kernel, record, accel)
    with machine.boot("cut") as reports:
        ready = next(reports)
        note(f"first boot: {described(ready)}")
        held = next(r["lines"] for r in reports if r["lines"] >= LINES_BEFORE_THE_CUT)
    note(f"power cut with {held} lines in the file and no broker")
    with ExitStack() as stack:
        stack.enter_context(broker)
        received = stack.enter_context(broker.listen("eqedge/XX/GUEST/#"))
        of_north = stack.enter_context(broker.listen("eqedge/XX/NORTH/#"))
        reports = stack.enter_context(machine.boot("stay"))
        note(f"second boot, with a broker: {described(next(reports))}")
        judge({report["what"]: report for report in reports}, received, of_north, held)


def judge(
    reports: dict[str, dict[str, Any]], received: Listener, of_north: Listener, held: int
) -> None:
    """Compare the reports of the second boot with what must hold."""
    if "stopped" not in reports:
        raise Failed(f"the machine gave up: {json.dumps(reports.get('gave up'), indent=1)}")
    service, stopped = reports["service"], reports["stopped"]
    note(f"runs as user {service['uid']}, groups {', '.join(filter(None, service['groups']))}")
    note(service["exposure"].strip())
    require(service["uid"] >= 61184, "a dynamic user's number")
    require("dialout" in service["groups"], "the group of serial ports")
    require(service["capabilities"] == 0 and service["no_new_privileges"] == 1, "no privileges")
    require(service["folder"] == f"750 {service['uid']}", f"its own folder: {service['folder']}")
    require(service["writable"] == WRITABLE, f"a read-only system: {service['writable']}")
    for what, how in (("frozen", "SIGSTOP"), ("killed", "SIGKILL")):
        report = reports[what]
        note(f"{how}: another one ready after {report['seconds']} s, {report['restarts']} restarts")
    require(reports["frozen"]["restarts"] == "1", "one restart by the watchdog")
    require(reports["killed"]["restarts"] == "2", "one more after SIGKILL")
    state = stopped["state"]
    require((state["ActiveState"], state["Result"]) == ("inactive", "success"), f"a stop: {state}")
    note(f"systemctl stop: {stopped['seconds']} s, result {state['Result']}")
    in_file = [json.loads(line) for line in stopped["lines"]]
    events = [message for message in in_file if message["type"] in EVENT_TYPES]
    lost = lost_of(stopped["lines"], received)
    late = sum(bool(message.get("historical")) for message in received.json("event"))
    note(f"{len(in_file)} lines in the file, {held} of them before the power cut")
    note(
        f"{len(events)} messages on events, {len(lost)} not at the broker, {late} historical there"
    )
    require(not lost, "every message at the broker")
    require(late > 0, "messages of before the cut marked historical")
    require(received.texts("status")[-1] == "stopped", "the status of a stopped node")
    judge_north(reports, of_north)


def judge_north(reports: dict[str, dict[str, Any]], received: Listener) -> None:
    """Compare what the second station's service did with what must hold."""
    running, stopped = reports["north"], reports["north stopped"]
    require(running["state"]["ActiveState"] == "active", "a second station that goes on")
    require(running["state"]["NRestarts"] == "0", "no restart of the second station")
    require(running["folder"] == f"750 {running['uid']}", "a folder of the second station's own")
    require(running["uid"] != reports["service"]["uid"], "another user for the second station")
    lost = lost_of(stopped["lines"], received)
    note(
        f"second station: {len(stopped['lines'])} lines in its file, {len(lost)} not at the broker"
    )
    require(
        bool(stopped["lines"]) and not lost, "every message of the second station at the broker"
    )
    require(received.texts("status")[-1] == "stopped", "the status of a stopped second station")


def lost_of(lines: list[str], received: Listener) -> list[dict[str, Any]]:
    """Return the messages of a file that the broker did not get."""
    events = [json.loads(line) for line in lines]
    keys = {key(message) for message in received.json("event") + received.json("pick")}
    return [one for one in events if one["type"] in EVENT_TYPES and key(one) not in keys]


def key(message: dict[str, Any]) -> tuple[Any, ...]:
    """What makes a message the same in the file and at the broker."""
    return message["event_id"], message["type"], message.get("revision")


def build_disk(base: Path, folder: Path, broker_port: int) -> tuple[Path, tuple[Path, Path]]:
    """Install the node as README says, and make a disk of it; return it, the kernel, its initrd."""
    root, wheels = folder / "root", folder / "root/wheels"
    root.mkdir()
    run(["tar", "-xf", str(base), "-C", str(root)])
    note("installing the node from its wheel into /opt/eqedge")
    tree = folder / "tree"
    listed = run(["git", "ls-files", "-co", "--exclude-standard"]).splitlines()
    for name in filter(os.path.isfile, listed):
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(name, tree / name)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q", "-q"]
    run([*pip, "wheel", "--no-deps", "-w", str(wheels), str(tree)])
    (wheel,) = wheels.glob("*.whl")
    only = ["--only-binary", ":all:", "--python-version", PYTHON]
    only += [f"--platform={platform}" for platform in PLATFORMS]
    run([*pip, "download", *only, "-d", str(wheels), str(wheel)])
    inside = ["chroot", str(root)]
    run([*inside, "python3", "-m", "venv", "/opt/eqedge"])
    pip = [*inside, "/opt/eqedge/bin/pip", "-q", "-q"]
    run([*pip, "install", "--no-index", "--find-links", "/wheels", "eqedge"])
    shutil.rmtree(wheels)
    (root / "config.toml").write_text(CONFIG.format(host=HOST_FROM_INSIDE, port=broker_port))
    install = [*inside, "/opt/eqedge/bin/eqedge", "install-service"]
    run([*install, "--config", "/config.toml"])
    address = f"mqtt://{HOST_FROM_INSIDE}:{broker_port}"
    north = ["--name", "north", "--serial", "/dev/ttyS3", "--station", "NORTH", "--mqtt", address]
    run([*install, *north])
    shutil.copy2(GUEST, root)
    (root / "etc/systemd/system/proof.service").write_text(PROOF_UNIT)
    # the network: one interface, configured by DHCP
    network = root / "etc/systemd/network/any.network"
    network.write_text("[Match]\nName=e*\n[Network]\nDHCP=yes\n")
    run([*inside, "systemctl", "enable", "eqedge", "eqedge@north", "proof", "systemd-networkd"])
    kernel, initrd = (next((root / "boot").glob(f"{name}-*")) for name in ("vmlinuz", "initrd.img"))
    kernel, initrd = kernel.rename(folder / "vmlinuz"), initrd.rename(folder / "initrd")
    disk = folder / "disk.img"
    run(["mke2fs", "-q", "-t", "ext4", "-d", str(root), str(disk), "2G"])
    shutil.rmtree(root)
    return disk, (kernel, initrd)


def long_record(folder: Path) -> Path:
    """Make one record of all of the sample's, for twelve minutes of a sensor."""
    path = folder / "long.hdf5"
    with h5py.File(SAMPLE) as source, h5py.File(path, "w") as target:
        traces = list(source["data"].values())
        one = target.create_dataset("data/LONG_EV", data=np.concatenate([t[()] for t in traces]))
        one.attrs.update(traces[0].attrs)
    return path


@dataclass(frozen=True)
class Machine:
    """A disk to boot from, and a record that a sensor plays into it.

    Attributes:
        folder: Receives its console output.
        disk: Image with the node on it.
        kernel: Of the disk's system.
        initrd: The kernel's.
        record: STEAD-layout file whose one trace the sensor plays.
        accel: QEMU's accelerator.
    """

    folder: Path
    disk: Path
    kernel: Path
    initrd: Path
    record: Path
    accel: str

    @contextmanager
    def boot(self, part: str) -> Iterator[Iterator[dict[str, Any]]]:
        """Run it with a sensor at each station's port, to its reports; leaving pulls the plug."""
        reports = self.folder / f"{part}.jsonl"
        reports.touch()
        with ExitStack() as stack:
            ports = [stack.enter_context(simulated(self.record)) for _ in range(2)]
            machine = stack.enter_context(subprocess.Popen(self._command(part, ports, reports)))
            stack.callback(machine.kill)
            yield follow(reports, machine)

    def _command(self, part: str, ports: list[str], reports: Path) -> list[str]:
        command = [
            "qemu-system-x86_64",
            "-accel",
            self.accel,
            "-cpu",
            "max",
            "-m",
            "1024",
            "-smp",
            "2",
        ]
        command += ["-display", "none", "-no-reboot", "-monitor", "none"]
        command += ["-kernel", str(self.kernel), "-initrd", str(self.initrd), "-append"]
        command += [f"root=/dev/vda rw console=ttyS0 eqedge.part={part}"]
        command += ["-drive", f"file={self.disk},format=raw,if=virtio"]
        command += ["-nic", "user,model=virtio", "-serial", f"file:{self.folder / part}.console"]
        command += ["-serial", f"tcp:127.0.0.1:{ports[0]}", "-serial", f"file:{reports}"]
        return [*command, "-serial", f"tcp:127.0.0.1:{ports[1]}"]


@contextmanager
def simulated(record: Path) -> Iterator[str]:
    """Play a record to whoever connects to a TCP port; its number."""
    command = [sys.executable, "-m", "eqedge", "sensor", "simulate", str(record), "--tcp", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as sensor:
        try:
            assert sensor.stdout is not None
            yield sensor.stdout.readline().strip().rpartition(":")[2]
        finally:
            sensor.kill()


def follow(path: Path, machine: subprocess.Popen[bytes]) -> Iterator[dict[str, Any]]:
    """Yield reports as they come, until the machine is off."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    read = 0
    while True:
        is_off = machine.poll() is not None
        lines = path.read_text().splitlines(keepends=True)
        for line in lines[read:]:
            if not line.endswith("\n"):
                break
            read += 1
            yield json.loads(line)
        if is_off:
            return
        if time.monotonic() > deadline:
            console = path.with_name(f"{path.stem}.console").read_text(errors="replace")
            raise Failed(f"no end within {PATIENCE_SECONDS} s; the console:\n{console[-2000:]}")
        time.sleep(0.05)


def described(ready: dict[str, Any]) -> str:
    """One line about a boot."""
    if ready["what"] != "ready":
        raise Failed(f"the service did not start: {json.dumps(ready, indent=1)}")
    status = ready["state"]["StatusText"]
    return f"service ready {ready['uptime']:.0f} s after the kernel, status {status!r}"


def require(condition: bool, what: str) -> None:
    """Fail by name."""
    if not condition:
        raise Failed(f"not so: {what}")


def run(command: list[str]) -> str:
    """Run a command; return its output, or raise with its end."""
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if done.returncode:
        tail = "\n    ".join(done.stdout.splitlines()[-8:])
        raise Failed(f"{' '.join(command[:5])} ended with {done.returncode}:\n    {tail}")
    return done.stdout


def note(text: str) -> None:
    """One line of progress."""
    print(f"== {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
