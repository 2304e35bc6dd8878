"""The tables of a store as read: what is damaged is set aside, and what is not right is said."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeAlias

import pyarrow as pa

from mfscale.results import parquet
from mfscale.results.errors import StoreError, unreadable
from mfscale.results.place import Place
from mfscale.results.schema import FORMAT, SCHEMA
from mfscale.results.sound import unsound

RESULTS, INBOX = "results.parquet", "inbox"
_REDO = "running the study again redoes the stages that the store now lacks"

Content: TypeAlias = "pa.Buffer | OSError | MemoryError"
Decode: TypeAlias = Callable[[pa.Buffer], pa.Table]


def read_rows(
    place: Place, columns: Sequence[str], *, stage_id: str | None = None
) -> tuple[pa.Table, list[str]]:
    """Read all rows, compacted ones first, and say which inbox files they came from.

    The inbox is read before ``results.parquet``: a row that a driver compacts meanwhile is
    then found in the latter, where the other order could miss it.

    Parameters
    ----------
    place
        Of the store.
    columns
        What to read of them.
    stage_id
        Read the rows of this stage alone; all by default.

    Raises
    ------
    StoreError
        If a file cannot be read, is damaged, or holds what no published row does.
    """
    decode = partial(parquet.decode, schema=SCHEMA, columns=columns, stage_id=stage_id)
    beginning = "" if stage_id is None else f"{stage_id}-"
    inbox = [
        f"{INBOX}/{name}"
        for name in listed(place, INBOX, ".parquet", beginning=beginning)
        if stage_id is None or name.rpartition("-")[0] == stage_id
    ]
    tables: dict[str, pa.Table] = {}
    damages: list[str] = []

    def take(name: str, content: Content) -> None:
        try:
            table = decoded(place, name, content, decode, _REDO)
            if table is not None:
                tables[place.of(name)] = table
        except StoreError as error:
            damages.append(str(error))

    # Waiting is done by many threads at once, and decoding by one: more would hinder each other.
    for name, content in zip(inbox, place.each(partial(got, place), inbox), strict=True):
        take(name, content)
    take(RESULTS, got(place, RESULTS))
    if damages := damages + unsound(tables):
        raise StoreError("\n".join(damages))
    if tables:
        return pa.concat_tables(reversed(tables.values())), inbox
    return pa.schema([SCHEMA.field(name) for name in columns], SCHEMA.metadata).empty_table(), inbox


def found(place: Place, name: str, decode: Decode, remedy: str) -> pa.Table | None:
    """Read one file, as `decoded` does; None if there is none."""
    return decoded(place, name, got(place, name), decode, remedy)


def got(place: Place, name: str) -> Content:
    """The content of a file, or why there is none."""
    try:
        return place.get(name)
    except (OSError, MemoryError) as error:
        return error


def decoded(
    place: Place, name: str, content: Content, decode: Decode, remedy: str
) -> pa.Table | None:
    """Make a table of what `got` got of a file; None if there is no such file.

    StoreError if it cannot be read, or if it is damaged: then, and only then, it is set aside.
    """
    where = place.of(name)
    try:
        if isinstance(content, Exception):
            raise content
        return decode(content)
    except FileNotFoundError:
        return None
    except (OSError, MemoryError) as error:
        raise unreadable(where, error) from error
    except parquet.NewerFormatError as error:
        raise StoreError(
            f"{where} is of format {error}, and this mfscale reads up to {FORMAT}: upgrade mfscale"
        ) from error
    except parquet.DamagedError as error:
        try:
            moved = f"was moved to {place.set_aside(name)}"
        except OSError as failure:
            moved = f"could not be moved out of the way ({failure.strerror})"
        raise StoreError(f"{where} is damaged ({error}) and {moved}; {remedy}") from error


def listed(place: Place, folder: str, suffix: str, *, beginning: str = "") -> list[str]:
    """List the names in a folder of a store; StoreError if that cannot be done."""
    try:
        return place.names(folder, suffix, beginning=beginning)
    except OSError as error:
        raise unreadable(place.of(folder), error) from error
