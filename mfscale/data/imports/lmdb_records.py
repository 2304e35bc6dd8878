"""Structures and labels from an LMDB, with a table beside it or with keys in its records."""

import json
import re
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mfscale.data.errors import DatasetError
from mfscale.data.imports.encodings import EncodingError, decode
from mfscale.data.imports.index_lists import codes_of_rows, index_list_files, read_index_lists
from mfscale.data.imports.kept_split import word_of
from mfscale.data.imports.lmdb_pages import Pages
from mfscale.data.imports.lmdb_table import FILE, Row, Table
from mfscale.data.imports.method_keys import MethodKeys
from mfscale.data.imports.record import (
    NOTHING,
    Bad,
    Item,
    Label,
    Reading,
    Record,
    Taken,
    as_numbers,
    label_or_reason,
)
from mfscale.data.imports.stored_structure import ENERGY, FORCES, atoms_of, box_of, first_of

SUFFIXES = (".lmdb", ".aselmdb", ".mdb")

_NO_STRUCTURE = re.compile(rb"length|metadata|schema|nextid|deleted_ids|_.*")
"""Keys under which OCP and ASE keep counts rather than structures."""

_ELEMENT = re.compile(r"([A-Z][a-z]?)(\d*)")
_AT_ONCE = 512
_SAME_ENERGY = 1e-6

KeyOf = Callable[[int], bytes]


@dataclass(frozen=True, kw_only=True)
class Place:
    """An LMDB, and the table beside it if there is one."""

    lmdb: Path
    folder: Path

    @property
    def table(self) -> Path | None:
        """The table of labels."""
        return next(
            (f for f in (self.folder / FILE, self.folder.parent / FILE) if f.is_file()), None
        )


def find_lmdb(source: Path) -> Place | None:
    """The LMDB that a path means: a file, a folder with ``data.mdb``, or the only one in a folder.

    Raises
    ------
    DatasetError
        When a folder holds several.
    """
    if source.is_file():
        return Place(lmdb=source, folder=source.parent) if source.suffix in SUFFIXES else None
    if (source / "data.mdb").is_file():
        return Place(lmdb=source, folder=source)
    inside = [
        path
        for path in sorted(source.iterdir())
        if path.suffix in SUFFIXES and (path.is_file() or (path / "data.mdb").is_file())
    ]
    if len(inside) > 1:
        names = ", ".join(path.name for path in inside[:4])
        raise DatasetError(f"{source}: holds several LMDBs ({names}); name the one to import")
    return Place(lmdb=inside[0], folder=source) if inside else None


def stated_methods(source: Path) -> tuple[MethodKeys, ...]:
    """The methods that the table beside an LMDB names; none without a table."""
    place = find_lmdb(source)
    return Table(place.table).methods() if place and place.table else ()


def files_of_lmdb(source: Path) -> list[Path]:
    """What is read of an LMDB: its data, and the table and index lists beside it."""
    place = find_lmdb(source)
    if place is None:
        return []
    data = place.lmdb / "data.mdb" if place.lmdb.is_dir() else place.lmdb
    return [data, place.table, *index_list_files(place.folder)] if place.table else [data]


def read_lmdb(
    path: Path,
    methods: Sequence[MethodKeys],
    split_key: str | None = None,
    taken: Taken = NOTHING,
) -> Reading:
    """Labels of a table's rows, or of all records.

    With a table, a method's ``energy`` is the value of the table's column ``method``; energies and
    units are the table's, forces the records'; subsets are those of index lists. Without one, keys
    are those of the records.

    Raises
    ------
    DatasetError
        When it is no LMDB, its keys are not found by ``idx``, or the first record is of an encoding
        that is not read.
    """
    place = find_lmdb(path)
    if place is None:
        raise DatasetError(f"{path}: no LMDB is there")
    pages = Pages(place.lmdb)
    try:
        if place.table is None:
            return _reading_of_records(pages, methods, split_key, taken)
        if split_key:
            raise DatasetError(f"{path}: --split-key is for sources without index lists")
        return _reading_of_table(pages, Table(place.table), place.folder, methods, taken)
    except DatasetError:
        pages.close()
        raise


def _reading_of_records(
    pages: Pages, methods: Sequence[MethodKeys], split_key: str | None, taken: Taken
) -> Reading:
    keys = (key for key in pages.every_key() if not _NO_STRUCTURE.fullmatch(key))
    some = list(islice(keys, 1))
    _try(pages, *some)
    left = islice(chain(some, keys), taken.structures, None)
    items = _of_records(pages, left, methods, split_key, taken.structures)
    return Reading(total=pages.n_entries, items=items)


def _reading_of_table(
    pages: Pages, table: Table, folder: Path, methods: Sequence[MethodKeys], taken: Taken
) -> Reading:
    wanted = {keys.energy: keys for keys in methods}
    rows = (row for part in table.rows() for row in part if row.method in wanted)
    first = [row.idx for row in islice(rows, _AT_ONCE)]
    if not first:
        raise DatasetError(
            f"{table.path}: no row's method is one of {', '.join(wanted)}; methods there are "
            f"{', '.join(table.labels_of)}"
        )
    key_of = _key_rule(pages, first)
    _try(pages, key_of(first[0]))
    codes: NDArray[np.uint8] | None = None
    notes: tuple[str, ...] = ()
    if lists := read_index_lists(folder):
        codes, notes = codes_of_rows(lists, *table.index())
    total = sum(n for value, (n, _) in table.labels_of.items() if value in wanted)
    items = _of_table(pages, table, wanted, key_of, codes, taken.structures)
    return Reading(total=total, items=items, notes=notes)


def _of_table(
    pages: Pages,
    table: Table,
    wanted: Mapping[str, MethodKeys],
    key_of: KeyOf,
    codes: NDArray[np.uint8] | None,
    skipped: int,
) -> Iterator[tuple[int, Item]]:
    done = 0
    with pages:
        for part in table.rows():
            rows = [row for row in part if row.method in wanted]
            here = min(max(skipped - done, 0), len(rows))
            done, rows = done + here, rows[here:]
            values = pages.get([key_of(row.idx) for row in rows])
            for row, value in zip(rows, values, strict=True):
                done += 1
                subset = "" if codes is None else word_of(int(codes[row.number]))
                yield done, _of_row(row, value, wanted[row.method], subset)


def _of_row(row: Row, value: bytes | None, keys: MethodKeys, subset: str) -> Item:
    if value is None:
        return Bad(number=row.number, reason="is in the table, but not in the LMDB")
    try:
        found = decode(value)
        numbers, positions = atoms_of(found)
        return Record(
            number=row.number,
            numbers=numbers,
            positions=positions,
            labels=_label(row, found, numbers, keys),
            molecule=row.formula or "",
            box=box_of(found),
            subset=subset,
            keys=tuple(found),
        )
    except EncodingError as error:
        return Bad(number=row.number, reason=str(error))


def _label(
    row: Row, found: Mapping[str, Any], numbers: NDArray[np.int64], keys: MethodKeys
) -> dict[str, Label]:
    """A row's label, after what table and record say of one structure is compared."""
    if row.n_atoms is not None and row.n_atoms != len(numbers):
        raise EncodingError("has another number of atoms than the table says")
    if row.formula and not _is_formula_of(row.formula, numbers):
        raise EncodingError("has other atoms than its formula in the table")
    energy = _energy(row, found, keys)
    if energy is None or np.isnan(energy):
        return {}
    factor = keys.energy_ev if row.energy_ev is None else row.energy_ev
    return {keys.name: Label(energy=energy * factor, forces=_forces(row, found, keys))}


def _energy(row: Row, found: Mapping[str, Any], keys: MethodKeys) -> float | None:
    """The energy of the table, in its unit; of the record where the table has none."""
    names = (f"{row.method}_energy", f"{keys.name}_energy", *ENERGY)
    stored = as_numbers(first_of(found, names))
    if stored is None or stored.size != 1:
        return row.energy
    own = float(stored.reshape(()))
    if row.energy is None:
        return own
    if abs(own - row.energy) > _SAME_ENERGY * max(1.0, abs(row.energy)):
        raise EncodingError("has another energy than the table says (another unit?)")
    return row.energy


def _forces(row: Row, found: Mapping[str, Any], keys: MethodKeys) -> NDArray[np.float64] | None:
    """Forces of the record, eV/Å; None where the method or the table says that there are none."""
    if not keys.forces or row.has_forces is False:
        return None
    names = (f"{row.method}_forces", f"{keys.name}_forces", *FORCES)
    forces = as_numbers(first_of(found, names))
    if forces is None:
        if row.has_forces:
            raise EncodingError("lacks the forces that the table promises")
        return None
    per_a = keys.forces_ev_a if row.energy_ev is None else row.energy_ev
    forces = forces * (per_a if row.forces_ev_a is None else row.forces_ev_a)
    return forces.reshape(-1, 3) if forces.size % 3 == 0 else forces


def _of_records(
    pages: Pages,
    keys: Iterator[bytes],
    methods: Sequence[MethodKeys],
    split_key: str | None,
    number: int,
) -> Iterator[tuple[int, Item]]:
    with pages:
        while some := list(islice(keys, _AT_ONCE)):
            for value in pages.get(some):
                yield number + 1, _of_record(number, value or b"", methods, split_key)
                number += 1


def _of_record(
    number: int, value: bytes, methods: Sequence[MethodKeys], split_key: str | None
) -> Item:
    try:
        found = decode(value)
        numbers, positions = atoms_of(found)
    except EncodingError as error:
        return Bad(number=number, reason=str(error))
    labels = {}
    for keys in methods:
        forces = found.get(keys.forces) if keys.forces else None
        label = label_or_reason(keys, found.get(keys.energy), forces)
        if isinstance(label, str):
            return Bad(number=number, reason=label)
        if label:
            labels[keys.name] = label
    return Record(
        number=number,
        numbers=numbers,
        positions=positions,
        labels=labels,
        molecule=str(found.get("molecule", "")),
        box=box_of(found),
        subset=str(found.get(split_key, "")) if split_key else "",
        keys=tuple(found),
    )


def _key_rule(pages: Pages, indices: Sequence[Any]) -> KeyOf:
    """How ``idx`` becomes a key: as digits, padded or after a prefix, or as bytes of a number."""
    rules = [_digits(b"", 0)]
    for key in pages.first_keys:
        if ends := re.fullmatch(rb"(.*?)(\d+)", key):
            prefix, width = ends[1], len(ends[2])
            rules += [_digits(prefix, width), _digits(prefix, 0)]
    rules += [_binary(code) for code in ("<i", ">i", "<q", ">q")]
    for rule in rules:
        with suppress(struct.error, TypeError):
            found = pages.get([rule(idx) for idx in indices])
            if sum(value is not None for value in found) > len(indices) // 2:
                return rule
    shown = ", ".join(repr(key[:24]) for key in pages.first_keys[:3])
    raise DatasetError(
        f"{pages.path}: its keys are not the table's idx ({indices[0]!r} is the first) in any form "
        f"known here; they look like {shown or 'nothing, for it is empty'}"
    )


def _digits(prefix: bytes, width: int) -> KeyOf:
    return lambda idx: prefix + str(idx).zfill(width).encode()


def _binary(code: str) -> KeyOf:
    return struct.Struct(code).pack


def _try(pages: Pages, *keys: bytes) -> None:
    """Raise `DatasetError` if a record is of an encoding that is not read."""
    try:
        for value in pages.get(keys):
            if value is not None:
                atoms_of(decode(value))
    except EncodingError as error:
        raise DatasetError(
            f"{pages.path}: its records cannot be read; the first {error}{_schema(pages.path)}"
        ) from None


def _schema(lmdb: Path) -> str:
    """What ``schema.json`` beside an LMDB names, for a message."""
    for folder in (lmdb, lmdb.parent):
        with suppress(OSError, ValueError, RecursionError):
            content = json.loads((folder / "schema.json").read_text(encoding="utf-8"))
            if isinstance(content, Mapping):
                names = ", ".join(map(str, list(content)[:12]))
                return f" (schema.json names {names})"
    return ""


def _is_formula_of(formula: str, numbers: NDArray[np.int64]) -> bool:
    """Whether a formula of plain symbols and counts has these atoms; other texts pass."""
    from ase.data import atomic_numbers  # noqa: PLC0415 - many commands need no ASE

    counts: dict[int, int] = {}
    if "".join(symbol + n for symbol, n in _ELEMENT.findall(formula)) != formula:
        return True
    for symbol, n in _ELEMENT.findall(formula):
        if symbol not in atomic_numbers:
            return True
        z = atomic_numbers[symbol]
        counts[z] = counts.get(z, 0) + int(n or 1)
    found, times = np.unique(numbers, return_counts=True)
    return counts == dict(zip(found.tolist(), times.tolist(), strict=True))
