"""The dataset directory, written from a spool and what was selected of it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mfscale.data import ragged
from mfscale.data.digests import forces_digests, leading_bits, structure_digests
from mfscale.data.header import Header, write_header
from mfscale.data.imports import kept_split
from mfscale.data.imports.method_keys import MethodKeys
from mfscale.data.imports.selection import Selection
from mfscale.data.imports.spool import Spool
from mfscale.data.imports.subsets import check_split, divide, in_subsets, sizes_of
from mfscale.data.scratch import Scratch, parts, reserve
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
    scratch: Scratch,
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
    scratch
        For arrays of one number a structure.

    Raises
    ------
    DatasetError
        When the subsets asked for do not fit.
    """
    out = _Arrays(directory)
    occurs = _structures(out, spool, selection.rows, scratch)
    for method in methods:
        _labels(out, spool, method, *selection.labels[method.name], scratch)
    structures_of = {m.name: out[f"{m.name}_structure"] for m in methods}
    sizes = sizes_of(len(selection.rows), asked)
    random = _random_split(out["digest"], list(structures_of.values()), sizes, seed, scratch)
    check_split(random, structures_of)
    out.save("split_random", random)
    molecules = _molecules(out, spool, selection.rows)
    splits = {"random": SPLITS["random"]}
    by_molecule = _split_by_molecule(molecules, out["molecule"], random, structures_of, methods)
    if by_molecule is not None:
        splits["molecule"] = SPLITS["molecule"]
        out.save("split_molecule", by_molecule)
    own_validation = _source_split(selection, splits, out)
    header = Header(
        name=name,
        description=description,
        licence=licence,
        elements=_elements(occurs),
        molecules=molecules,
        methods=tuple(method.method() for method in methods),
        splits=splits,
        own_validation=own_validation,
        periodic=spool.n_periodic > 0,
    )
    write_header(header, directory)


class _Arrays:
    """The array files of a dataset, mapped as they are made."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._arrays: dict[str, NDArray[Any]] = {}

    def new(self, name: str, dtype: str, shape: tuple[int, ...]) -> NDArray[Any]:
        """Make a file, mapped for writing; `OSError` if the disk has no room for it."""
        file = self._directory / f"{name}.npy"
        array = np.lib.format.open_memmap(file, mode="w+", dtype=dtype, shape=shape)
        with file.open("r+b") as made:
            reserve(made.fileno(), file.stat().st_size)
        self._arrays[name] = array.view(np.ndarray)
        return self._arrays[name]

    def __getitem__(self, name: str) -> NDArray[Any]:
        return self._arrays[name]

    def save(self, name: str, values: NDArray[Any]) -> None:
        """Write an array that is there already, and need not be looked at again."""
        np.save(self._directory / f"{name}.npy", values)


def _random_split(
    digests: NDArray[np.uint8],
    labelled: Sequence[NDArray[np.int64]],
    sizes: Mapping[str, int],
    seed: int,
    scratch: Scratch,
) -> NDArray[np.uint8]:
    """Codes (S,) that divide each combination of methods, whose labelled structures come, alike."""
    bits = scratch.zeros(len(digests), np.uint64)
    pattern = scratch.zeros(len(digests), np.int64)
    for part in parts(len(digests)):
        bits[part] = leading_bits(digests[part])
    for bit, structures in enumerate(labelled):
        for part in parts(len(structures)):
            pattern[structures[part]] += 1 << bit
    return divide(bits, pattern, sizes, seed, scratch)


def _source_split(selection: Selection, splits: dict[str, str], out: _Arrays) -> tuple[str, ...]:
    """Add the split that the source brings; its name if it says which are for validation."""
    subset, validation = kept_split.subset_and_validation(selection.subset)
    if (subset == NO_SUBSET).all():
        return ()
    name = kept_split.SPLIT
    splits[name] = SPLITS[name]
    out.save(f"split_{name}", subset)
    if not validation.any():
        return ()
    out.save(f"validation_{name}", validation)
    return (name,)


def _structures(
    out: _Arrays, spool: Spool, rows: NDArray[np.int64], scratch: Scratch
) -> NDArray[np.int64]:
    """Write all of structures but their molecules and splits; how often each Z occurs."""
    first, n_atoms = scratch.offsets(spool.read("n_atoms")), spool.read("n_atoms")
    numbers, positions, number = (spool.read(n) for n in ("numbers", "positions", "number"))
    n, total = len(rows), sum(int(n_atoms[rows[part]].sum()) for part in parts(len(rows)))
    out_numbers = out.new("numbers", "|u1", (total,))
    out_positions = out.new("positions", "<f8", (total, 3))
    first_atom = out.new("first_atom", "<i8", (n + 1,))
    source_id = out.new("source_id", "<i8", (n,))
    digest = out.new("digest", "|u1", (n, 16))
    out.new("conformer", "|i1", (n,))
    out.new("temperature_K", "<f4", (n,))[:] = np.nan
    periodic = spool.n_periodic > 0
    if periodic:
        cells, pbc = out.new("cell", "<f8", (n, 3, 3)), out.new("pbc", "|b1", (n, 3))
    occurs = np.zeros(256, dtype=np.int64)
    place = 0
    for part in parts(n, _AT_ONCE):
        counts = n_atoms[rows[part]].astype(np.int64)
        atoms = ragged.ranges(first[rows[part]], counts)
        z, r = numbers[atoms], positions[atoms]
        out_numbers[place : place + len(atoms)] = z
        out_positions[place : place + len(atoms)] = r
        boxes: tuple[NDArray[Any], ...] = ()
        if periodic:
            cells[part], pbc[part] = boxes = spool.boxes(rows[part])
        digest[part] = structure_digests(z, r, ragged.offsets(counts), *boxes)
        first_atom[part.start + 1 : part.stop + 1] = place + counts.cumsum()
        source_id[part] = number[rows[part]]
        occurs += np.bincount(z, minlength=256)
        place += len(atoms)
    return occurs


def _molecules(out: _Arrays, spool: Spool, rows: NDArray[np.int64]) -> tuple[str, ...]:
    """Write each structure's molecule; names of those that occur."""
    names, came = spool.molecules, spool.read("molecule")
    molecule = out.new("molecule", "<i4", (len(rows),))
    occurs = np.zeros(len(names), dtype=np.bool_)
    for part in parts(len(rows)):
        occurs[came[rows[part]]] = True
    place = occurs.cumsum() - 1
    for part in parts(len(rows)):
        molecule[part] = place[came[rows[part]]]
    return tuple(names[m] for m in np.flatnonzero(occurs).tolist())


def _labels(
    out: _Arrays,
    spool: Spool,
    method: MethodKeys,
    rows: NDArray[np.int64],
    places: NDArray[np.int64],
    scratch: Scratch,
) -> None:
    """Write one method's arrays, some thousand labels at a time."""
    name, n = method.name, len(rows)
    came = spool.read(f"{name}_energy")
    structure, energy = (
        out.new(f"{name}_structure", "<i8", (n,)),
        out.new(f"{name}_energy", "<f8", (n,)),
    )
    for part in parts(n):
        structure[part], energy[part] = places[part], came[rows[part]]
    if not method.forces:
        return
    n_forces, forces = spool.read(f"{name}_n_forces"), spool.read(f"{name}_forces")
    first = scratch.offsets(n_forces)
    total = sum(int(n_forces[rows[part]].sum()) for part in parts(n))
    out_forces = out.new(f"{name}_forces", "<f4", (total, 3))
    first_force = out.new(f"{name}_first_force", "<i8", (n + 1,))
    digest = out.new(f"{name}_forces_digest", "|u1", (n, 16))
    place = 0
    for part in parts(n, _AT_ONCE):
        counts = n_forces[rows[part]].astype(np.int64)
        values = forces[ragged.ranges(first[rows[part]], counts)]
        out_forces[place : place + len(values)] = values
        digest[part] = forces_digests(values, ragged.offsets(counts))
        first_force[part.start + 1 : part.stop + 1] = place + counts.cumsum()
        place += len(values)


def _split_by_molecule(
    molecules: Sequence[str],
    molecule: NDArray[np.int32],
    random: NDArray[np.uint8],
    structures_of: Mapping[str, NDArray[np.int64]],
    methods: Sequence[MethodKeys],
) -> NDArray[np.uint8] | None:
    """A split that keeps molecules whole; None if too few molecules serve every subset."""
    dearest = max(methods, key=lambda method: method.method().cost).name
    counted = np.zeros(len(molecule), dtype=np.bool_)
    counted[structures_of[dearest]] = True
    wanted = in_subsets(random, structures_of[dearest])
    shares = dict(zip(SUBSETS, (wanted / wanted.sum()).tolist(), strict=True))
    split = subsets_by_molecule(molecules, molecule, counted, shares)
    for structures in structures_of.values():
        there = in_subsets(random, structures)
        if (in_subsets(split, structures)[there > 0] == 0).any():
            return None
    return split


def _elements(occurs: NDArray[np.int64]) -> dict[str, int]:
    from ase.data import chemical_symbols  # noqa: PLC0415 - many commands need no ASE

    return {chemical_symbols[z]: z for z in np.flatnonzero(occurs).tolist()}
