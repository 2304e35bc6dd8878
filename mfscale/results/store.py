"""The store: one row per stage, in a folder or in object storage; the ledger of what is finished.

::

    store.json                        format of the store; whether it is an archive
    inbox/<stage>-<attempt>.parquet   one row, written once, by a worker
    results.parquet                   the inbox compacted, by the driver; any tool can read it
    curves/, errors/                  learning curve and test errors of each stage
    errors.parquet                    in an archive: the test errors of all stages
    checkpoints/, logs/, tuning/      the worker's own; the store only names the places
    choices/<tuning>.json             the settings that a tuning has chosen
    set-aside/                        damaged files, kept for a person to look at
    compact.lock                      held by who compacts
    run.lock, stages.lock             held by those that run stages: together; one a stage
    leases/                           in object storage, instead of locks

Readers take the union of ``results.parquet`` and the inbox. Nothing is overwritten but by an
atomic replace, so a crash at any instant leaves either the old state or the new one.
"""

import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from mfscale.results import parquet
from mfscale.results.errors import StorageError, StoreError, unreadable, unwritable
from mfscale.results.folder import Folder
from mfscale.results.marker import MARKER, is_archive, marker
from mfscale.results.place import Held, Local, T, open_place
from mfscale.results.reading import INBOX, RESULTS, found, read_rows
from mfscale.results.rows import row_table
from mfscale.results.schema import ARCHIVE_ERRORS_SCHEMA, CURVE_SCHEMA, ERRORS_SCHEMA, SCHEMA
from mfscale.results.sound import STAGE_ID
from mfscale.results.union import best_rows

if TYPE_CHECKING:
    import pandas as pd

ARCHIVED_ERRORS = "errors.parquet"
_KEYS = ("stage_id", "attempt", "status")
_MAX_CANDIDATES = 8
_NOT_THE_ROW = "the row of the stage is not affected"


class Store:
    """A results store in a folder or in object storage.

    Any number of processes may publish and read at once; compaction takes a lock.

    Parameters
    ----------
    address
        The folder, or ``s3://BUCKET/PREFIX`` or ``gs://BUCKET/PREFIX``.
    create
        Make the store if there is none. Opening an existing one writes nothing.

    Attributes
    ----------
    place
        The folder or prefix, by which others reach what the store only names.

    Raises
    ------
    StoreError
        If there is no store (and ``create`` is false), something else is there, it belongs to a
        newer mfscale, or the storage cannot be reached.
    """

    def __init__(self, address: str | os.PathLike[str], *, create: bool = False) -> None:
        self.place = open_place(address)
        try:
            if create and not self.place.exists(MARKER):
                self.place.require_vacant()
                self.place.put_new(MARKER, marker())
            content = self.place.get(MARKER).to_pybytes()
        except (FileNotFoundError, NotADirectoryError) as error:
            if create:
                raise StoreError(f"{self} cannot be made: {error.strerror}") from error
            raise StoreError(
                f"{self} is not a results store; one is made by: mfscale run STUDY --store {self}"
            ) from None
        except StorageError as error:
            raise StoreError(
                f"{self} cannot be used as a store: {error.strerror}; {error.remedy}"
            ) from None
        except OSError as error:
            raise StoreError(f"{self} cannot be used as a store: {error.strerror}") from error
        self.is_archive = is_archive(self.place.of(MARKER), content)

    def __repr__(self) -> str:
        return f"Store({str(self)!r})"

    def __str__(self) -> str:
        return str(self.place)

    @property
    def address(self) -> str:
        """What another process opens it by."""
        return self.place.address

    @property
    def path(self) -> Path:
        """The folder; StoreError if it is none."""
        if isinstance(self.place, Folder):
            return self.place.path
        raise StoreError(f"{self} is not a folder")

    def publish(self, row: Mapping[str, object]) -> str:
        """Add a row to the store, atomically.

        Parameters
        ----------
        row
            Values by field name, as ``SCHEMA`` describes them; absent fields are null.

        Returns
        -------
        str
            What messages call the file of the row. If this attempt at this stage has one already,
            the first stays.

        Raises
        ------
        StoreError
            If the row does not fit the schema; nothing is written.
        """
        table = row_table(row)
        stage_id = _checked_id(table["stage_id"][0].as_py())
        name = f"{INBOX}/{stage_id}-{table['attempt'][0].as_py()}.parquet"
        with self._writing(name):
            self.place.put_new(name, parquet.encode(table))
        return self.place.of(name)

    def publish_curve(self, stage_id: str, table: pa.Table) -> str:
        """Write the learning curve of a stage (``CURVE_SCHEMA``), in the place of an older one."""
        return self._put_table("curves", stage_id, table, CURVE_SCHEMA)

    def publish_errors(self, stage_id: str, table: pa.Table) -> str:
        """Write the test errors of a stage (``ERRORS_SCHEMA``), in the place of older ones."""
        return self._put_table("errors", stage_id, table, ERRORS_SCHEMA)

    def curve(self, stage_id: str) -> pa.Table:
        """Read the learning curve of a stage; StoreError if there is none or it is damaged."""
        return self._required(
            "curves", stage_id, self._find_table("curves", stage_id, CURVE_SCHEMA)
        )

    def errors(self, stage_id: str) -> pa.Table:
        """Read the test errors of a stage; StoreError if there are none or they are damaged."""
        return self._required("errors", stage_id, self.find_errors(stage_id))

    def find_errors(self, stage_id: str) -> pa.Table | None:
        """Read the test errors of a stage as `errors` does; None if there are none.

        In an archive all stages' are in one file, read once: there are those of each head against
        its own method, rounded to single precision.
        """
        found = self._find_table("errors", stage_id, ERRORS_SCHEMA)
        if found is None and self._archived_errors is not None:
            every = self._archived_errors
            mine = every.filter(pc.equal(every["stage_id"], stage_id)).drop_columns("stage_id")
            found = mine.cast(ERRORS_SCHEMA) if mine.num_rows else None
        return found

    def compact(self) -> int:
        """Move the inbox into ``results.parquet`` and return the number of rows there.

        The new file is in place before the inbox is emptied: a crash in between leaves rows in
        both, which readers see once.
        """
        with self._writing(RESULTS):
            while True:
                with self.place.compacting():
                    # Of another compaction, which a lease may not keep out for ever, the version
                    # tells: then what was read is read again.
                    version = self.place.version(RESULTS)
                    rows, inbox = read_rows(self.place, SCHEMA.names)
                    table = best_rows(rows)
                    if inbox:
                        if not self.place.put_over(RESULTS, parquet.encode(table), version):
                            continue
                        self.place.delete(inbox)
                return int(table.num_rows)

    def table(self) -> pa.Table:
        """Read the whole store: one row per stage, with ``SCHEMA``, sorted by ``stage_id``."""
        rows, _ = read_rows(self.place, SCHEMA.names)
        return best_rows(rows)

    def row(self, stage_id: str) -> dict[str, object] | None:
        """Read the row of one stage, every field of the schema; None if the store has none."""
        rows, _ = read_rows(self.place, SCHEMA.names, stage_id=_checked_id(stage_id))
        return next(iter(best_rows(rows).to_pylist()), None)

    def row_and_next_attempt(self, stage_id: str) -> tuple[dict[str, object] | None, int]:
        """Read what `row` and `next_attempt` read, at once."""
        rows, _ = read_rows(self.place, SCHEMA.names, stage_id=_checked_id(stage_id))
        row = next(iter(best_rows(rows).to_pylist()), None) if rows.num_rows else None
        return row, self._next_attempt(stage_id, rows)

    def statuses(self) -> dict[str, str]:
        """Read the status of every stage, and nothing else."""
        rows, _ = read_rows(self.place, _KEYS)
        table = best_rows(rows)
        return dict(zip(table["stage_id"].to_pylist(), table["status"].to_pylist(), strict=True))

    def resolve(self, prefix: str) -> str:
        """Complete the first characters of a stage id; StoreError unless exactly one stage fits."""
        stages = self.statuses()
        matches = [stage for stage in stages if stage.startswith(prefix)]
        if prefix in stages:
            return prefix
        if len(matches) == 1:
            return matches[0]
        if not matches:
            raise StoreError(f"no stage of {self} has an id that begins with {prefix!r}")
        shown = ", ".join(matches[:_MAX_CANDIDATES])
        left = len(matches) - _MAX_CANDIDATES
        more = f" and {left} more" if left > 0 else ""
        raise StoreError(
            f"{len(matches)} stages have ids that begin with {prefix!r}; "
            f"give more characters: {shown}{more}"
        )

    def next_attempt(self, stage_id: str) -> int:
        """Number the next attempt at a stage, after those that left a row or, from there, a log."""
        rows, _ = read_rows(self.place, _KEYS, stage_id=_checked_id(stage_id))
        return self._next_attempt(stage_id, rows)

    def frame(self) -> "pd.DataFrame":
        """Read the whole store with nested fields spread over columns; see ``flatten``.

        Every stage is there, tuning trials (``purpose``) and unfinished ones (``status``) too.
        """
        from mfscale.results.flat import flatten  # noqa: PLC0415 - pandas is slow to import

        return flatten(self.table())

    def sql(self, query: str) -> pa.Table:
        """Answer one SQL query over the store, read-only; see ``run_sql``."""
        from mfscale.results.sql import run_sql  # noqa: PLC0415 - DuckDB is slow to import

        return run_sql(self.table(), query)

    def checkpoint_dir(self, stage_id: str) -> Path:
        """Name the folder for the checkpoints of a stage; it need not exist.

        StoreError if the store is in no folder; see `local`.
        """
        return self.path / checkpoint(stage_id)

    def checkpoints(self) -> dict[str, dict[str, int]]:
        """The checkpoints of all stages: stage → name of a file → its size in bytes."""
        stages: dict[str, dict[str, int]] = {}
        try:
            every = self.place.tree("checkpoints")
        except OSError as error:
            raise unreadable(self.place.of("checkpoints"), error) from error
        for name, size in every.items():
            _, *stage, file = name.split("/")
            if len(stage) == 1 and not stage[0].startswith("."):
                stages.setdefault(stage[0], {})[file] = size
        return stages

    @contextmanager
    def local(self, *names: str) -> Iterator[Local]:
        """Have files of the store as local ones while the block runs, as far as they exist.

        StoreError if they cannot be read.
        """
        with ExitStack() as held:
            try:
                files = held.enter_context(self.place.local(*names))
            except OSError as error:
                raise unreadable(str(self), error) from error
            yield files

    def in_use(self) -> AbstractContextManager[Held]:
        """Run stages into the store, beside others that do; nothing is deleted meanwhile.

        StoreError if the store cannot be written to.
        """
        return self._held(self.place.in_use)

    def alone(self) -> AbstractContextManager[None]:
        """Change what others rely on; StoreError if a run uses the store, or nobody may write."""
        return self._held(self.place.alone)

    def require_writable(self) -> None:
        """Raise StoreError if the store is an archive."""
        if self.is_archive:
            raise StoreError(
                f"{self} is an archive, only to be read; name another store, which a run makes"
            )

    def is_used(self) -> bool:
        """Tell whether a run is using the store; StoreError if that cannot be told."""
        try:
            return self.place.is_used()
        except StorageError as error:
            raise unreadable(str(self), error) from error

    @contextmanager
    def _held(self, hold: Callable[[], AbstractContextManager[T]]) -> Iterator[T]:
        self.require_writable()
        with ExitStack() as held:
            try:
                what = held.enter_context(hold())
            except BlockingIOError:
                raise StoreError(
                    f"a run is using {self}; wait until it has ended, or end it (Ctrl-C)"
                ) from None
            except OSError as error:
                raise unwritable(str(self), error) from error
            yield what

    def _put_table(self, folder: str, stage_id: str, table: pa.Table, schema: pa.Schema) -> str:
        name = f"{folder}/{_checked_id(stage_id)}.parquet"
        if unknown := set(table.column_names) - set(schema.names):
            raise StoreError(f"{folder} of a stage have no column {min(unknown)!r}")
        try:
            data = parquet.encode(parquet.conform(table, schema), stage_id=stage_id)
        except parquet.DamagedError as error:
            raise StoreError(f"{folder} of stage {stage_id}: {error}") from error
        with self._writing(name):
            self.place.put(name, data)
        return self.place.of(name)

    @contextmanager
    def _writing(self, name: str) -> Iterator[None]:
        self.require_writable()
        try:
            yield
        except OSError as error:
            raise unwritable(self.place.of(name), error) from error

    def _find_table(self, folder: str, stage_id: str, schema: pa.Schema) -> pa.Table | None:
        decode = partial(parquet.decode, schema=schema, owner=stage_id)
        return found(self.place, f"{folder}/{_checked_id(stage_id)}.parquet", decode, _NOT_THE_ROW)

    @cached_property
    def _archived_errors(self) -> pa.Table | None:
        decode = partial(parquet.decode, schema=ARCHIVE_ERRORS_SCHEMA)
        return found(self.place, ARCHIVED_ERRORS, decode, _NOT_THE_ROW)

    def _next_attempt(self, stage_id: str, rows: pa.Table) -> int:
        number = 1 + max(rows["attempt"].to_pylist(), default=-1)
        try:
            while self.place.exists(log_file(stage_id, number)):
                number += 1
        except OSError as error:
            raise unreadable(self.place.of("logs"), error) from error
        return number

    def _required(self, folder: str, stage_id: str, table: pa.Table | None) -> pa.Table:
        if table is None:
            path = self.place.of(f"{folder}/{stage_id}.parquet")
            raise StoreError(f"the store has no {folder} of stage {stage_id}: no file {path}")
        return table


def is_there(address: str | os.PathLike[str]) -> bool:
    """Tell whether there is anything at an address: a folder, or a store in object storage."""
    place = open_place(address)
    if isinstance(place, Folder):
        return place.path.exists()
    try:
        return place.exists(MARKER)
    except OSError as error:
        raise unreadable(str(place), error) from error


def checkpoint(stage_id: str, file: str | None = None) -> str:
    """What a store calls the folder of a stage's checkpoints, or a file in it."""
    folder = f"checkpoints/{_checked_id(stage_id)}"
    return folder if file is None else f"{folder}/{file}"


def log_file(stage_id: str, attempt: int) -> str:
    """What a store calls the log of an attempt at a stage."""
    return f"logs/{_checked_id(stage_id)}-{attempt}.log"


def _checked_id(stage_id: str) -> str:
    """Refuse an id that could name a file elsewhere."""
    if not re.fullmatch(STAGE_ID, stage_id):
        raise StoreError(f"{stage_id!r} is not a stage id: letters, digits, _ and - alone")
    return stage_id
