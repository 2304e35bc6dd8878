"""Drivers and a Ray cluster whose processes ``chaos.py`` kills, and the small disk it fills."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex

SPACE_MB = 256
_START_S = 60


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


class Cluster:
    """A Ray cluster on this machine whose one node with room for stages may be killed."""

    def __init__(self, temporary: Path) -> None:
        self._env = {**os.environ, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": token_hex(32)}
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.address = f"127.0.0.1:{free.getsockname()[1]}"
        port = self.address.rpartition(":")[2]
        options = [f"--port={port}", "--node-ip-address=127.0.0.1", f"--temp-dir={temporary}"]
        self._head = self._start("--head", "--include-dashboard=false", "--num-cpus=0", *options)
        self._node: subprocess.Popen[bytes] | None = None
        until = time.monotonic() + _START_S
        while not self._answers():
            if time.monotonic() > until:
                self.end()
                raise SystemExit(f"no Ray cluster at {self.address} within {_START_S} s")
            time.sleep(0.1)

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs to connect."""
        return {**self._env, "RAY_ADDRESS": self.address}

    def keep_node(self) -> None:
        """Add a node if there is none, as an autoscaler would."""
        if self._node is None:
            self._node = self._start(f"--address={self.address}", "--num-cpus=1")

    def processes(self) -> dict[int, str]:
        """Those of the node, with their command lines."""
        return processes_below(self._node.pid) if self._node else {}

    def kill_node(self) -> None:
        """SIGKILL all of the node at once."""
        if self._node:
            _kill_all(self._node)
            self._node = None

    def end(self) -> None:
        """Leave no process behind."""
        self.kill_node()
        _kill_all(self._head)

    def _answers(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", int(self.address.rpartition(":")[2]))) == 0

    def _start(self, *options: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(  # noqa: S603 - our own command
            [sys.executable, "-m", "ray.scripts.scripts", "start", "--block", *options],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            env=self._env,
        )


class Driver:
    """``mfscale run`` in a process of its own, on a Ray of its own or on a cluster."""

    def __init__(
        self, study: Path, store: Path, log: Path, cpus: int, cluster: Cluster | None = None
    ) -> None:
        # Compiled, interrupted runs go on to rounding only, and tables could not be compared.
        command = [sys.executable, "-m", "mfscale", "run", str(study), "--store", str(store)]
        command += ["--compile", "never"]
        self.log = log
        self.cluster = cluster
        with log.open("w") as file:
            self.process = subprocess.Popen(  # noqa: S603 - our own command
                [*command, "--cpus", str(cpus)],
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env=cluster.environment if cluster else None,
            )
        self.sent: list[int] = []

    @property
    def runs(self) -> bool:
        """Whether it has not ended."""
        return self.process.poll() is None

    def workers(self) -> list[int]:
        """Processes in which stages are trained now."""
        found = self.cluster.processes() if self.cluster else processes_below(self.process.pid)
        return [process for process, command in found.items() if "Trainable" in command]

    def end(self) -> None:
        """Leave no process behind."""
        _kill_all(self.process)


def _kill_all(root: subprocess.Popen[bytes]) -> None:
    below = processes_below(root.pid) if root.poll() is None else {}
    for process in [root.pid, *below] if root.poll() is None else below:
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
    root.wait()


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
