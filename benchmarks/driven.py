"""Drivers whose processes ``chaos.py`` kills, and the small disk that it fills."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

SPACE_MB = 256


def processes_below(root: int) -> dict[int, str]:
    """Processes that descend from one, with their command lines."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with suppress(OSError):
                state = (entry / "stat").read_text().rpartition(")")[2].split()
                parents[int(entry.name)] = int(state[1])
    below, found = {root}, {}
    for _ in range(8):  # generations
        below |= {child for child, parent in parents.items() if parent in below}
    for process in below - {root}:
        with suppress(OSError):
            command = Path(f"/proc/{process}/cmdline").read_bytes()
            found[process] = command.replace(b"\0", b" ").decode(errors="replace")
    return found


class Driver:
    """``mfscale run`` in a process of its own, perhaps with a second Ray node beside it."""

    def __init__(self, study: Path, store: Path, log: Path, cpus: int) -> None:
        command = [sys.executable, "-m", "mfscale", "run", str(study), "--store", str(store)]
        self.log = log
        with log.open("w") as file:
            self.process = subprocess.Popen(  # noqa: S603 - our own command
                [*command, "--cpus", str(cpus)],
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.node: subprocess.Popen[bytes] | None = None
        self.sent: list[int] = []
        self.joined = False

    @property
    def runs(self) -> bool:
        """Whether it has not ended."""
        return self.process.poll() is None

    def workers(self) -> list[int]:
        """Processes in which stages are trained now, on either node."""
        roots = [self.process.pid, *([self.node.pid] if self.node else [])]
        return [p for r in roots for p, c in processes_below(r).items() if "Trainable" in c]

    def join_node(self) -> None:
        """Give its Ray a second node, as another machine would join."""
        for command in processes_below(self.process.pid).values():
            if "/raylet " in command and "--gcs-address=" in command:
                address = command.split("--gcs-address=")[1].split()[0]
                ray = [sys.executable, "-m", "ray.scripts.scripts", "start", "--block"]
                self.node = subprocess.Popen(  # noqa: S603 - our own command
                    [*ray, f"--address={address}", "--num-cpus=2"],
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    start_new_session=True,
                    env={**os.environ, "RAY_AUTH_MODE": "token"},
                )
                self.joined = True
                return

    def kill_node(self) -> int | None:
        """SIGKILL all of the second node at once; how many stages it trained, None if not there."""
        if self.node is None:
            return None
        below = processes_below(self.node.pid)
        there = any("raylet" in command for command in below.values())
        trained = sum("Trainable" in command for command in below.values())
        for process in [self.node.pid, *below]:
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        self.node.wait()
        self.node = None
        return trained if there else None

    def end(self) -> None:
        """Leave no process behind."""
        self.kill_node()
        below = processes_below(self.process.pid) if self.runs else {}
        if self.runs:
            self.process.kill()
        self.process.wait()
        for process in below:
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)


@contextmanager
def small_disk(folder: Path) -> Iterator[bool]:
    """A small file system of its own at `folder`, if this user may mount one."""
    folder.mkdir()
    mount = shutil.which("mount")
    options = ["-t", "tmpfs", "-o", f"size={SPACE_MB}m", "tmpfs", str(folder)]
    there = mount is not None and (
        subprocess.run([mount, *options], capture_output=True, check=False).returncode == 0  # noqa: S603
    )
    try:
        yield there
    finally:
        if there:
            subprocess.run([str(shutil.which("umount")), "-l", str(folder)], check=False)  # noqa: S603
