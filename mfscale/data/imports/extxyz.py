"""Structures and labels from an extended XYZ file, one frame at a time."""

import json
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mfscale.data.errors import DatasetError
from mfscale.data.imports.method_keys import MethodKeys
from mfscale.data.imports.record import (
    MOST_ATOMS,
    NOTHING,
    Bad,
    Box,
    Item,
    Label,
    Reading,
    Record,
    Taken,
    box_or_none,
    cause,
    label_or_reason,
)

_DEFAULT_PROPERTIES = "species:S:1:pos:R:3"


class _FrameError(ValueError):
    """A frame that is no extended XYZ."""


def read_extxyz(
    path: Path,
    methods: Sequence[MethodKeys],
    split_key: str | None = None,
    taken: Taken = NOTHING,
) -> Reading:
    """Total bytes, and the frames with the byte each ends at.

    Values are parsed as numbers and text alone. A frame that cannot be read is `Bad`; after one
    whose number of atoms is wrong nothing more can be found, and `DatasetError` names the line.
    """
    return Reading(total=path.stat().st_size, items=_frames(path, methods, split_key, taken))


def _frames(
    path: Path, methods: Sequence[MethodKeys], split_key: str | None, taken: Taken
) -> Iterator[tuple[int, Item]]:
    number, done = taken.structures, taken.done
    before: int | None = None
    with path.open("rb") as file:
        file.seek(done)
        for first in file:
            begins, done = done, done + len(first)
            if not first.strip():
                continue
            n = _n_atoms(path, first, begins, before)
            before = begins
            rows = list(islice(file, n + 1))
            done += sum(map(len, rows))
            if len(rows) < n + 1 or _cut_off(rows):
                yield done, Bad(number=number, reason="is cut off by the end of the file")
                return
            yield done, _item(number, n, rows, methods, split_key)
            number += 1


def _n_atoms(path: Path, text: bytes, begins: int, before: int | None) -> int:
    """The number that a structure begins with, at this byte; the one before began at another."""
    try:
        n = int(text)
    except ValueError:
        last = "" if before is None else f"; the one before begins at line {_line(path, before)}"
        raise DatasetError(
            f"{path}, line {_line(path, begins)}: {text[:40]!r} is not the number of atoms that a "
            f"structure of extended XYZ begins with{last}; nothing was imported"
        ) from None
    if not 0 <= n <= MOST_ATOMS:
        raise DatasetError(
            f"{path}, line {_line(path, begins)}: a structure of {n} atoms; at most {MOST_ATOMS} "
            f"are read"
        )
    return n


def _line(path: Path, byte: int) -> int:
    """The line, from 1, that begins at a byte."""
    line = 1
    with path.open("rb") as file:
        while byte and (part := file.read(min(byte, 1 << 20))):
            line += part.count(b"\n")
            byte -= len(part)
    return line


def _cut_off(rows: Sequence[bytes]) -> bool:
    """Whether the file ends within the last line: it has fewer fields than the one before."""
    ended = rows[-1].endswith(b"\n") or len(rows) < 3
    return not ended and len(rows[-1].split()) < len(rows[-2].split())


def _item(
    number: int,
    n: int,
    rows: Sequence[bytes],
    methods: Sequence[MethodKeys],
    split_key: str | None,
) -> Item:
    try:
        info = _header(rows[0])
        columns = _columns(str(info.pop("Properties", _DEFAULT_PROPERTIES)), n, rows[1:])
        labels: dict[str, Label] = {}
        for keys in methods:
            forces = columns.get(keys.forces) if keys.forces else None
            label = label_or_reason(keys, info.get(keys.energy), forces)
            if isinstance(label, str):
                return Bad(number=number, reason=label)
            if label:
                labels[keys.name] = label
        return Record(
            number=number,
            numbers=_atomic_numbers(columns),
            positions=columns["pos"],
            labels=labels,
            molecule=str(info.get("molecule", "")),
            box=_box(info),
            subset=str(info.get(split_key, "")) if split_key else "",
            keys=(*info, *columns),
        )
    except _FrameError as error:
        return Bad(number=number, reason=str(error))


def _header(row: bytes) -> dict[str, Any]:
    from ase.io.extxyz import key_val_str_to_dict  # noqa: PLC0415 - only this reader needs it

    try:
        found: dict[str, Any] = key_val_str_to_dict(row.decode("utf-8"))
    except (ValueError, TypeError, IndexError, RecursionError, json.JSONDecodeError) as error:
        raise _FrameError(f"its second line cannot be read ({cause(error)})") from None
    return found


def _columns(properties: str, n: int, rows: Sequence[bytes]) -> dict[str, NDArray[Any]]:
    """Columns by name: text (n, width) as bytes, numbers as float64."""
    parts = properties.split(":")
    if len(parts) % 3 or not all(p.isdigit() and 0 < int(p) < 1000 for p in parts[2::3]):
        raise _FrameError("Properties is malformed")
    names, kinds, widths = parts[::3], parts[1::3], [int(width) for width in parts[2::3]]
    words = [row.split() for row in rows]
    if any(len(row) != sum(widths) for row in words):
        raise _FrameError("lines of atoms have another number of columns than Properties says")
    columns: dict[str, NDArray[Any]] = {}
    begin = 0
    for name, kind, width in zip(names, kinds, widths, strict=True):
        cells = [row[begin : begin + width] for row in words]
        begin += width
        try:
            columns[name] = np.array(cells, dtype="S" if kind in "SL" else np.float64)
        except ValueError:
            raise _FrameError(f"column {name} holds something that is not a number") from None
        columns[name] = columns[name].reshape(n, width)
    if "pos" not in columns or not {"species", "Z", "numbers"} & columns.keys():
        raise _FrameError("Properties lacks species or pos")
    return columns


def _atomic_numbers(columns: dict[str, NDArray[Any]]) -> NDArray[np.int64]:
    """Atomic numbers; 0 for a symbol that is none."""
    from ase.data import atomic_numbers  # noqa: PLC0415 - likewise

    if "species" in columns:
        symbols = columns["species"][:, 0].tolist()
        known = [atomic_numbers.get(s.decode("utf-8", "replace").capitalize(), 0) for s in symbols]
        return np.array(known, dtype=np.int64)
    given = columns["numbers" if "numbers" in columns else "Z"][:, 0]
    whole = np.isfinite(given) & (given == np.rint(given)) & (np.abs(given) < 1000)
    return np.where(whole, given, 0).astype(np.int64)


def _box(info: dict[str, Any]) -> Box | None:
    """ASE hands the cell vectors of ``Lattice`` on as columns."""
    lattice = info.get("Lattice")
    return box_or_none(None if lattice is None else np.transpose(lattice), info.get("pbc"))
