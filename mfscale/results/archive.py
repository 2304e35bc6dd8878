"""Archives: the rows and test errors of a store in two files, to be shipped and read."""

import os
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from mfscale.results import parquet
from mfscale.results.errors import StoreError, unreadable, unwritable
from mfscale.results.folder import Folder
from mfscale.results.marker import MARKER, marker
from mfscale.results.place import Place, open_place
from mfscale.results.reading import RESULTS, listed
from mfscale.results.schema import ARCHIVE_ERRORS_SCHEMA
from mfscale.results.store import ARCHIVED_ERRORS, Store

CHOICES = "choices"
"""Folder with what tunings chose: a study that froze a choice is known by it."""
_ROWS_AT_ONCE = 2**20
_LEVEL = 19
"""Of zstd: an archive is written once and shipped often."""


@dataclass(frozen=True)
class Archive:
    """What was written.

    Attributes
    ----------
    stages, with_errors
        Rows, and how many of these stages have test errors in the archive.
    n_errors
        Test errors, one per structure, head and stage.
    sizes
        File → bytes.
    """

    stages: int
    with_errors: int
    n_errors: int
    sizes: Mapping[str, int]


def write_archive(
    source: Store,
    destination: str | os.PathLike[str],
    *,
    stages: Collection[str] | None = None,
    head: str | None = None,
) -> Archive:
    """Write a new store, only to be read, with the rows and test errors of another.

    Curves, logs and models stay behind, and errors of a head against other methods than its own;
    choices of tunings come along.
    Errors are stored in single precision: seven digits of each. The marker of the store is written
    last, so that half an archive is none.

    Parameters
    ----------
    source
        Any store, an archive too.
    destination
        A new or empty folder, or prefix of a bucket.
    stages
        Their rows alone; all by default.
    head
        The test errors of this head alone; of all by default. Rows are whole either way.

    Raises
    ------
    StoreError
        If the folder holds anything or cannot be written to, or there is nothing to archive.
    """
    place = open_place(destination)
    _check_vacant(place)
    table = _rows(source, stages)
    contents, with_errors, n_errors = _errors(source, table, head)
    if head is not None and not with_errors:
        known = sorted({name for row in _heads(table) for name in row["own"]})
        raise StoreError(
            f"no stage has test errors of a head {head!r}; heads here: {', '.join(known) or 'none'}"
        )
    written = {
        RESULTS: parquet.encode(table, compressed=True),
        ARCHIVED_ERRORS: contents,
        **{f"{CHOICES}/{name}": data for name, data in _choices(source.place).items()},
        MARKER: marker(archive=True),
    }
    try:
        for name, data in written.items():
            place.put(name, data)
    except OSError as error:
        raise unwritable(str(place), error) from error
    sizes = {name: len(data) for name, data in written.items()}
    return Archive(table.num_rows, with_errors, n_errors, sizes)


def _choices(place: Place) -> dict[str, bytes]:
    """Files of choices; links are not followed, lest an archive holds what is not the store's."""
    found = {}
    for name in listed(place, CHOICES, ".json"):
        where = place.of(f"{CHOICES}/{name}")
        if isinstance(place, Folder) and (place.path / CHOICES / name).is_symlink():
            raise StoreError(f"{where} is a link; put the file itself there, then archive")
        try:
            found[name] = place.get(f"{CHOICES}/{name}").to_pybytes()
        except OSError as error:
            raise unreadable(where, error) from error
    return found


def _check_vacant(place: Place) -> None:
    if isinstance(place, Folder):
        try:
            vacant = not any(place.path.iterdir())
        except FileNotFoundError:
            return
        except OSError as error:
            raise StoreError(
                f"{place} cannot hold an archive ({error.strerror}); name a new or empty folder"
            ) from error
        if not vacant:
            raise StoreError(f"{place} is not empty; an archive needs a new or empty folder")
        return
    try:
        place.require_vacant()
    except OSError as error:
        raise unwritable(str(place), error) from error


def _rows(source: Store, stages: Collection[str] | None) -> pa.Table:
    """The rows to archive, without the names of logs that stay behind."""
    table = source.table()
    if stages is not None:
        table = table.filter(pc.is_in(table["stage_id"], value_set=pa.array(stages, pa.string())))
    if not table.num_rows:
        of = "" if stages is None else " of these studies"
        raise StoreError(f"{source} has no rows{of}; run a study into it first")
    place = table.schema.get_field_index("log_file")
    field = table.schema.field(place)
    return table.set_column(place, field, pa.nulls(table.num_rows, field.type))


def _errors(source: Store, table: pa.Table, head: str | None) -> tuple[bytes, int, int]:
    """The file of all stages' errors, how many stages are in it, and how many errors."""
    sink = pa.BufferOutputStream()
    stages = n_errors = 0
    texts = [f.name for f in ARCHIVE_ERRORS_SCHEMA if pa.types.is_dictionary(f.type)]
    reals = [f.name for f in ARCHIVE_ERRORS_SCHEMA if pa.types.is_floating(f.type)]
    with pq.ParquetWriter(
        sink,
        ARCHIVE_ERRORS_SCHEMA,
        compression="zstd",
        compression_level=_LEVEL,
        use_dictionary=[*texts, "n_atoms"],
        column_encoding={"structure": "DELTA_BINARY_PACKED"},
        use_byte_stream_split=reals,
        write_page_checksum=True,
    ) as writer:
        waiting: list[pa.Table] = []
        for part in _parts(source, table, head):
            stages, n_errors = stages + 1, n_errors + part.num_rows
            waiting.append(part)
            if sum(map(len, waiting)) >= _ROWS_AT_ONCE:
                writer.write_table(pa.concat_tables(waiting))
                waiting = []
        writer.write_table(pa.concat_tables([ARCHIVE_ERRORS_SCHEMA.empty_table(), *waiting]))
    return bytes(sink.getvalue()), stages, n_errors


def _parts(source: Store, table: pa.Table, head: str | None) -> Iterator[pa.Table]:
    """The errors of each stage that has any, of its heads against their own methods."""
    for row in _heads(table):
        errors = source.find_errors(row["stage_id"])
        if errors is None:
            continue
        own = pa.array([False] * errors.num_rows)
        for name, method in row["own"].items():
            if head in (None, name):
                mine = pc.and_(pc.equal(errors["head"], name), pc.equal(errors["method"], method))
                own = pc.or_(own, mine)
        kept = errors.filter(own)
        if kept.num_rows:
            yield _archived(kept, row["stage_id"])


def _heads(table: pa.Table) -> Iterator[dict[str, Any]]:
    """Of each row: the stage, and the own method of each of its heads."""
    for row in table.select(["stage_id", "heads", "kept_heads"]).to_pylist():
        heads = [*(row["heads"] or ()), *(row["kept_heads"] or ())]
        yield {"stage_id": row["stage_id"], "own": {h["name"]: h["method"] for h in heads}}


def _archived(errors: pa.Table, stage_id: str) -> pa.Table:
    columns = {
        "stage_id": pa.repeat(pa.scalar(stage_id), errors.num_rows),
        **{name: errors[name] for name in errors.column_names},
    }
    return pa.Table.from_arrays(
        [  # not safe: rounding to single precision is meant
            columns[f.name].cast(f.type, safe=not pa.types.is_floating(f.type))
            for f in ARCHIVE_ERRORS_SCHEMA
        ],
        schema=ARCHIVE_ERRORS_SCHEMA,
    )
