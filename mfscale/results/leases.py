"""Leases: locks for storage that has none, of which only the holder's own clock is asked.

A lease is an object that its holder creates on the condition that there is none, and writes anew
every few seconds while it holds it. Who waits takes it over, on the condition that it is still the
one that was seen, once it has seen no change for a minute; or at once if the holder was a process
of this machine and is no more. A holder whose object was taken over finds its next write refused.
"""

import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

if TYPE_CHECKING:
    from obstore import PutResult

    from mfscale.results.objects import Objects

LEASE_S = 60.0
"""How long a lease must be seen unchanged before another may take it."""
RENEW_S = 15.0
POLL_S = 2.0


class Lease:
    """A lease that this process holds, renewed by a thread of its own."""

    def __init__(self, objects: "Objects", name: str) -> None:
        self._objects = objects
        self._name = name
        self._said = {"owner": uuid4().hex, "host": socket.gethostname(), **_process(os.getpid())}
        self._count = 0
        self._version: PutResult | None = None
        self._written = 0.0
        self._lost = False
        self._writing = threading.Lock()
        self._over = threading.Event()

    def take(self, over: "PutResult | None") -> bool:
        """Create the object, or put it over one that was seen; say whether that worked."""
        return self._write(over)

    def lost(self) -> bool:
        """Whether another process is known to have taken it over."""
        return self._lost

    def confirmed(self) -> bool:
        """Renew it now; false if it was taken over. OSError if that cannot be told."""
        with self._writing:
            if not self._lost and not self._over.is_set():
                self._lost = not self._write(self._version)
        return not self._lost

    @contextmanager
    def renewed(self) -> Iterator[None]:
        """Hold it while the block runs, and give it up at the end."""
        thread = threading.Thread(target=self._keep, daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._over.set()
            thread.join()
            with suppress(OSError):  # then it runs out
                if self._is_certain() or self._is_mine():
                    self._objects.delete([self._name])

    def _keep(self) -> None:
        while not self._over.wait(RENEW_S) and not self._lost:
            with suppress(OSError):  # it is ours until somebody has taken it
                self.confirmed()

    def _write(self, over: "PutResult | None") -> bool:
        self._count += 1  # or the object would be the same, and so its version
        content = json.dumps({**self._said, "written": self._count}).encode() + b"\n"
        began = time.monotonic()
        if over is None:
            self._version = self._objects.create(self._name, content)
        else:
            self._version = self._objects.replace(self._name, content, over)
        if self._version is None and not self._is_mine():
            return False
        self._written = began
        return True

    def _is_certain(self) -> bool:
        """Whether nobody can have taken it over, so short a time ago was it written."""
        return not self._lost and time.monotonic() - self._written < LEASE_S / 2

    def _is_mine(self) -> bool:
        """Whether the object is ours: a write may have worked whose answer did not arrive."""
        version = self._objects.version(self._name)
        if _said(self._objects, self._name).get("owner") != self._said["owner"]:
            return False
        self._version = version
        return version is not None


@contextmanager
def held(
    objects: "Objects", name: str, *, give_up: "Callable[[Watch], bool]" = lambda _: False
) -> Iterator[Lease | None]:
    """Hold a lease while the block runs.

    Parameters
    ----------
    objects, name
        Where.
    give_up
        Asked, with what has been seen of the holder, while another holds it: whether to wait no
        longer. Then None is yielded.
    """
    lease, watch = Lease(objects, name), Watch(objects)
    taken = lease.take(None)
    while not taken:
        seen = objects.version(name)
        if seen is None or watch.is_dead(name, seen):
            taken = lease.take(seen)
            continue
        if give_up(watch):
            yield None
            return
        time.sleep(POLL_S)
    with lease.renewed():
        yield lease


def wait_until_free(objects: "Objects", name: str) -> None:
    """Wait while a living process holds a lease."""
    watch = Watch(objects)
    while (seen := objects.version(name)) is not None and not watch.is_dead(name, seen):
        time.sleep(POLL_S)


def anybody(objects: "Objects", folder: str, *, clear: bool = False) -> bool:
    """Tell whether a living process holds a lease of a folder.

    It takes a minute if one has died on another machine.

    With `clear` the leases of the dead are removed.
    """
    watch = Watch(objects)
    while seen := objects.versions(folder):
        dead = [name for name, version in seen.items() if watch.is_dead(name, version)]
        if watch.sees_life():
            return True
        if len(dead) == len(seen):
            if clear:
                objects.delete(dead)
            return False
        time.sleep(POLL_S)
    return False


class Watch:
    """What has been seen of leases, by this process's own clock."""

    def __init__(self, objects: "Objects") -> None:
        self._objects = objects
        self._seen: dict[str, tuple[PutResult, float, bool | None]] = {}
        self._renewed = False

    def is_dead(self, name: str, version: "PutResult") -> bool:
        """Whether a lease's holder is gone: of this machine and ended, or silent for a minute."""
        now = time.monotonic()
        known = self._seen.get(name)
        if known is None or known[0] != version:
            self._renewed |= known is not None
            known = version, now, _lives(_said(self._objects, name))
            self._seen[name] = known
        _, since, alive = known
        return alive is False or now - since >= LEASE_S

    def sees_life(self) -> bool:
        """Whether a holder has renewed its lease, or is a process of this machine that lives."""
        return self._renewed or any(alive is True for _, _, alive in self._seen.values())


def _said(objects: "Objects", name: str) -> dict[str, Any]:
    with suppress(FileNotFoundError, ValueError):
        said = json.loads(objects.get(name).to_pybytes())
        return said if isinstance(said, dict) else {}
    return {}


def _lives(said: Mapping[str, Any]) -> bool | None:
    """Whether the holder's process lives; None if that cannot be told from here."""
    mine, pid = _process(os.getpid()), said.get("pid")
    if mine["machine"] is None or said.get("machine") != mine["machine"] or type(pid) is not int:
        return None
    return bool(_process(pid)["began"] == said.get("began"))


def _process(pid: int) -> dict[str, Any]:
    """A process as others may recognise it, on Linux.

    ``machine`` tells one boot of a machine, and one container on it, from all others; ``began``, in
    ticks since boot, a process from a later one with its number. Both are None where unknown.
    """
    machine = began = None
    with suppress(OSError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        machine = f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    with suppress(OSError, IndexError):
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        state, *fields = stat.rpartition(")")[2].split()
        began = fields[18] if state not in "ZX" else None  # of what has ended and is not buried
    return {"pid": pid, "machine": machine, "began": began}
