"""Optuna's journal of a tuning: a file of JSON lines in a folder, an object an entry elsewhere.

Objects are numbered and created only if there is none of their number, so that of two processes
that append at once one takes the next number.
"""

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from optuna.storages import JournalStorage
from optuna.storages.journal import (
    BaseJournalBackend,
    JournalFileBackend,
    JournalFileSymlinkLock,
)

from mfscale.results import Place, Store
from mfscale.results.errors import unreadable, unwritable
from mfscale.results.folder import Folder


def journal_of(key: str) -> str:
    """What a store calls the journal of a tuning."""
    return f"tuning/{key}.journal"


def storage(store: Store, key: str) -> JournalStorage:
    """The journal of a tuning, made if there is none."""
    name = journal_of(key)
    if not isinstance(store.place, Folder):
        return JournalStorage(ObjectJournal(store.place, name))
    path = store.path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    _mend(path)
    return JournalStorage(JournalFileBackend(str(path)))


class ObjectJournal(BaseJournalBackend):
    """A journal in object storage: ``tuning/KEY.journal/00000000.json`` and so on.

    Parameters
    ----------
    place
        Of the store.
    name
        Of the journal.
    """

    def __init__(self, place: Place, name: str) -> None:
        self._place = place
        self._name = name
        self._objects = 0
        self._entries: list[dict[str, Any]] = []

    def read_logs(self, log_number_from: int) -> Iterable[dict[str, Any]]:
        """All entries from a number on."""
        self._read()
        return self._entries[log_number_from:]

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Add entries, in one object, behind all that are there."""
        content = "".join(json.dumps(entry) + "\n" for entry in logs).encode()
        try:
            while not self._place.put_new(name := self._of(self._objects), content):
                if self._place.get(name).to_pybytes() == content:  # put, and the answer was lost
                    return
                self._read()
        except OSError as error:
            raise unwritable(self._place.of(self._name), error) from error

    def _read(self) -> None:
        """Read the objects that are new."""
        last = self._of(self._objects - 1).rpartition("/")[2] if self._objects else ""
        try:
            names = self._place.names(self._name, ".json", after=last)
            new = [f"{self._name}/{name}" for name in names]
            for content in self._place.each(self._place.get, new):
                lines = content.to_pybytes().splitlines()
                self._entries += [json.loads(line) for line in lines]
                self._objects += 1
        except OSError as error:
            raise unreadable(self._place.of(self._name), error) from error

    def _of(self, number: int) -> str:
        return f"{self._name}/{number:08d}.json"


def _mend(journal: Path) -> None:
    """Cut off a last line that a kill left half written: Optuna would append to it."""
    lock = JournalFileSymlinkLock(str(journal))
    lock.acquire()
    try:
        if journal.exists():
            content = journal.read_bytes()
            whole = content.rfind(b"\n") + 1
            if whole < len(content):
                os.truncate(journal, whole)
    finally:
        lock.release()
