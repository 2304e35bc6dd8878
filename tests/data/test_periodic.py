"""Cells are kept from every format, graphs are those of ASE, and molecules keep their digests."""

import json
from collections.abc import Callable
from pathlib import Path

import lmdb
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, fcc111, molecule
from ase.db import connect
from ase.io import write
from ase.neighborlist import neighbor_list

from mfscale.data import Dataset, DatasetError, describe, neighbour_graphs
from mfscale.data.imports import import_dataset, parse_method

METHOD = "dft:energy=dft_energy,forces=dft_forces"


def frames() -> list[Atoms]:
    """Crystals, slabs, a wire in a sheared cell and molecules, each moved a little."""
    slab = fcc111("Al", (2, 2, 3), vacuum=6.0)
    wire = Atoms("CO", [[0, 0, 0], [1.1, 0.2, 0]], cell=[2.5, 0, 0], pbc=[True, False, False])
    quartz = bulk("SiO", "zincblende", a=4.1)
    kinds = [bulk("Al"), slab, wire, quartz, molecule("CH3OH"), bulk("Al", cubic=True)]
    rng = np.random.default_rng(5)
    found = []
    for k in range(60):
        atoms = kinds[k % len(kinds)].copy()
        atoms.info.clear()
        atoms.rattle(0.05, seed=k)
        atoms.info["dft_energy"] = -30.0 * atoms.numbers.sum() + rng.normal()
        atoms.arrays["dft_forces"] = rng.normal(size=(len(atoms), 3))
        found.append(atoms)
    return found


def to_xyz(folder: Path, structures: list[Atoms]) -> Path:
    write(folder / "mine.xyz", structures, format="extxyz")
    return folder / "mine.xyz"


def to_db(folder: Path, structures: list[Atoms]) -> Path:
    with connect(folder / "mine.db") as database:
        for atoms in structures:
            plain = Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=atoms.pbc)
            data = {"dft_forces": atoms.arrays["dft_forces"]}
            database.write(
                plain, key_value_pairs={"dft_energy": atoms.info["dft_energy"]}, data=data
            )
    return folder / "mine.db"


def to_lmdb(folder: Path, structures: list[Atoms]) -> Path:
    with (
        lmdb.open(str(folder / "mine.lmdb"), subdir=False, map_size=1 << 24) as environment,
        environment.begin(write=True) as transaction,
    ):
        for k, atoms in enumerate(structures):
            record = {
                "numbers": atoms.numbers.tolist(),
                "positions": atoms.positions.tolist(),
                "cell": np.asarray(atoms.cell).tolist(),
                "pbc": atoms.pbc.tolist(),
                "dft_energy": atoms.info["dft_energy"],
                "dft_forces": atoms.arrays["dft_forces"].tolist(),
            }
            transaction.put(f"{k:04d}".encode(), json.dumps(record).encode())
    return folder / "mine.lmdb"


def imported(source: Path, folder: Path) -> Dataset:
    import_dataset([source], folder, name="mine", methods=[parse_method(METHOD, "eV")])
    return Dataset(folder)


@pytest.mark.parametrize("to", [to_xyz, to_db, to_lmdb])
def test_cells_are_kept(to: Callable[[Path, list[Atoms]], Path], tmp_path: Path) -> None:
    dataset = imported(to(tmp_path, frames()), tmp_path / "mine")
    assert dataset.periodic
    assert "50 structures are periodic" in describe(dataset).to_text()
    import_dataset([dataset.path], tmp_path / "again", name="again")
    for opened in (dataset, Dataset(tmp_path / "again")):
        assert opened.n_structures == 60
        for k, atoms in enumerate(frames()):
            found = opened.structure(k)
            assert (found.pbc == atoms.pbc).all()
            assert np.allclose(found.cell[atoms.pbc], atoms.cell[atoms.pbc], atol=1e-8)
            assert np.allclose(found.positions, atoms.positions, atol=1e-7)


@pytest.mark.parametrize("cutoff", [2.0, 6.0])
def test_graphs_are_those_of_ase(cutoff: float, tmp_path: Path) -> None:
    dataset = imported(to_xyz(tmp_path, frames()), tmp_path / "mine")
    for _ in ("built", "read again"):
        graphs = neighbour_graphs(dataset, cutoff, cache=tmp_path / "cache")
        assert graphs.shifts is not None
        for k in range(60):
            part = slice(*graphs.first_edge[k : k + 2])
            found = np.hstack([graphs.neighbours[part], graphs.shifts[part]])
            i, j, shift = neighbor_list("ijS", dataset.structure(k), cutoff)
            expected = np.hstack([np.stack([i, j], axis=1), shift])
            assert found[np.lexsort(found.T)].tolist() == expected[np.lexsort(expected.T)].tolist()


def test_molecules_are_known_by_the_same_digests_beside_crystals(tmp_path: Path) -> None:
    mixed = imported(to_xyz(tmp_path, frames()), tmp_path / "mine")
    alone = [atoms for atoms in frames() if not atoms.pbc.any()]
    molecules = imported(to_xyz(tmp_path, alone), tmp_path / "molecules")
    assert not molecules.periodic
    assert not (tmp_path / "molecules" / "cell.npy").exists()
    rows = [k for k, atoms in enumerate(frames()) if not atoms.pbc.any()]
    assert (mixed.structure_digests()[rows] == molecules.structure_digests()).all()


def test_another_cell_is_another_structure(tmp_path: Path) -> None:
    structures = frames()
    strained = structures[0].copy()
    strained.cell *= 1.01
    again = structures[1].copy()
    import_dataset(
        [to_xyz(tmp_path, [*structures, strained, again])],
        tmp_path / "mine",
        name="mine",
        methods=[parse_method(METHOD, "eV")],
    )
    dataset = Dataset(tmp_path / "mine")
    assert dataset.n_structures == 61
    assert len(np.unique(dataset.structure_digests(), axis=0)) == 61


@pytest.mark.parametrize("cell", [[9, 9, 0], [[9, 0, 0], [9, 0, 0], [0, 0, 9]], [9, 9, 1e6]])
def test_cells_that_span_nothing_are_refused(cell: list, tmp_path: Path) -> None:
    structures = frames()
    structures[3].cell, structures[3].pbc = cell, True
    with pytest.raises(DatasetError, match="1 × is periodic, but its cell is flat"):
        imported(to_xyz(tmp_path, structures), tmp_path / "mine")


@pytest.mark.parametrize(
    "lattice", ["9 0 0 0 9 0", "9 0 0 0 9 0 0 0 nan", "cubic", "9 0 0 0 9 0 0 0 x"]
)
def test_a_lattice_that_is_none_makes_no_molecule(lattice: str, tmp_path: Path) -> None:
    source = to_xyz(tmp_path, frames())
    first, text = source.read_text().split("\n", 1)
    begin = text.index('Lattice="') + len('Lattice="')
    end = text.index('"', begin)
    text = text[:begin] + lattice + text[end:]
    source.write_text(first + "\n" + text.replace(' pbc="T T T"', "", 1))
    with pytest.raises(DatasetError, match="1 × "):
        imported(source, tmp_path / "mine")
