"""What is wrong with the files of a store, found without changing any of them."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from mfscale.results import files, parquet
from mfscale.results.errors import StoreError
from mfscale.results.rows import row_table
from mfscale.results.schema import (
    ARCHIVE_ERRORS_SCHEMA,
    CURVE_SCHEMA,
    ERRORS_SCHEMA,
    FORMAT,
    SCHEMA,
)
from mfscale.results.store import ARCHIVED_ERRORS, RESULTS, Store
from mfscale.results.union import best_rows

DAMAGED = (
    "any command that reads the store sets such a file aside; running the study again redoes the "
    "stages that are then missing"
)
FOLDERS = {"inbox": ".parquet", "curves": ".parquet", "errors": ".parquet", "logs": ".log"}


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
        for path in _paths(store.path / folder, ".parquet"):
            _decoded(path, schema, "delete the file: the row of the stage does not need it",
                     findings)  # fmt: skip
    _decoded(
        store.path / ARCHIVED_ERRORS, ARCHIVE_ERRORS_SCHEMA, "write the archive again", findings
    )
    if not used:
        findings += _orphans(store, best.keys())
        findings += _temporaries(store)
    findings += _set_aside(store)
    return best, findings


def temporaries(store: Store) -> Iterator[Path]:
    """What writers that died left behind: files whose names begin with a dot."""
    folders = [store.path, *(store.path / folder for folder in FOLDERS)]
    checkpoints = store.path / "checkpoints"
    if checkpoints.is_dir():
        every = (path for path in checkpoints.iterdir() if not path.is_symlink())
        folders += sorted(path for path in every if path.is_dir())
    for folder in folders:
        if folder.is_dir():
            yield from sorted(
                path for path in folder.iterdir() if path.name.startswith(".") and path.is_file()
            )


def _tables(store: Store, findings: list[Finding]) -> Iterator[tuple[Path, pa.Table]]:
    """The inbox before the compacted rows: the other order could miss what moves meanwhile."""
    for path in [*_paths(store.path / "inbox", ".parquet"), store.path / RESULTS]:
        table = _decoded(path, SCHEMA, DAMAGED, findings)
        if table is None:
            continue
        yield path, table
        keys = list(zip(table["stage_id"].to_pylist(), table["attempt"].to_pylist(), strict=True))
        if path.parent.name == "inbox" and [f"{s}-{a}" for s, a in keys] != [path.stem]:
            named = ", ".join(f"{stage} attempt {attempt}" for stage, attempt in keys) or "nothing"
            findings.append(
                Finding(
                    "misnamed row", str(path), f"holds {named}", "restore its name, or move it out"
                )
            )


def _decoded(
    path: Path, schema: pa.Schema, remedy: str, findings: list[Finding]
) -> pa.Table | None:
    try:
        return parquet.decode(files.get(path), schema)
    except FileNotFoundError:
        if not path.is_symlink():
            return None
        findings.append(Finding("unreadable file", str(path), "a dangling link", "restore it"))
    except parquet.DamagedError as error:
        findings.append(Finding("damaged file", str(path), str(error), remedy))
    except parquet.NewerFormatError as error:
        raise StoreError(
            f"{path} is of format {error}, and this mfscale reads up to {FORMAT}: upgrade mfscale"
        ) from None
    except (OSError, MemoryError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or "out of memory"
        findings.append(
            Finding("unreadable file", str(path), reason, "check its permissions, links and disk")
        )
    return None


def _duplicates(tables: dict[Path, pa.Table]) -> Iterator[Finding]:
    """Rows that say different things of one attempt; equal ones are read as one."""
    first: dict[tuple[str, int], tuple[Path, dict[str, Any]]] = {}
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
        if path.parent.name != "inbox":
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
    for folder, suffix in {**FOLDERS, "checkpoints": ""}.items():
        if folder == "inbox":
            continue
        for path in _paths(store.path / folder, suffix):
            stage = path.name.removesuffix(suffix)
            stage = stage.rpartition("-")[0] if folder == "logs" else stage
            if stage not in known:
                yield Finding(
                    f"{folder} without row",
                    str(path),
                    f"the store has no row of stage {stage}: was its run interrupted?",
                    "run its study again, which goes on from there"
                    + (", or: mfscale gc" if folder == "checkpoints" else ", or delete the file"),
                )


def _temporaries(store: Store) -> Iterator[Finding]:
    for path in temporaries(store):
        yield Finding("temporary file", str(path), "a writer died over it", "mfscale gc")


def _set_aside(store: Store) -> Iterator[Finding]:
    for path in sorted((store.path / "set-aside").rglob("*")):
        if path.is_file():
            yield Finding(
                "set aside",
                str(path),
                "was damaged and moved there",
                "run its study again, then delete the file",
            )


def _paths(folder: Path, suffix: str) -> list[Path]:
    try:
        return [folder / name for name in files.names(folder, suffix)]
    except OSError as error:
        raise StoreError(
            f"{folder} cannot be read ({error.strerror}); check its permissions and disk"
        ) from error
