"""A new dataset of structures alone, to be labelled."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mfscale.data import ragged
from mfscale.data.arrays import Arrays, write_arrays
from mfscale.data.dataset import Dataset
from mfscale.data.digests import leading_bits, structure_digests
from mfscale.data.errors import DatasetError
from mfscale.data.header import Header, write_header
from mfscale.data.imports.record import Record
from mfscale.data.imports.spool import formula
from mfscale.data.imports.subsets import divide, sizes_of
from mfscale.data.imports.writer import SPLITS
from mfscale.data.scratch import Scratch
from mfscale.data.splits import SUBSETS, subsets_by_molecule


def write_structures(
    directory: Path,
    records: Sequence[Record],
    *,
    name: str,
    description: str,
    licence: str = "not stated",
    conformer: Sequence[int] | None = None,
    temperature_K: Sequence[float] | None = None,
    subsets: Mapping[str, float] | None = None,
    seed: int = 0,
) -> Dataset:
    """Write structures without labels, divided into subsets; equal ones once.

    Parameters
    ----------
    directory
        Comes to be.
    records
        S structures; their labels are not looked at.
    name, description, licence
        For the header.
    conformer, temperature_K
        (S,) each, if known.
    subsets, seed
        Subset → structures or share, and what draws them.

    Raises
    ------
    DatasetError
        When there are no structures, or subsets do not fit.
    """
    if not records:
        raise DatasetError(f"{name}: there are no structures")
    n_atoms = np.array([len(record.numbers) for record in records], dtype=np.int64)
    numbers = np.concatenate([record.numbers for record in records]).astype(np.uint8)
    positions = np.concatenate([record.positions for record in records])
    digest = structure_digests(numbers, positions, ragged.offsets(n_atoms))
    kept = np.sort(np.unique(digest, axis=0, return_index=True)[1])
    atoms = ragged.ranges(ragged.offsets(n_atoms)[kept], n_atoms[kept])
    named = [record.molecule or formula(record.numbers) for record in records]
    names, molecule = np.unique([named[k] for k in kept], return_inverse=True)
    molecules = tuple(names.tolist())
    size = sizes_of(len(kept), subsets or {})
    alike = np.zeros(len(kept), np.int64)
    random = divide(leading_bits(digest[kept]), alike, size, seed, Scratch())
    arrays: Arrays = {
        "numbers": numbers[atoms],
        "positions": positions[atoms],
        "first_atom": ragged.offsets(n_atoms[kept]),
        "molecule": molecule,
        "conformer": np.zeros(len(kept)) if conformer is None else np.array(conformer)[kept],
        "source_id": np.array([record.number for record in records])[kept],
        "temperature_K": np.full(len(kept), np.nan)
        if temperature_K is None
        else np.array(temperature_K)[kept],
        "digest": digest[kept],
        "split_random": random,
    }
    splits = {"random": SPLITS["random"]}
    by_molecule = _by_molecule(molecules, molecule, random)
    if by_molecule is not None:
        splits["molecule"], arrays["split_molecule"] = SPLITS["molecule"], by_molecule
    header = Header(
        name=name,
        description=description,
        licence=licence,
        elements=_elements(numbers),
        molecules=molecules,
        methods=(),
        splits=splits,
    )
    directory.mkdir(parents=True)
    write_arrays(arrays, header, directory)
    write_header(header, directory)
    return Dataset(directory)


def _by_molecule(
    molecules: Sequence[str], molecule: NDArray[np.int64], random: NDArray[np.uint8]
) -> NDArray[np.uint8] | None:
    """A split that keeps molecules whole; None if too few serve every subset."""
    counts = np.bincount(random, minlength=len(SUBSETS))
    shares = dict(zip(SUBSETS, (counts / counts.sum()).tolist(), strict=True))
    every = np.ones(len(molecule), dtype=np.bool_)
    split = subsets_by_molecule(molecules, molecule.astype(np.int32), every, shares)
    there = np.bincount(split, minlength=len(SUBSETS))
    return None if (there[counts > 0] == 0).any() else split


def _elements(numbers: NDArray[np.uint8]) -> dict[str, int]:
    from ase.data import chemical_symbols  # noqa: PLC0415 - many commands need no ASE

    return {chemical_symbols[z]: z for z in np.unique(numbers).tolist()}
