"""The store: a folder with one row per stage, which is also the ledger of what is finished.

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

Readers take the union of ``results.parquet`` and the inbox. Nothing is overwritten but by an
atomic replace, so a crash at any instant leaves either the old state or the new one.
"""

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from mfscale.results import files, parquet
from mfscale.results.errors import StoreError, unreadable, unwritable
from mfscale.results.marker import MARKER, is_archive, marker
from mfscale.results.rows import row_table
from mfscale.results.schema import (
    ARCHIVE_ERRORS_SCHEMA,
    CURVE_SCHEMA,
    ERRORS_SCHEMA,
    FORMAT,
    SCHEMA,
)
from mfscale.results.sound import STAGE_ID, require_sound
from mfscale.results.union import best_rows

if TYPE_CHECKING:
    import pandas as pd

RESULTS, ARCHIVED_ERRORS = "results.parquet", "errors.parquet"
_KEYS = ("stage_id", "attempt", "status")
_MAX_CANDIDATES = 8
_RUN_LOCK = "run.lock"
_NOT_THE_ROW = "the row of the stage is not affected"
_REDO = "running the study again redoes the stages that the store now lacks"


class Store:
    """A results store in a folder.

    Any number of processes may publish and read at once; compaction takes a lock.

    Parameters
    ----------
    path
        The folder.
    create
        Make the store if there is none. Opening an existing one writes nothing.

    Raises
    ------
    StoreError
        If the folder is no store (and ``create`` is false), holds something else, or belongs to
        a newer mfscale.
    """

    def __init__(self, path: str | os.PathLike[str], *, create: bool = False) -> None:
        self.path = Path(path)
        path = self.path / MARKER
        try:
            if create and not path.exists():
                self._check_vacant()
                files.put_new(path, marker())
            content = path.read_bytes()
        except (FileNotFoundError, NotADirectoryError) as error:
            if create:
                raise StoreError(f"{self.path} cannot be made: {error.strerror}") from error
            raise StoreError(
                f"{self.path} is not a results store; "
                f"one is made by: mfscale run STUDY --store {self.path}"
            ) from None
        except OSError as error:
            raise StoreError(f"{self.path} cannot be used as a store: {error.strerror}") from error
        self.is_archive = is_archive(path, content)

    def __repr__(self) -> str:
        return f"Store({str(self.path)!r})"

    def publish(self, row: Mapping[str, object]) -> Path:
        """Add a row to the store, atomically.

        Parameters
        ----------
        row
            Values by field name, as ``SCHEMA`` describes them; absent fields are null.

        Returns
        -------
        Path
            The file of the row. If this attempt at this stage has one already, the first stays.

        Raises
        ------
        StoreError
            If the row does not fit the schema; nothing is written.
        """
        table = row_table(row)
        stage_id = _checked_id(table["stage_id"][0].as_py())
        path = self.path / "inbox" / f"{stage_id}-{table['attempt'][0].as_py()}.parquet"
        return self._put(files.put_new, path, parquet.encode(table))

    def publish_curve(self, stage_id: str, table: pa.Table) -> Path:
        """Write the learning curve of a stage (``CURVE_SCHEMA``), in the place of an older one."""
        return self._put_table("curves", stage_id, table, CURVE_SCHEMA)

    def publish_errors(self, stage_id: str, table: pa.Table) -> Path:
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
        self.require_writable()
        with files.locked(self.path / "compact.lock"):
            rows, inbox = self._read(SCHEMA.names)
            table = best_rows(rows)
            if inbox:
                self._put(files.put, self.path / RESULTS, parquet.encode(table))
            for path in inbox:
                path.unlink(missing_ok=True)
        return int(table.num_rows)

    def table(self) -> pa.Table:
        """Read the whole store: one row per stage, with ``SCHEMA``, sorted by ``stage_id``."""
        rows, _ = self._read(SCHEMA.names)
        return best_rows(rows)

    def row(self, stage_id: str) -> dict[str, object] | None:
        """Read the row of one stage, every field of the schema; None if the store has none."""
        rows, _ = self._read(SCHEMA.names, stage_id=_checked_id(stage_id))
        return next(iter(best_rows(rows).to_pylist()), None)

    def statuses(self) -> dict[str, str]:
        """Read the status of every stage, and nothing else."""
        rows, _ = self._read(_KEYS)
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
            raise StoreError(f"no stage of {self.path} has an id that begins with {prefix!r}")
        shown = ", ".join(matches[:_MAX_CANDIDATES])
        left = len(matches) - _MAX_CANDIDATES
        more = f" and {left} more" if left > 0 else ""
        raise StoreError(
            f"{len(matches)} stages have ids that begin with {prefix!r}; "
            f"give more characters: {shown}{more}"
        )

    def next_attempt(self, stage_id: str) -> int:
        """Number the next attempt at a stage, above every one that left a row or a log."""
        known = [
            int(attempt)
            for folder, suffix in (("inbox", ".parquet"), ("logs", ".log"))
            for name in _names(self.path / folder, suffix, beginning=f"{stage_id}-")
            for stage, _, attempt in [name.removesuffix(suffix).rpartition("-")]
            if stage == stage_id and attempt.isdecimal()
        ]
        rows, _ = self._read(_KEYS, stage_id=_checked_id(stage_id))
        return 1 + max([*known, *rows["attempt"].to_pylist()], default=-1)

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
        """Name the folder for the checkpoints of a stage; it need not exist."""
        return self.path / "checkpoints" / _checked_id(stage_id)

    @property
    def tuning_dir(self) -> Path:
        """The folder in which tunings keep their journals; it need not exist."""
        return self.path / "tuning"

    def log_path(self, stage_id: str, attempt: int) -> Path:
        """Name the log file of an attempt at a stage; it need not exist."""
        return self.path / "logs" / f"{_checked_id(stage_id)}-{attempt}.log"

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Run stages into the store, beside others that do; nothing is deleted meanwhile.

        StoreError if the store cannot be written to.
        """
        self.require_writable()
        with ExitStack() as held:
            try:
                held.enter_context(files.locked(self.path / _RUN_LOCK, shared=True))
            except OSError as error:
                raise unwritable(self.path, error) from error
            yield

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Change what others rely on; StoreError if a run uses the store, or nobody may write."""
        self.require_writable()
        with ExitStack() as held:
            try:
                held.enter_context(files.locked(self.path / _RUN_LOCK, wait=False))
            except BlockingIOError:
                raise StoreError(
                    f"a run is using {self.path}; wait until it has ended, or end it (Ctrl-C)"
                ) from None
            except OSError as error:
                raise unwritable(self.path, error) from error
            yield

    def require_writable(self) -> None:
        """Raise StoreError if the store is an archive."""
        if self.is_archive:
            raise StoreError(
                f"{self.path} is an archive, only to be read; name another store, which a run makes"
            )

    def is_used(self) -> bool:
        """Tell whether a run is using the store."""
        return files.is_locked(self.path / _RUN_LOCK)

    def _check_vacant(self) -> None:
        if self.path.exists() and not self.path.is_dir():
            raise StoreError(f"{self.path} is a file; a results store needs a folder of its own")
        if files.names(self.path, ""):
            raise StoreError(
                f"{self.path} holds other files and no results store; name a new or empty folder"
            )

    def _read(
        self, columns: Sequence[str], *, stage_id: str | None = None
    ) -> tuple[pa.Table, list[Path]]:
        """Read all rows, compacted ones first, and say which inbox files they came from.

        The inbox is read before ``results.parquet``: a row that a driver compacts meanwhile is
        then found in the latter, where the other order could miss it.
        """

        def decode(data: pa.Buffer) -> pa.Table:
            return parquet.decode(data, SCHEMA, columns=columns, stage_id=stage_id)

        folder = self.path / "inbox"
        inbox = [
            folder / name
            for name in _names(folder, ".parquet", beginning=stage_id or "")
            if stage_id is None or name.rpartition("-")[0] == stage_id
        ]
        compacted = self.path / RESULTS
        tables, damages = [], []
        for path in [*inbox, compacted]:
            try:
                table = self._decoded(path, decode, _REDO)
                if table is not None:
                    require_sound(path, table)
                    tables.append(table)
            except StoreError as error:
                damages.append(str(error))
        if damages:
            raise StoreError("\n".join(damages))
        empty = pa.schema([SCHEMA.field(name) for name in columns], SCHEMA.metadata).empty_table()
        return pa.concat_tables([*reversed(tables), empty]), inbox

    def _decoded(
        self, path: Path, decode: Callable[[pa.Buffer], pa.Table], remedy: str
    ) -> pa.Table | None:
        """Read one file; None if there is none.

        StoreError if it cannot be read, or if it is damaged: then, and only then, it is set aside.
        """
        try:
            return decode(files.get(path))
        except FileNotFoundError as error:
            if path.is_symlink():  # to a disk that is not mounted, say: not the same as no file
                raise unreadable(path, error) from error
            return None
        except (OSError, MemoryError) as error:
            raise unreadable(path, error) from error
        except parquet.NewerFormatError as error:
            raise StoreError(
                f"{path} is of format {error}, and this mfscale reads up to {FORMAT}: "
                "upgrade mfscale"
            ) from error
        except parquet.DamagedError as error:
            folder = self.path / "set-aside" / path.parent.relative_to(self.path)
            try:
                moved = f"was moved to {files.set_aside(path, folder)}"
            except OSError as failure:
                moved = f"could not be moved out of the way ({failure.strerror})"
            raise StoreError(f"{path} is damaged ({error}) and {moved}; {remedy}") from error

    def _put_table(self, folder: str, stage_id: str, table: pa.Table, schema: pa.Schema) -> Path:
        path = self.path / folder / f"{_checked_id(stage_id)}.parquet"
        if unknown := set(table.column_names) - set(schema.names):
            raise StoreError(f"{folder} of a stage have no column {min(unknown)!r}")
        try:
            data = parquet.encode(parquet.conform(table, schema), stage_id=stage_id)
        except parquet.DamagedError as error:
            raise StoreError(f"{folder} of stage {stage_id}: {error}") from error
        return self._put(files.put, path, data)

    def _put(self, put: Callable[[Path, bytes], object], path: Path, data: bytes) -> Path:
        self.require_writable()
        try:
            put(path, data)
        except OSError as error:
            raise unwritable(path, error) from error
        return path

    def _find_table(self, folder: str, stage_id: str, schema: pa.Schema) -> pa.Table | None:
        path = self.path / folder / f"{_checked_id(stage_id)}.parquet"
        return self._decoded(
            path, lambda data: parquet.decode(data, schema, owner=stage_id), _NOT_THE_ROW
        )

    @cached_property
    def _archived_errors(self) -> pa.Table | None:
        return self._decoded(
            self.path / ARCHIVED_ERRORS,
            lambda data: parquet.decode(data, ARCHIVE_ERRORS_SCHEMA),
            _NOT_THE_ROW,
        )

    def _required(self, folder: str, stage_id: str, table: pa.Table | None) -> pa.Table:
        if table is None:
            path = self.path / folder / f"{stage_id}.parquet"
            raise StoreError(f"the store has no {folder} of stage {stage_id}: no file {path}")
        return table


def _names(folder: Path, suffix: str, *, beginning: str = "") -> list[str]:
    try:
        return files.names(folder, suffix, beginning=beginning)
    except OSError as error:
        raise unreadable(folder, error) from error


def _checked_id(stage_id: str) -> str:
    """Refuse an id that could name a file elsewhere."""
    if not re.fullmatch(STAGE_ID, stage_id):
        raise StoreError(f"{stage_id!r} is not a stage id: letters, digits, _ and - alone")
    return stage_id
