"""Structures and labels from a database of ASE (SQLite), some hundred rows at a time."""

import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mfscale.data.errors import DatasetError
from mfscale.data.imports.method_keys import MethodKeys
from mfscale.data.imports.record import (
    MOST_ATOMS,
    NOTHING,
    Bad,
    Item,
    Label,
    Reading,
    Record,
    Taken,
    box_or_none,
    cause,
    label_or_reason,
)

_AT_ONCE = 64
_OF_CALCULATOR = ("energy", "forces")
_DAMAGED = (
    sqlite3.Error,
    OSError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    ArithmeticError,
    AssertionError,
    RecursionError,
)
"""What ASE may raise for a row whose bytes are not what it wrote."""


def read_ase_db(
    path: Path,
    methods: Sequence[MethodKeys],
    split_key: str | None = None,
    taken: Taken = NOTHING,
) -> Reading:
    """Total rows, and the rows counted from 1.

    ``energy`` and ``forces`` are those of a row's calculator; any other key is a key-value pair or
    an entry of the row's ``data``. All is decoded by ASE from JSON and plain numbers.

    Raises
    ------
    DatasetError
        When the file is no database of ASE.
    """
    try:
        # Looked at read-only first: ASE would make its tables in any SQLite file that lacks them.
        with sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True) as database:
            (total,) = database.execute("SELECT COUNT(*) FROM systems").fetchone()
        database.close()
    except (sqlite3.Error, ValueError) as error:
        raise DatasetError(f"{path}: no readable ASE database ({cause(error)})") from None
    return Reading(total=total, items=_rows(path, methods, split_key, taken))


def _rows(
    path: Path, methods: Sequence[MethodKeys], split_key: str | None, taken: Taken
) -> Iterator[tuple[int, Item]]:
    number = taken.structures
    try:
        for row in _after(path, number):
            yield number + 1, _item(number, row, methods, split_key)
            number += 1
    except _DAMAGED as error:
        raise DatasetError(f"{path}: damaged; reading a row failed ({cause(error)})") from None


def _after(path: Path, n: int) -> Iterator[Any]:
    """Rows after the first n in the order of their ids; ASE holds what is selected in memory."""
    from ase.db import connect  # noqa: PLC0415 - only this reader needs it

    database = connect(path, type="db", use_lock_file=False)
    some = list(database.select(limit=_AT_ONCE, offset=n))
    last = 0
    while some:
        if some[-1].id <= last:
            raise ValueError("its rows are out of order")
        yield from some
        last = some[-1].id
        some = list(database.select(f"id>{last}", limit=_AT_ONCE))


def _item(
    number: int,
    row: Any,  # noqa: ANN401 - ASE's
    methods: Sequence[MethodKeys],
    split_key: str | None,
) -> Item:
    if len(row.numbers) > MOST_ATOMS:
        return Bad(number=number, reason=f"has more than {MOST_ATOMS} atoms")
    pairs = row.key_value_pairs
    wants_data = any(
        key and key not in pairs and key not in _OF_CALCULATOR
        for keys in methods
        for key in (keys.energy, keys.forces)
    )
    data = row.data if wants_data else {}

    def value(key: str | None) -> Any:  # noqa: ANN401 - what a database holds
        if key is None:
            return None
        found = pairs.get(key, data.get(key))
        return row.get(key) if found is None and key in _OF_CALCULATOR else found

    labels: dict[str, Label] = {}
    for keys in methods:
        label = label_or_reason(keys, value(keys.energy), value(keys.forces))
        if isinstance(label, str):
            return Bad(number=number, reason=label)
        if label:
            labels[keys.name] = label
    there = (*pairs, *data, *(key for key in _OF_CALCULATOR if row.get(key) is not None))
    return Record(
        number=number,
        numbers=np.asarray(row.numbers, dtype=np.int64),
        positions=np.asarray(row.positions, dtype=np.float64),
        labels=labels,
        molecule=str(pairs.get("molecule", "")),
        box=box_or_none(row.cell, row.pbc),
        subset=str(pairs.get(split_key, "")),
        keys=tuple(there),
    )
