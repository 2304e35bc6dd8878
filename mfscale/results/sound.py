"""Check rows as read: whatever Parquet can hold where the schema allows only some values."""

from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import PurePosixPath

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mfscale.results.rows import UNIQUE
from mfscale.results.schema import SCHEMA

STAGE_ID = r"[A-Za-z0-9][A-Za-z0-9_-]*"
"""Pattern of an id, which names files and so may hold no path."""
_LARGEST_CODE = 1 << 63
_IDS = ("stage_id", "parent_id", "root_id")


def unsound(tables: Mapping[str, pa.Table]) -> list[str]:
    """What is wrong with tables by file, where rows hold what no row that was published does.

    That is: a file of the inbox that holds another row than its name tells, an id that is none, a
    word that is not among those of its field, an entry of a list that is null or there twice. All
    are looked at together, and each by itself only if something is wrong with one.
    """
    found = [text for where, table in tables.items() if (text := _misnamed(where, table))]
    filled = [table for table in tables.values() if table.num_rows]
    if filled and any(_complaints(pa.concat_tables(filled))):
        found += [
            f"{where}: {complaint}; was the file edited? Restore it (mfscale verify names the "
            "stages), or move it out of the store"
            for where, table in tables.items()
            for complaint in islice(_complaints(table), 1)
        ]
    return found


def _misnamed(where: str, table: pa.Table) -> str | None:
    path = PurePosixPath(where)
    if path.parent.name != "inbox":
        return None
    rows = zip(table["stage_id"].to_pylist(), table["attempt"].to_pylist(), strict=True)
    if [f"{stage}-{n}" for stage, n in rows] == [path.stem]:
        return None
    return (
        f"{where} does not hold the row that its name tells; restore its name (mfscale verify "
        "tells what it holds), or move it out of the store"
    )


def _complaints(table: pa.Table) -> Iterator[str]:
    for name in table.column_names:
        column = table[name].combine_chunks()
        if name in _IDS and not _all(pc.match_substring_regex(column, f"^(?:{STAGE_ID})$")):
            yield f"{name!r} of a row is not the id of a stage"
        yield from _of_field(column, SCHEMA.field(name), name)
        if name in UNIQUE and _repeats(column, UNIQUE[name]):
            yield f"{name!r} of a row has an entry twice"


def _of_field(array: pa.Array, field: pa.Field, place: str) -> Iterator[str]:
    """What is wrong with a column, and with what is nested in it."""
    if array.null_count and not field.nullable:
        yield f"{place!r} of a row is missing"
    array = array.drop_null()
    choices = (field.metadata or {}).get(b"choices", b"").decode()
    if choices and not set(pc.unique(array).to_pylist()) <= set(choices.split("|")):
        yield f"{place!r} of a row is not one of {choices.replace('|', ', ')}"
    if pa.types.is_list(field.type):
        entries = array.flatten()
        if entries.null_count:
            yield f"{place!r} of a row has an entry that is null"
        yield from _of_field(entries, field.type.value_field, place)
    elif pa.types.is_struct(field.type):
        for child, values in zip(field.type, array.flatten(), strict=True):
            yield from _of_field(values, child, f"{place}.{child.name}")


def _repeats(lists: pa.Array, keys: tuple[str, ...]) -> bool:
    """Whether two entries of one row's list agree in all keys."""
    lengths = np.asarray(lists.value_lengths().fill_null(0))
    entries = lists.flatten()
    code, size = np.repeat(np.arange(len(lists)), lengths), len(lists)
    for key in keys:
        encoded = pc.struct_field(entries, key).dictionary_encode(null_encoding="encode")
        if size * len(encoded.dictionary) >= _LARGEST_CODE:  # of words that are all different
            _, code = np.unique(code, return_inverse=True)
            size = len(code)
        code = code * len(encoded.dictionary) + encoded.indices.to_numpy()
        size *= len(encoded.dictionary)
    code.sort()  # of millions, a tenth of the time that a hash table takes
    return bool((code[1:] == code[:-1]).any())


def _all(flags: pa.Array) -> bool:
    return pc.all(flags, min_count=0).as_py() is not False
