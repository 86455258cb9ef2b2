"""The node on arm64, without an arm64 machine: `make arm64-smoke`.

A Debian arm64 root is built once in a folder, the node is put into it from its wheel with arm64
wheels alone, and `eqedge run --sim` picks the embedded sample there under qemu-user. Its picks are
compared with this machine's. Nothing is registered or mounted outside: qemu is called by name, and
the two binds of the run live in a mount namespace that ends with it.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

SUITE, MIRROR = "bookworm", "http://deb.debian.org/debian"
TOOLS = ("debootstrap", "qemu-user-static", "proot", "libtalloc2")
INCLUDED = "python3"
PYTHON = "3.11"
"""Of the suite."""
PLATFORMS = (
    "manylinux_2_36",
    "manylinux_2_28",
    "manylinux_2_27",
    "manylinux2014",
    "manylinux_2_17",
)
CPU = "cortex-a72"
"""A Raspberry Pi 4's: qemu's own default has instructions that no Pi has."""
SAMPLE = Path("edge/replay/samples/demo.hdf5")
MOST_SAMPLES, MOST_PROBABILITY = 3, 0.05
"""XNNPACK has other int8 kernels for ARM than for x86; their sums round differently by a step of
1/256 here and there, and a peak that is flat on top moves by a sample."""
HOME = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LC_ALL": "C.UTF-8"}


class Failed(Exception):
    """What stops the smoke test, in one line."""


@dataclass(frozen=True)
class Ran:
    """One run of a command.

    Attributes:
        seconds: It took.
        rss_mb: Most memory it held, emulator included.
        output: Its standard output.
    """

    seconds: float
    rss_mb: float
    output: str


@dataclass(frozen=True)
class Pick:
    """One pick of an event's last message."""

    sample: int
    probability: float


def main() -> int:
    """Build, run, compare; print the measurements."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cache", type=Path, default=Path("build/arm64"))
    parser.add_argument("--model", help="shipped; by default the one a node runs")
    chosen = parser.parse_args()
    cache = chosen.cache.resolve()
    try:
        if os.geteuid() != 0:
            raise Failed("debootstrap makes device files and chroot wants root: use sudo")
        tools = fetch_tools(cache)
        root = build_root(cache, tools)
        install_node(cache, root)
        return compare(root, ["--model", chosen.model] if chosen.model else [])
    except (Failed, OSError, subprocess.CalledProcessError) as error:
        print(f"arm64-smoke: {error}", file=sys.stderr)
        return 1


def fetch_tools(cache: Path) -> Path:
    """Unpack Debian's tools into the cache: installed, they would change this machine."""
    tools = cache / "tools"
    if not tools.is_dir():
        report(f"fetching {', '.join(TOOLS)}")
        with tempfile.TemporaryDirectory() as folder:
            try:
                run(["apt-get", "download", "-q", *TOOLS], cwd=folder)
            except Failed as error:
                raise Failed(f"{error}\n    on Debian, apt-get update may help") from error
            partial = cache / "tools.part"
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir(parents=True)
            for package in Path(folder).glob("*.deb"):
                run(["dpkg-deb", "-x", str(package), str(partial)])
        for other in (partial / "usr/bin").glob("qemu-*-static"):
            if other != emulator(partial):
                other.unlink()
        partial.rename(tools)
    return tools


def build_root(cache: Path, tools: Path) -> Path:
    """Build the Debian root, in two halves: the second runs its arm64 programs."""
    root = cache / "root"
    if root.is_dir():
        return root
    report(f"building Debian {SUITE} for arm64 in {root}: some minutes, once")
    partial = cache / "root.part"
    shutil.rmtree(partial, ignore_errors=True)
    environment = HOME | {"DEBOOTSTRAP_DIR": str(tools / "usr/share/debootstrap")}
    # in a mount namespace of its own: debootstrap mounts what it can and leaves it
    alone = ["unshare", "--mount"]
    first = [*alone, "sh", str(tools / "usr/sbin/debootstrap"), "--foreign", "--arch=arm64"]
    first += ["--variant=minbase", f"--include={INCLUDED}", SUITE, str(partial), MIRROR]
    started = time.monotonic()
    run(first, env=environment)
    proc = partial / "proc"
    if proc.is_symlink():  # debootstrap in a container: a bind would follow it in a circle
        proc.unlink()
        proc.mkdir()
    # proot runs every program of the root through qemu, so the kernel needs no configuration
    with tempfile.TemporaryDirectory() as scratch:
        environment = HOME | {
            "DEBOOTSTRAP_DIR": "/debootstrap",
            "LD_LIBRARY_PATH": str(tools / "usr/lib/x86_64-linux-gnu"),
            "PROOT_TMP_DIR": scratch,
        }
        second = [*alone, str(tools / "usr/bin/proot"), "-0", "-q", str(emulator(tools)), "-r"]
        second += [str(partial), "-b", "/dev", "-b", "/proc", "-w", "/"]
        run([*second, "/bin/sh", "/debootstrap/debootstrap", "--second-stage"], env=environment)
    shutil.copy2(emulator(tools), partial / "usr/bin")
    partial.rename(root)
    report(f"built in {time.monotonic() - started:.0f} s, {megabytes(root):.0f} MB")
    return root


def install_node(cache: Path, root: Path) -> None:
    """Make the wheel of this checkout and install it with its dependencies, arm64 wheels alone."""
    node = root / "node"
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "tree"
        listed = subprocess.run(
            ["git", "ls-files", "-co", "--exclude-standard"],
            check=True, capture_output=True, text=True,
        ).stdout.splitlines()  # fmt: skip
        for name in filter(os.path.isfile, listed):
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(name, tree / name)
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q", "-q"]
        run([*pip, "wheel", "--no-deps", "-w", folder, str(tree)])
        (wheel,) = Path(folder).glob("*.whl")
        install = [*pip, "install", "--only-binary", ":all:", "--python-version", PYTHON]
        install += [f"--platform={name}_aarch64" for name in PLATFORMS]
        wanted = Path("pyproject.toml").read_text()
        note = cache / "dependencies"
        if not node.is_dir() or not note.exists() or note.read_text() != wanted:
            report("installing the node and its dependencies from arm64 wheels")
            shutil.rmtree(node, ignore_errors=True)
            run([*install, "--target", str(node), str(wheel)])
            note.write_text(wanted)
        else:
            shutil.rmtree(node / "eqedge")
            run([*install, "--no-deps", "--upgrade", "--target", str(node), str(wheel)])


def compare(root: Path, model: list[str]) -> int:
    """Run both, print what they cost and how they differ."""
    exchange = root / "io"
    exchange.mkdir(exist_ok=True)
    shutil.copy2(SAMPLE, exchange / "demo.hdf5")
    report(f"node: {megabytes(root / 'node'):.0f} MB installed, of these")
    for package in sorted(root.glob("node/*/"), key=megabytes, reverse=True)[:6]:
        print(f"    {megabytes(package):6.1f} MB  {package.name}")
    there = ["/usr/bin/python3", "-m", "eqedge"]
    print(emulated(root, [*there, "--version", "-v"]).output.rstrip())
    options = ["run", *model, "--speed", "max", "--sim"]
    idle = emulated(root, ["/usr/bin/python3", "-c", "import platform; print(platform.machine())"])
    if idle.output.strip() != "aarch64":
        raise Failed(f"the root is {idle.output.strip()}, not aarch64; remove it and build again")
    report(f"eqedge run --sim {SAMPLE} on arm64, {CPU} under qemu: a minute or two")
    arm = emulated(root, [*there, *options, "/io/demo.hdf5", "--output", "/io/arm.jsonl"])
    here = exchange / "here.jsonl"
    x86 = measured(
        [sys.executable, "-m", "eqedge", *options, str(SAMPLE), "--output", str(here)], None
    )
    report(
        f"peak RSS: arm64 {arm.rss_mb:.0f} MB with the emulator (a Python that does nothing: "
        f"{idle.rss_mb:.0f} MB), {platform.machine()} {x86.rss_mb:.0f} MB"
    )
    report(f"time: arm64 {arm.seconds:.0f} s, emulated; {platform.machine()} {x86.seconds:.0f} s")
    return verdict(read_picks(exchange / "arm.jsonl"), read_picks(here))


def verdict(arm: dict[tuple[str, str], Pick], here: dict[tuple[str, str], Pick]) -> int:
    """Hold one run's picks against the other's: 0 if they are the same within the tolerance."""
    both = sorted(arm.keys() & here.keys())
    only = sorted(arm.keys() ^ here.keys())
    shift = max((abs(arm[key].sample - here[key].sample) for key in both), default=0)
    error = max((abs(arm[key].probability - here[key].probability) for key in both), default=0.0)
    report(
        f"picks: {len(both)} of both, {len(only)} of one alone; they differ by {shift} samples and "
        f"{error:.3f} in probability at most (tolerance {MOST_SAMPLES}, {MOST_PROBABILITY})"
    )
    for trace, phase in only:
        print(f"    only {'arm64' if (trace, phase) in arm else 'here'}: {phase} of {trace}")
    same = bool(both) and not only and shift <= MOST_SAMPLES and error <= MOST_PROBABILITY
    report("the same" if same else "NOT the same")
    return 0 if same else 1


def read_picks(path: Path) -> dict[tuple[str, str], Pick]:
    """Read the last message of each event: its picks by trace and phase."""
    picks = {}
    for line in path.read_text().splitlines():
        event = json.loads(line)
        for pick in event["picks"] if event["type"] == "end" else ():
            key = (pick["sim"]["trace_name"], pick["phase"])
            picks[key] = Pick(pick["sim"]["sample"], pick["probability"])
    return picks


def emulated(root: Path, command: list[str]) -> Ran:
    """Run one program of the root, in namespaces that end with it."""
    script = (
        'mount --rbind /dev "$0/dev" && mount --rbind /proc "$0/proc" && '
        'exec chroot "$0" /usr/bin/qemu-aarch64-static "$@"'
    )
    namespaces = ["unshare", "--mount", "sh", "-c", script, str(root)]
    environment = HOME | {"PYTHONPATH": "/node", "QEMU_CPU": CPU}
    return measured([*namespaces, *command], environment)


def measured(command: list[str], environment: dict[str, str] | None) -> Ran:
    """Run a command to its end and measure it."""
    started = time.monotonic()
    with tempfile.TemporaryFile("w+") as output:
        child = subprocess.Popen(command, env=environment, stdout=output)
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode:
            raise Failed(f"{' '.join(command[-8:])} ended with {child.returncode}")
        output.seek(0)
        return Ran(time.monotonic() - started, usage.ru_maxrss / 1024, output.read())


def run(command: list[str], **options: object) -> None:
    """Run a command, quietly unless it fails."""
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, **options
    )
    if done.returncode:
        tail = "\n    ".join(done.stdout.splitlines()[-8:])
        raise Failed(f"{' '.join(command[:4])} ended with {done.returncode}:\n    {tail}")


def emulator(tools: Path) -> Path:
    """Return qemu for one process."""
    return tools / "usr/bin/qemu-aarch64-static"


def megabytes(folder: Path) -> float:
    """Size on disk of what is in a folder."""
    return sum(f.lstat().st_blocks * 512 for f in folder.rglob("*")) / 1e6


def report(text: str) -> None:
    """One line of progress."""
    print(f"== {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
