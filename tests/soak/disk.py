"""A small disk for the node that can be filled and made read-only: a tmpfs, where one may mount.

`enter` puts the program into a mount namespace of its own, so that nobody else sees the mounts and
none outlives it. Where the kernel forbids that, a limit on file sizes stands for the full disk and
the folder's mode for the read-only one, which root does not feel.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

INSIDE = "EQEDGE_SOAK_INSIDE"
"""Set in the environment once the namespace is entered."""
PIECE = 4096


def enter() -> None:
    """Start the program again in a mount namespace of its own, if the kernel lets it."""
    if INSIDE in os.environ:
        return
    rights = [] if os.getuid() == 0 else ["--map-root-user"]
    command = ["unshare", *rights, "--mount", "--propagation", "private"]
    with suppress(FileNotFoundError):
        if subprocess.run([*command, "true"], capture_output=True).returncode == 0:
            os.environ[INSIDE] = "1"
            module = [sys.executable, "-m", "tests.soak", *sys.argv[1:]]
            os.execvp(command[0], [*command, *module])


class Disk:
    """A folder on a file system of its own, or the next best.

    Args:
        folder: Made, and mounted over.
        megabytes: Its size.
    """

    def __init__(self, folder: Path, megabytes: int) -> None:
        folder.mkdir()
        self.folder = folder
        self.is_real = INSIDE in os.environ
        self._filler = folder / "filler"
        if self.is_real:
            _mount("-t", "tmpfs", "-o", f"size={megabytes}m", "none", str(folder))

    @property
    def description(self) -> str:
        """What it is, for the account."""
        return "tmpfs" if self.is_real else "limits that stand for a disk"

    def fill(self, process: int) -> None:
        """Leave no byte free; `process` is the node's, for want of a disk."""
        if not self.is_real:
            limit_files(process, 0)
            return
        with self._filler.open("wb", buffering=0) as file, suppress(OSError):
            while True:
                file.write(b"x" * PIECE)

    def free(self, process: int) -> None:
        """Give the space back."""
        if not self.is_real:
            limit_files(process, resource.RLIM_INFINITY)
        self._filler.unlink(missing_ok=True)

    def lock(self) -> None:
        """Make it read-only for whoever opens a file from now on, as a bad card does at a boot."""
        if not self.is_real:
            self.folder.chmod(0o555)
            return
        _mount("--bind", str(self.folder), str(self.folder))
        _mount("-o", "remount,bind,ro", str(self.folder))

    def unlock(self) -> None:
        """Make it writable again."""
        if not self.is_real:
            self.folder.chmod(0o755)
            return
        subprocess.run(["umount", "--lazy", str(self.folder)], check=True)

    def close(self) -> None:
        """Let go of the file system and all that is on it."""
        if self.is_real:
            subprocess.run(["umount", "--lazy", str(self.folder)], check=True)


def _mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True)


def limit_files(process: int, size: int) -> None:
    """Let no file of a process grow beyond a size: as a full disk, and for any user."""
    with suppress(ProcessLookupError):
        resource.prlimit(process, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
