"""The folder of an import that is under way, or was interrupted: ``.NAME.import`` at its place.

It holds the structures read so far (``spool``), a journal of how far that is, and in the end the
dataset until it is renamed. The journal is written after what it speaks of, and by a rename; what
was spooled after it is cut off when the import goes on.
"""

import fcntl
import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from pydantic import TypeAdapter, ValidationError

from mfscale.data.durable import sync, write_whole
from mfscale.data.errors import DatasetError
from mfscale.data.imports.came import Came
from mfscale.data.imports.job import change, job_of
from mfscale.data.imports.method_keys import MethodKeys
from mfscale.data.imports.spool import Spool, Spooled, is_whole

_JOURNAL, _LOCK = "journal.json", "lock"
_TRIALS = 100


@dataclass(frozen=True, kw_only=True)
class _Journal:
    """How far an import got."""

    job: dict[str, Any]
    came: Came
    spooled: Spooled


_READ = TypeAdapter(_Journal)


class Unfinished:
    """An import under way. A context: while it is open, no other process opens it.

    On leaving it, the folder is deleted if all went well or nothing was saved. It stays after
    anything else, Ctrl-C or a refusal, whose message then says so.

    Parameters
    ----------
    destination
        Where the dataset will be.
    sources, methods, split_key
        What is read, and how.
    restart
        Begin anew, whatever is there.

    Attributes
    ----------
    spool, dataset
        Folders: one that is there, and one to come.
    came, spooled
        What to go on from; nothing and None of a new import.
    news
        That an interrupted import goes on, or why it does not: a sentence, or empty.

    Raises
    ------
    DatasetError
        When another process is importing to this destination.
    OSError
        When there can be no such folder.
    """

    def __init__(
        self,
        destination: Path,
        sources: Sequence[Path],
        methods: Sequence[MethodKeys],
        split_key: str | None,
        *,
        restart: bool = False,
    ) -> None:
        self._folder = _folder_of(destination)
        self.spool, self.dataset = self._folder / "spool", self._folder / "dataset"
        self.came = Came()
        self.spooled: Spooled | None = None
        self.news = ""
        self._job = job_of(sources, methods, split_key)
        self._lock = _held(self._folder, destination)
        try:
            shutil.rmtree(self.dataset, ignore_errors=True)
            self._look(destination, methods, restart=restart)
            if self.spooled is None:
                (self._folder / _JOURNAL).unlink(missing_ok=True)
                shutil.rmtree(self.spool, ignore_errors=True)
                self.spool.mkdir()
        except OSError:
            self._lock.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        kept = kind is not None and self.is_kept
        if not kept:
            shutil.rmtree(self._folder, ignore_errors=True)
        self._lock.close()
        if kept and isinstance(error, DatasetError):
            read = _read(self._folder)
            raise DatasetError(
                f"{error} ({read.came.read if read else 0} structures that were read are kept: the "
                f"same command with other options need not read them again)"
            ) from None

    @property
    def is_kept(self) -> bool:
        """Whether there is something to go on from."""
        return (self._folder / _JOURNAL).is_file()

    def save(self, came: Came, spool: Spool) -> None:
        """Write down how far the import is: from here it goes on."""
        journal = _Journal(job=self._job, came=came, spooled=spool.sync())
        content = asdict(journal)
        content["came"]["keys"] = sorted(came.keys)
        write_whole(self._folder / _JOURNAL, json.dumps(content, indent=1).encode())
        sync(self._folder)

    def _look(self, destination: Path, methods: Sequence[MethodKeys], *, restart: bool) -> None:
        """Take up what is there, unless that is of another import or damaged."""
        if restart or not self.is_kept:
            return
        journal = _read(self._folder)
        if why := self._why_not(journal, methods):
            self.news = f"{destination}: an interrupted import is begun anew, for {why}"
        elif journal:
            self.came, self.spooled = journal.came, journal.spooled
            self.news = (
                f"{destination}: an interrupted import goes on after {self.came.read} structures"
            )

    def _why_not(self, journal: _Journal | None, methods: Sequence[MethodKeys]) -> str | None:
        if journal and (other := change(journal.job, self._job)):
            return other
        if journal is None or not is_whole(self.spool, methods, journal.spooled):
            return "what it left is damaged"
        return None


def structures_kept(destination: Path) -> int:
    """Structures that an interrupted import has read and need not read again."""
    journal = _read(_folder_of(destination))
    return journal.came.read if journal else 0


def _folder_of(destination: Path) -> Path:
    return destination.with_name(f".{destination.name}.import")


def _read(folder: Path) -> _Journal | None:
    try:
        return _READ.validate_python(json.loads((folder / _JOURNAL).read_text(encoding="utf-8")))
    except (OSError, ValueError, RecursionError, ValidationError):
        return None


def _held(folder: Path, destination: Path) -> IO[bytes]:
    """The lock of a folder that comes to be if it is not there."""
    for _ in range(_TRIALS):
        folder.mkdir(parents=True, exist_ok=True)
        try:
            lock = (folder / _LOCK).open("wb")
        except FileNotFoundError:  # whoever held it has just deleted the folder
            continue
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(lock.fileno()), (folder / _LOCK).stat()):
                return lock
        except FileNotFoundError:  # likewise
            pass
        except BlockingIOError:
            lock.close()
            break
        lock.close()
    raise DatasetError(
        f"{destination}: another import to this place is under way; wait for its end, or choose "
        f"another place with --out"
    )
