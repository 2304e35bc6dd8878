"""Structures and labels from HDF5 in the layout of the ANI-1x release, some thousand at a time.

A group per formula holds ``coordinates`` (m, n, 3) in Å, ``atomic_numbers`` (n,), energies (m,)
and forces (m, n, 3), NaN where a structure has no label.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mfscale.data.errors import DatasetError
from mfscale.data.imports.method_keys import MethodKeys
from mfscale.data.imports.record import (
    MOST_ATOMS,
    NOTHING,
    Item,
    Label,
    Reading,
    Record,
    Taken,
    cause,
)

if TYPE_CHECKING:
    import h5py

ANI1X_METHODS = (
    MethodKeys(
        name="dft",
        energy="wb97x_dz.energy",
        forces="wb97x_dz.forces",
        unit="Ha",
        level="ωB97X/6-31G(d), ANI-1x",
    ),
    MethodKeys(
        name="cc",
        energy="ccsd(t)_cbs.energy",
        unit="Ha",
        level="CCSD(T)*/CBS, ANI-1ccx",
    ),
)
"""What the release holds of the methods that the paper studies."""

_COORDINATES, _NUMBERS = "coordinates", "atomic_numbers"
_AT_ONCE = 4096
_DAMAGED = (OSError, RuntimeError, LookupError, ValueError, TypeError, AttributeError)
"""What h5py may raise for bytes that it did not write."""


def read_ani_hdf5(
    path: Path,
    methods: Sequence[MethodKeys],
    split_key: str | None = None,
    taken: Taken = NOTHING,
) -> Reading:
    """Total structures, and the structures counted from 1.

    Raises
    ------
    DatasetError
        When the file is no HDF5, has no group of this layout, or a group's arrays contradict one
        another, are no plain numbers, or are kept in another file; or a key of subsets is given,
        which this layout lacks.
    """
    if split_key:
        raise DatasetError(f"{path}: --split-key {split_key}: this layout names no subsets")
    import h5py  # noqa: PLC0415 - only this reader needs it

    try:
        with h5py.File(path, "r") as file:
            total = sum(len(group[_COORDINATES]) for group in _groups(path, file, methods))
    except DatasetError:
        raise
    except _DAMAGED as error:
        raise DatasetError(
            f"{path}: no readable HDF5 file, or a damaged one ({cause(error)})"
        ) from None
    if not total:
        raise DatasetError(f"{path}: no group holds {_COORDINATES} and {_NUMBERS}, as ANI-1x has")
    return Reading(total=total, items=_structures(path, methods, taken))


def _structures(
    path: Path, methods: Sequence[MethodKeys], taken: Taken
) -> Iterator[tuple[int, Item]]:
    import h5py  # noqa: PLC0415 - likewise

    number = before = 0
    try:
        with h5py.File(path, "r") as file:
            for group in _groups(path, file, methods):
                size = len(group[_COORDINATES])
                skipped = min(max(taken.structures - before, 0), size)
                number = before + skipped
                for record in _of_group(group, methods, before, skipped):
                    number += 1
                    yield number, record
                before += size
    except DatasetError:
        raise
    except _DAMAGED as error:
        raise DatasetError(f"{path}: damaged after structure {number} ({cause(error)})") from None


def _of_group(
    group: "h5py.Group", methods: Sequence[MethodKeys], before: int, skipped: int
) -> Iterator[Record]:
    """Structures of a group but for the first; their numbers go on from those before it."""
    m = len(group[_COORDINATES])
    numbers = group[_NUMBERS][:].astype(np.int64)
    name = str(group.name).rpartition("/")[2]
    keys = tuple(group)
    for begin in range(skipped, m, _AT_ONCE):
        part = slice(begin, min(m, begin + _AT_ONCE))
        positions = group[_COORDINATES][part].astype(np.float64)
        labels = {method.name: _labels(group, method, part) for method in methods}
        for row in range(len(positions)):
            yield Record(
                number=before + begin + row,
                numbers=numbers,
                positions=positions[row],
                labels={k: label for k, of in labels.items() if (label := of[row]) is not None},
                molecule=name,
                keys=keys,
            )


def _labels(group: "h5py.Group", keys: MethodKeys, part: slice) -> list[Label | None]:
    """Labels of some structures of a group; NaN is none."""
    if keys.energy not in group:
        return [None] * (part.stop - part.start)
    energies = group[keys.energy][part].astype(np.float64) * keys.energy_ev
    forces: NDArray[np.float64] | None = None
    if keys.forces and keys.forces in group:
        forces = group[keys.forces][part].astype(np.float64) * keys.forces_ev_a
    labels: list[Label | None] = []
    for row, energy in enumerate(energies.tolist()):
        missing = forces is None or np.isnan(forces[row]).all()
        own = None if forces is None or missing else forces[row]
        labels.append(None if np.isnan(energy) else Label(energy=energy, forces=own))
    return labels


def _groups(path: Path, file: "h5py.File", methods: Sequence[MethodKeys]) -> Iterator["h5py.Group"]:
    """Groups of the layout, depth first; links to elsewhere are not followed."""
    import h5py  # noqa: PLC0415 - likewise

    waiting = [file["/"]]
    seen = set()
    while waiting:
        group = waiting.pop()
        token = h5py.h5o.get_info(group.id).addr
        if token in seen:  # a group that holds itself
            continue
        seen.add(token)
        if _COORDINATES in group and _NUMBERS in group:
            _check(path, group, methods)
            yield group
            continue
        for name in sorted(group, reverse=True):
            if isinstance(group.get(name, getlink=True), h5py.HardLink):
                item = group[name]
                if isinstance(item, h5py.Group):
                    waiting.append(item)


def _check(path: Path, group: "h5py.Group", methods: Sequence[MethodKeys]) -> None:
    """Shapes and types of a group's arrays, read from their headers alone."""
    numbers, coordinates = _array(path, group, _NUMBERS), _array(path, group, _COORDINATES)
    n = numbers.shape[0] if len(numbers.shape) == 1 else -1
    if len(coordinates.shape) != 3 or coordinates.shape[1:] != (n, 3) or n > MOST_ATOMS:
        raise _wrong(path, group, _COORDINATES, coordinates.shape, f"{n} {_NUMBERS}")
    m = coordinates.shape[0]
    for method in methods:
        wanted = [(method.energy, (m,))] + ([(method.forces, (m, n, 3))] if method.forces else [])
        for key, shape in wanted:
            if key in group and (array := _array(path, group, key)).shape != shape:
                raise _wrong(path, group, key, array.shape, f"{m} structures of {n} atoms")


def _array(path: Path, group: "h5py.Group", key: str) -> "h5py.Dataset":
    import h5py  # noqa: PLC0415 - likewise

    if not isinstance(group.get(key, getlink=True), h5py.HardLink):
        raise DatasetError(
            f"{path}, {group.name}: {key} is a link to elsewhere; it is not followed"
        )
    array: Any = group[key]
    if not isinstance(array, h5py.Dataset) or array.dtype.kind not in "iuf":
        raise DatasetError(f"{path}, {group.name}: {key} is no array of plain numbers")
    if array.external or array.is_virtual:
        raise DatasetError(f"{path}, {group.name}: {key} is kept in another file; it is not read")
    return array


def _wrong(
    path: Path, group: "h5py.Group", key: str, shape: tuple[int, ...], rest: str
) -> DatasetError:
    return DatasetError(f"{path}, {group.name}: {key} has shape {shape}, but there are {rest}")
