"""A store in a folder: atomic files, and locks that the system frees when their holder dies."""

import errno
import fcntl
import hashlib
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import pyarrow as pa

from mfscale.results import files
from mfscale.results.errors import StoreError
from mfscale.results.place import Held, Local, T

FOLDERS = ("inbox", "curves", "errors", "logs")
"""Those that workers write to, beside those of checkpoints."""
_RUN, _COMPACT, _STAGES = "run.lock", "compact.lock", "stages.lock"
_POLL_S = 0.1


class DanglingLinkError(OSError):
    """A link to what is not there, such as a disk that is not mounted: not the same as no file."""


class Folder:
    """A place on a file system, shared or not, that has locks.

    Parameters
    ----------
    path
        The folder; it need not exist.
    """

    look_every_s = 0.5

    def __init__(self, path: Path) -> None:
        self.path = path

    def __str__(self) -> str:
        return str(self.path)

    @property
    def address(self) -> str:
        return str(self.path.resolve())

    def of(self, name: str) -> str:
        return str(self.path / name)

    def require_vacant(self) -> None:
        if self.path.exists() and not self.path.is_dir():
            raise StoreError(f"{self.path} is a file; a results store needs a folder of its own")
        if files.names(self.path, ""):
            raise StoreError(
                f"{self.path} holds other files and no results store; name a new or empty folder"
            )

    def get(self, name: str) -> pa.Buffer:
        path = self.path / name
        try:
            return files.get(path)
        except FileNotFoundError as error:
            if path.is_symlink():
                raise DanglingLinkError(errno.ENOENT, error.strerror) from error
            raise

    def put(self, name: str, data: bytes) -> None:
        files.put(self.path / name, data)

    def put_new(self, name: str, data: bytes) -> bool:
        return files.put_new(self.path / name, data)

    def version(self, name: str) -> None:  # noqa: ARG002 - who replaces files holds a lock
        return None

    def put_over(self, name: str, data: bytes, version: object) -> bool:  # noqa: ARG002 - likewise
        self.put(name, data)
        return True

    def names(self, folder: str, suffix: str, *, beginning: str = "", after: str = "") -> list[str]:
        found = files.names(self.path / folder, suffix, beginning=beginning)
        return [name for name in found if name > after] if after else found

    def tree(self, folder: str) -> Mapping[str, int]:
        return dict(sorted(_below(self.path / folder, folder)))

    def exists(self, name: str) -> bool:
        try:
            (self.path / name).stat()  # unlike `exists`, not silent about a link to itself
        except (FileNotFoundError, NotADirectoryError):
            return False
        return True

    def delete(self, names: Iterable[str]) -> None:
        for name in names:
            path = self.path / name
            path.unlink(missing_ok=True)
            if name.startswith("checkpoints/"):
                with suppress(OSError):  # of a folder that holds more, or is gone
                    path.parent.rmdir()

    def set_aside(self, name: str) -> str:
        folder = self.path / "set-aside" / Path(name).parent
        return str(files.set_aside(self.path / name, folder))

    def each(self, function: Callable[[str], T], names: Iterable[str]) -> Iterator[T]:
        return map(function, names)

    @contextmanager
    def local(self, *_names: str) -> Iterator[Local]:
        yield _InPlace(self.path)

    def temporaries(self) -> Mapping[str, int]:
        folders = [self.path, *(self.path / folder for folder in FOLDERS)]
        checkpoints = self.path / "checkpoints"
        if checkpoints.is_dir():
            every = (path for path in checkpoints.iterdir() if not path.is_symlink())
            folders += sorted(path for path in every if path.is_dir())
        return {
            str(path.relative_to(self.path)): path.lstat().st_size
            for folder in folders
            if folder.is_dir()
            for path in sorted(folder.iterdir())
            if path.name.startswith(".") and path.is_file()
        }

    @contextmanager
    def in_use(self) -> Iterator[Held]:
        with files.locked(self.path / _RUN, shared=True):
            yield _Locked()

    @contextmanager
    def alone(self) -> Iterator[None]:
        with files.locked(self.path / _RUN, wait=False):
            yield

    def is_used(self) -> bool:
        return files.is_locked(self.path / _RUN)

    @contextmanager
    def compacting(self) -> Iterator[Held]:
        with files.locked(self.path / _COMPACT):
            yield _Locked()

    @contextmanager
    def turn(self, stage_id: str, give_up: Callable[[], bool]) -> Iterator[Held | None]:
        # One byte of one file a stage: there is nothing to clean up. The chance that two of a
        # million stages share a byte is 1e-7, and they would merely wait for each other.
        place = int.from_bytes(hashlib.sha256(stage_id.encode()).digest()[:8], "big") >> 2
        with (self.path / _STAGES).open("a") as file:
            held = _try(file.fileno(), place)
            while not held and not give_up():
                time.sleep(_POLL_S)
                held = _try(file.fileno(), place)
            yield _Locked() if held else None


class _Locked:
    """A lock of the system, which nobody takes over from a process that lives."""

    def lost(self) -> bool:
        return False

    def confirmed(self) -> bool:
        return True


class _InPlace:
    """The files themselves."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def path(self, name: str) -> Path:
        return self._root / name

    def saved(self, path: Path) -> None:
        """Nothing: it was written into the store."""


def _below(folder: Path, name: str) -> Iterator[tuple[str, int]]:
    if not folder.is_dir():
        return
    for entry in os.scandir(folder):
        below = f"{name}/{entry.name}"
        if entry.is_dir(follow_symlinks=False):
            yield from _below(Path(entry.path), below)
        elif entry.is_file():
            yield below, entry.stat(follow_symlinks=False).st_size


def _try(descriptor: int, place: int) -> bool:
    with suppress(BlockingIOError, PermissionError):  # POSIX lets a system choose between the two
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, place)
        return True
    return False
