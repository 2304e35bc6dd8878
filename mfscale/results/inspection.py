"""What is wrong with the files of a store, found without changing any of them."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import PurePosixPath
from typing import Any

import pyarrow as pa

from mfscale.results import parquet
from mfscale.results.errors import StorageError, StoreError
from mfscale.results.folder import DanglingLinkError
from mfscale.results.reading import INBOX, RESULTS, listed
from mfscale.results.rows import row_table
from mfscale.results.schema import (
    ARCHIVE_ERRORS_SCHEMA,
    CURVE_SCHEMA,
    ERRORS_SCHEMA,
    FORMAT,
    SCHEMA,
)
from mfscale.results.store import ARCHIVED_ERRORS, Store
from mfscale.results.union import best_rows

DAMAGED = (
    "any command that reads the store sets such a file aside; running the study again redoes the "
    "stages that are then missing"
)


@dataclass(frozen=True)
class Finding:
    """Something wrong with a store.

    Attributes
    ----------
    kind
        Few words that are the same for all of its kind.
    place
        The file, or the stage, that it is about.
    problem, remedy
        What is wrong; what puts it right.
    """

    kind: str
    place: str
    problem: str
    remedy: str


def inspect(store: Store) -> tuple[dict[str, dict[str, Any]], list[Finding]]:
    """Read every file of a store but its models.

    While a run uses the store, files without a row are not reported: the run may be at work on
    them.

    Returns
    -------
    tuple
        Stage id → its row, as far as rows can be read; and what is wrong.

    Raises
    ------
    StoreError
        If a file is of a newer format.
    """
    used = store.is_used()
    findings: list[Finding] = []
    tables = dict(_tables(store, findings))
    findings += _duplicates(tables)
    rows = pa.concat_tables([SCHEMA.empty_table(), *reversed(tables.values())])
    best = {row["stage_id"]: row for row in best_rows(rows).to_pylist()}
    findings += _schema(best.values())
    findings += _parents(best)
    for folder, schema in (("curves", CURVE_SCHEMA), ("errors", ERRORS_SCHEMA)):
        names = _paths(store, folder)
        remedy = "delete the file: the row of the stage does not need it"
        for _, read in store.place.each(partial(_decoded, store, schema, remedy), names):
            findings += [read] if isinstance(read, Finding) else []
    _, read = _decoded(store, ARCHIVE_ERRORS_SCHEMA, "write the archive again", ARCHIVED_ERRORS)
    findings += [read] if isinstance(read, Finding) else []
    if not used:
        findings += _orphans(store, best.keys())
        findings += _temporaries(store)
    findings += _set_aside(store)
    return best, findings


def _tables(store: Store, findings: list[Finding]) -> Iterator[tuple[str, pa.Table]]:
    """The inbox before the compacted rows: the other order could miss what moves meanwhile."""
    read = partial(_decoded, store, SCHEMA, DAMAGED)
    for name, table in [*store.place.each(read, _paths(store, INBOX)), read(RESULTS)]:
        if isinstance(table, Finding):
            findings.append(table)
        if not isinstance(table, pa.Table):
            continue
        yield store.place.of(name), table
        keys = list(zip(table["stage_id"].to_pylist(), table["attempt"].to_pylist(), strict=True))
        if name != RESULTS and [f"{s}-{a}" for s, a in keys] != [PurePosixPath(name).stem]:
            named = ", ".join(f"{stage} attempt {attempt}" for stage, attempt in keys) or "nothing"
            where = store.place.of(name)
            findings.append(
                Finding("misnamed row", where, f"holds {named}", "restore its name, or move it out")
            )


def _decoded(
    store: Store, schema: pa.Schema, remedy: str, name: str
) -> tuple[str, pa.Table | Finding | None]:
    """A file's name, and its table or what is wrong with it; None if there is no such file."""
    where = store.place.of(name)
    try:
        return name, parquet.decode(store.place.get(name), schema)
    except FileNotFoundError:
        return name, None
    except parquet.DamagedError as error:
        return name, Finding("damaged file", where, str(error), remedy)
    except parquet.NewerFormatError as error:
        raise StoreError(
            f"{where} is of format {error}, and this mfscale reads up to {FORMAT}: upgrade mfscale"
        ) from None
    except (OSError, MemoryError) as error:
        return name, _unreadable(where, error)


def _unreadable(where: str, error: OSError | MemoryError) -> Finding:
    kind, remedy = "unreadable file", "check its permissions, links and disk"
    if isinstance(error, DanglingLinkError):
        return Finding(kind, where, "a dangling link", "restore it")
    if isinstance(error, StorageError):
        remedy = error.remedy
    reason = (error.strerror if isinstance(error, OSError) else None) or "out of memory"
    return Finding(kind, where, reason, remedy)


def _duplicates(tables: dict[str, pa.Table]) -> Iterator[Finding]:
    """Rows that say different things of one attempt; equal ones are read as one."""
    first: dict[tuple[str, int], tuple[str, dict[str, Any]]] = {}
    for path, table in tables.items():
        for row in table.to_pylist():
            there = first.setdefault((row["stage_id"], row["attempt"]), (path, row))
            if there[1] != row:
                yield Finding(
                    "duplicate row",
                    row["stage_id"],
                    f"attempt {row['attempt']} is told differently in {there[0]} and {path}",
                    "find out which is right and move the other file out of the store",
                )
        if PurePosixPath(path).parent.name != INBOX:
            for stage, count in Counter(table["stage_id"].to_pylist()).items():
                if count > 1:
                    yield Finding(
                        "duplicate row",
                        stage,
                        f"{count} rows in {path}",
                        "mfscale run compacts them",
                    )


def _schema(rows: Iterable[dict[str, Any]]) -> Iterator[Finding]:
    for row in rows:
        try:
            row_table(row)
        except StoreError as error:
            yield Finding(
                "wrong row", row["stage_id"], str(error), "was the file edited? Restore it"
            )


def _parents(rows: dict[str, dict[str, Any]]) -> Iterator[Finding]:
    for stage, row in rows.items():
        for parent in {row["parent_id"], row["root_id"]} - {None, *rows}:
            yield Finding(
                "parent without row",
                stage,
                f"descends from {parent}, of which the store has no row",
                "run its study again: it redoes what is missing",
            )


def _orphans(store: Store, stages: Iterable[str]) -> Iterator[Finding]:
    known = set(stages)
    left = {
        folder: [
            (n.removesuffix(suffix), f"{folder}/{n}") for n in listed(store.place, folder, suffix)
        ]
        for folder, suffix in (("curves", ".parquet"), ("errors", ".parquet"), ("logs", ".log"))
    }
    left["logs"] = [(attempt.rpartition("-")[0], name) for attempt, name in left["logs"]]
    left["checkpoints"] = [(stage, f"checkpoints/{stage}") for stage in store.checkpoints()]
    for folder, files in left.items():
        for stage, name in files:
            if stage not in known:
                yield Finding(
                    f"{folder} without row",
                    store.place.of(name),
                    f"the store has no row of stage {stage}: was its run interrupted?",
                    "run its study again, which goes on from there"
                    + (", or: mfscale gc" if folder == "checkpoints" else ", or delete the file"),
                )


def _temporaries(store: Store) -> Iterator[Finding]:
    for name in store.place.temporaries():
        place = store.place.of(name)
        yield Finding("temporary file", place, "a writer died over it", "mfscale gc")


def _set_aside(store: Store) -> Iterator[Finding]:
    for name in store.place.tree("set-aside"):
        yield Finding(
            "set aside",
            store.place.of(name),
            "was damaged and moved there",
            "run its study again, then delete the file",
        )


def _paths(store: Store, folder: str) -> list[str]:
    return [f"{folder}/{name}" for name in listed(store.place, folder, ".parquet")]
