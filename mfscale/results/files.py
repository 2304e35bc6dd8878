"""The few things the store asks of a file system, each safe against a crash at any instant.

A file appears whole or not at all: bytes go to a temporary file in the same folder, reach the
disk, and only then get their name. Names that begin with a dot are such temporaries; no reader
sees them.
"""

import errno
import fcntl
import os
import stat
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pyarrow as pa

from mfscale.results.buffers import owned


def put_new(path: Path, data: bytes) -> bool:
    """Write a file unless it exists; say whether it was written. The first of several wins."""
    temporary = _write_temporary(path, data)
    try:
        os.link(temporary, path)  # unlike a rename, fails where the name is taken
    except FileExistsError:
        return False
    finally:
        temporary.unlink()
    _sync_folder(path.parent)
    return True


def put(path: Path, data: bytes) -> None:
    """Write a file, in the place of an older one if there is one."""
    temporary = _write_temporary(path, data)
    try:
        temporary.replace(path)
    except OSError:
        temporary.unlink()
        raise
    _sync_folder(path.parent)


def get(path: Path) -> pa.Buffer:
    """Read a file, FileNotFoundError if there is none.

    It is not mapped into memory: there a disk that fails would end the process with a signal.
    OSError for a pipe, which would keep the reader waiting, or a device, which might never end.
    """
    require_regular(path)
    return owned(path.read_bytes())


def require_regular(path: Path) -> None:
    """Raise OSError if there is anything but a file or a folder, links followed."""
    mode = path.stat().st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise OSError(errno.EINVAL, "it is a pipe, socket or device", str(path))


def names(folder: Path, suffix: str, *, beginning: str = "") -> list[str]:
    """List the names in a folder that begin and end so, sorted; none if it does not exist."""
    try:
        found = os.listdir(folder)  # noqa: PTH208 - ten times as fast as paths, of 10,000 stages
    except FileNotFoundError:
        return []
    return sorted(
        name
        for name in found
        if name.startswith(beginning) and name.endswith(suffix) and not name.startswith(".")
    )


def set_aside(path: Path, folder: Path) -> Path:
    """Move a file into a folder, beside any of that name; fine if another process just did."""
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / path.name
    if target.exists():
        target = folder / f"{path.stem}.{uuid.uuid4().hex[:8]}{path.suffix}"
    with suppress(FileNotFoundError):
        path.rename(target)
    return target


@contextmanager
def locked(path: Path, *, shared: bool = False, wait: bool = True) -> Iterator[None]:
    """Hold a lock; the system frees it if the holder dies.

    Any number may share it, or one hold it alone. BlockingIOError if others hold it and `wait` is
    false.
    """
    with path.open("a") as file:
        kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
        fcntl.flock(file, kind if wait else kind | fcntl.LOCK_NB)
        yield


def is_locked(path: Path) -> bool:
    """Tell whether somebody holds a lock, writing nothing."""
    try:
        with path.open() as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def _write_temporary(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.parent / f".{path.name}.{uuid.uuid4().hex}.tmp"
    try:
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    return temporary


def _sync_folder(folder: Path) -> None:
    """Make a new name outlive a power cut: names are the folder's data, not the file's."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
