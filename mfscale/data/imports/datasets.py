"""Structures and labels of datasets that were imported before, to join them with others."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mfscale.data import ragged
from mfscale.data.dataset import Dataset
from mfscale.data.errors import DatasetError
from mfscale.data.imports.kept_split import SPLIT, code_of_subset, word_of
from mfscale.data.imports.method_keys import MethodKeys
from mfscale.data.imports.record import NOTHING, Box, Item, Label, Reading, Record, Taken

_AT_ONCE = 1000


def methods_of_dataset(path: Path) -> tuple[MethodKeys, ...]:
    """The methods of a dataset, in eV and eV/Å, with their costs."""
    return tuple(
        MethodKeys(
            name=method.name,
            energy=method.name,
            forces=method.name if method.has_forces else None,
            cost=method.cost,
            level=method.description,
        )
        for method in Dataset(path).methods.values()
    )


def files_of_dataset(path: Path) -> list[Path]:
    """All that a dataset consists of."""
    return sorted(file for file in path.iterdir() if file.is_file())


def read_dataset(
    path: Path,
    methods: Sequence[MethodKeys],
    split_key: str | None = None,
    taken: Taken = NOTHING,
) -> Reading:
    """All structures of a dataset with their labels.

    Subsets are those of the split that `split_key` names: by default the split that the dataset's
    own source brought, or else the random one.
    """
    dataset = Dataset(path)
    split = split_key or (SPLIT if SPLIT in dataset.splits else "random")
    if split not in dataset.splits:
        raise DatasetError(
            f"{path}: has no split {split!r}; choose from {', '.join(dataset.splits)}"
        )
    items = _structures(dataset, methods, split, taken)
    return Reading(total=dataset.n_structures, items=items)


def _structures(
    dataset: Dataset, methods: Sequence[MethodKeys], split: str, taken: Taken
) -> Iterator[tuple[int, Item]]:
    own = [method for method in methods if method.energy in dataset.methods]
    codes, reserved = dataset.subset_codes(split), dataset.reserved(split)
    for begin in range(taken.structures, dataset.n_structures, _AT_ONCE):
        rows = np.arange(begin, min(begin + _AT_ONCE, dataset.n_structures))
        first = ragged.offsets(dataset.n_atoms(rows))
        boxes = _boxes(dataset, rows)
        numbers, positions = dataset.atomic_numbers(rows), dataset.positions(rows)
        energies = {method.name: dataset.energies(method.energy, rows) for method in own}
        forces = {
            method.name: dataset.forces(method.energy, rows).astype(np.float64)
            for method in own
            if method.forces and dataset.has_forces(method.energy)
        }
        for k, row in enumerate(rows.tolist()):
            atoms = slice(first[k], first[k + 1])
            labels = {
                name: Label(
                    energy=float(of[k]), forces=forces[name][atoms] if name in forces else None
                )
                for name, of in energies.items()
                if np.isfinite(of[k])
            }
            word = word_of(code_of_subset(int(codes[row]), validation=bool(reserved[row])))
            yield (
                row + 1,
                Record(
                    number=row,
                    numbers=numbers[atoms],
                    positions=positions[atoms],
                    labels=labels,
                    box=boxes[k],
                    molecule=dataset.molecules[dataset.molecule[row]],
                    subset=word,
                    keys=tuple(dataset.methods),
                ),
            )


def _boxes(dataset: Dataset, rows: NDArray[np.int64]) -> list[Box | None]:
    if not dataset.periodic:
        return [None] * len(rows)
    boxes = zip(*dataset.cells(rows), strict=True)
    return [Box(cell, pbc) if pbc.any() else None for cell, pbc in boxes]
