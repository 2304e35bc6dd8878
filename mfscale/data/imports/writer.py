"""The dataset directory, written from a spool and what was selected of it."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mfscale.data import ragged
from mfscale.data.arrays import array_layout
from mfscale.data.digests import forces_digests, leading_bits, structure_digests
from mfscale.data.header import Header, write_header
from mfscale.data.imports import kept_split
from mfscale.data.imports.method_keys import MethodKeys
from mfscale.data.imports.selection import Selection
from mfscale.data.imports.spool import Spool
from mfscale.data.imports.subsets import check_split, divide, in_subsets, sizes_of
from mfscale.data.splits import NO_SUBSET, SUBSETS, subsets_by_molecule

_AT_ONCE = 20_000
"""Structures gathered at a time."""

SPLITS = {
    "random": "structures drawn at random, keyed by a seed and their content, the same share of "
    "each combination of methods",
    "molecule": "whole molecules, in the order of the SHA-256 of their names, each to the subset "
    "that lacks most of its share of the structures of the dearest method in the random split",
    kept_split.SPLIT: "as the source has it",
}


def write_dataset(
    directory: Path,
    spool: Spool,
    selection: Selection,
    methods: Sequence[MethodKeys],
    *,
    name: str,
    description: str,
    licence: str,
    asked: Mapping[str, float],
    seed: int,
) -> None:
    """Write all arrays, and the header last.

    Parameters
    ----------
    directory
        Exists and is empty.
    spool, selection, methods
        What came, what is kept, and the methods whose labels are.
    name, description, licence
        For the header.
    asked
        Subset → structures or share, as `mfscale.data.imports.subsets.sizes_of` takes it.
    seed
        Of the division into subsets.

    Raises
    ------
    DatasetError
        When the subsets asked for do not fit.
    """
    numbers = _structures(directory, spool, selection.rows)
    arrays = _per_structure(spool, selection.rows)
    arrays["digest"] = np.load(directory / "digest.npy")
    for method in methods:
        arrays |= _labels(directory, spool, method, *selection.labels[method.name])
    sizes = sizes_of(len(selection.rows), asked)
    pattern = np.zeros(len(selection.rows), dtype=np.int64)
    for bit, method in enumerate(methods):
        pattern[arrays[f"{method.name}_structure"]] += 1 << bit
    arrays["split_random"] = divide(leading_bits(arrays["digest"]), pattern, sizes, seed)
    structures_of = {method.name: arrays[f"{method.name}_structure"] for method in methods}
    check_split(arrays["split_random"], structures_of)
    used, arrays["molecule"] = np.unique(arrays["molecule"], return_inverse=True)
    molecules = tuple(spool.molecules[m] for m in used.tolist())
    splits = {"random": SPLITS["random"]}
    by_molecule = _split_by_molecule(molecules, arrays, methods)
    if by_molecule is not None:
        splits["molecule"], arrays["split_molecule"] = SPLITS["molecule"], by_molecule
    own_validation = _source_split(selection, splits, arrays)
    header = Header(
        name=name,
        description=description,
        licence=licence,
        elements=_elements(numbers),
        molecules=molecules,
        methods=tuple(method.method() for method in methods),
        splits=splits,
        own_validation=own_validation,
        periodic=spool.n_periodic > 0,
    )
    for key, (dtype, _) in array_layout(header).items():
        if key in arrays:
            np.save(directory / f"{key}.npy", np.ascontiguousarray(arrays[key], dtype=dtype))
    write_header(header, directory)


def _source_split(
    selection: Selection, splits: dict[str, str], arrays: dict[str, NDArray[Any]]
) -> tuple[str, ...]:
    """Add the split that the source brings; its name if it says which are for validation."""
    subset, validation = kept_split.subset_and_validation(selection.subset)
    if (subset == NO_SUBSET).all():
        return ()
    name = kept_split.SPLIT
    splits[name], arrays[f"split_{name}"] = SPLITS[name], subset
    arrays[f"validation_{name}"] = validation
    return (name,) if validation.any() else ()


def _structures(directory: Path, spool: Spool, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Write atoms and digests some thousand structures at a time; how often each Z occurs."""
    n_atoms = spool.read("n_atoms")[rows].astype(np.int64)
    first, total = spool.first("n_atoms"), int(n_atoms.sum())
    numbers, positions = spool.read("numbers"), spool.read("positions")
    out_numbers = _create(directory, "numbers", "|u1", (total,))
    out_positions = _create(directory, "positions", "<f8", (total, 3))
    digest = _create(directory, "digest", "|u1", (len(rows), 16))
    periodic = spool.n_periodic > 0
    if periodic:
        cells = _create(directory, "cell", "<f8", (len(rows), 3, 3))
        pbc = _create(directory, "pbc", "|b1", (len(rows), 3))
    occurs = np.zeros(256, dtype=np.int64)
    place = 0
    for part in _parts(len(rows)):
        counts = n_atoms[part]
        atoms = ragged.ranges(first[rows[part]], counts)
        z, r = numbers[atoms], positions[atoms]
        out_numbers[place : place + len(atoms)] = z
        out_positions[place : place + len(atoms)] = r
        boxes: tuple[NDArray[Any], ...] = ()
        if periodic:
            cells[part], pbc[part] = boxes = spool.boxes(rows[part])
        digest[part] = structure_digests(z, r, ragged.offsets(counts), *boxes)
        occurs += np.bincount(z, minlength=256)
        place += len(atoms)
    return occurs


def _per_structure(spool: Spool, rows: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
    """The arrays with one value a structure, other than digests and splits."""
    n_atoms = spool.read("n_atoms")[rows].astype(np.int64)
    return {
        "first_atom": ragged.offsets(n_atoms),
        "molecule": spool.read("molecule")[rows],
        "conformer": np.zeros(len(rows), dtype=np.int8),
        "source_id": spool.read("number")[rows],
        "temperature_K": np.full(len(rows), np.nan),
    }


def _labels(
    directory: Path,
    spool: Spool,
    method: MethodKeys,
    rows: NDArray[np.int64],
    places: NDArray[np.int64],
) -> dict[str, NDArray[Any]]:
    """One method's arrays; forces are written some thousand labels at a time."""
    name = method.name
    arrays = {f"{name}_structure": places, f"{name}_energy": spool.read(f"{name}_energy")[rows]}
    if not method.forces:
        return arrays
    counts = spool.read(f"{name}_n_forces")[rows].astype(np.int64)
    first, forces = spool.first(f"{name}_n_forces"), spool.read(f"{name}_forces")
    out = _create(directory, f"{name}_forces", "<f4", (int(counts.sum()), 3))
    digest = np.empty((len(rows), 16), dtype=np.uint8)
    place = 0
    for part in _parts(len(rows)):
        values = forces[ragged.ranges(first[rows[part]], counts[part])]
        out[place : place + len(values)] = values
        digest[part] = forces_digests(values, ragged.offsets(counts[part]))
        place += len(values)
    arrays[f"{name}_first_force"] = ragged.offsets(counts)
    arrays[f"{name}_forces_digest"] = digest
    return arrays


def _split_by_molecule(
    molecules: Sequence[str], arrays: Mapping[str, NDArray[Any]], methods: Sequence[MethodKeys]
) -> NDArray[np.uint8] | None:
    """A split that keeps molecules whole; None if too few molecules serve every subset."""
    dearest = max(methods, key=lambda method: method.method().cost).name
    counted = np.zeros(len(arrays["molecule"]), dtype=np.bool_)
    counted[arrays[f"{dearest}_structure"]] = True
    wanted = in_subsets(arrays["split_random"], np.flatnonzero(counted))
    shares = dict(zip(SUBSETS, (wanted / wanted.sum()).tolist(), strict=True))
    split = subsets_by_molecule(molecules, arrays["molecule"], counted, shares)
    for method in methods:
        structures = arrays[f"{method.name}_structure"]
        random = in_subsets(arrays["split_random"], structures)
        if (in_subsets(split, structures)[random > 0] == 0).any():
            return None
    return split


def _elements(occurs: NDArray[np.int64]) -> dict[str, int]:
    from ase.data import chemical_symbols  # noqa: PLC0415 - many commands need no ASE

    return {chemical_symbols[z]: z for z in np.flatnonzero(occurs).tolist()}


def _create(directory: Path, name: str, dtype: str, shape: tuple[int, ...]) -> NDArray[Any]:
    """A new array file, mapped for writing."""
    file = directory / f"{name}.npy"
    array: NDArray[Any] = np.lib.format.open_memmap(file, mode="w+", dtype=dtype, shape=shape)
    return array


def _parts(n: int) -> Iterator[slice]:
    return (slice(begin, min(n, begin + _AT_ONCE)) for begin in range(0, n, _AT_ONCE))
