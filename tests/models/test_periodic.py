"""Periodic structures, from a file through graphs and batches: energies of cells and supercells."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import molecule
from ase.io import write

from mfscale.data import Dataset, collate, keys, neighbour_graphs
from mfscale.data.imports import import_dataset, parse_method
from mfscale.models.headed import Batch, HeadedModel, energy_and_forces

CUTOFF_A = 5.0
EXACT = {"rtol": 1e-10, "atol": 1e-9}


def crystal() -> Atoms:
    """Formaldehyde in a sheared cell narrower than the cutoff: atoms see images of themselves."""
    atoms = molecule("H2CO", pbc=True, cell=[[3.9, 0.4, 0], [0, 4.3, 0.5], [0.3, 0, 4.8]])
    atoms.rattle(0.05, seed=4)
    return atoms


FRAMES = {
    "cell": crystal(),
    "doubled": crystal().repeat((2, 1, 1)),
    "eight": crystal().repeat((2, 2, 2)),
    "slab": Atoms(crystal(), pbc=[True, True, False]),
    "large slab": Atoms(crystal(), pbc=[True, True, False]).repeat((1, 2, 1)),
    "molecule": Atoms(crystal(), pbc=False, cell=None),
}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """The frames in this order, and some others so that every subset has labels."""
    folder = tmp_path_factory.mktemp("periodic")
    frames = [frame.copy() for frame in FRAMES.values()]
    outside = crystal()
    outside.positions[1] += outside.cell[0] - 2 * outside.cell[2]
    frames += [outside, molecule("HCN")]  # with N, as the models know it
    rng = np.random.default_rng(0)
    for k in range(12):
        other = crystal()
        other.rattle(0.1, seed=k)
        frames.append(other)
    for atoms in frames:
        atoms.info["dft_energy"] = -20.0 * len(atoms) + rng.normal()
    write(folder / "mine.xyz", frames, format="extxyz")
    method = parse_method("dft:energy=dft_energy", "eV")
    import_dataset([folder / "mine.xyz"], folder / "mine", name="mine", methods=[method])
    return Dataset(folder / "mine")


@pytest.fixture(scope="module")
def compute(
    dataset: Dataset,
    make_model: Callable[..., HeadedModel],
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[..., tuple[np.ndarray, np.ndarray]]:
    """Energies and forces of structures of the dataset, in one batch."""
    model = make_model()
    graphs = neighbour_graphs(dataset, CUTOFF_A, cache=tmp_path_factory.mktemp("cache"))

    def compute(structures: list[int]) -> tuple[np.ndarray, np.ndarray]:
        arrays = collate(dataset, graphs, structures)
        batch: Batch = {key: torch.from_numpy(array) for key, array in arrays.items()}
        batch[keys.HEAD] = torch.zeros(len(structures), dtype=torch.int64)
        energy, forces = energy_and_forces(model, batch, create_graph=False)
        return energy.detach().numpy(), forces.numpy()

    return compute


def test_a_supercell_has_the_energy_and_forces_of_its_cells(compute: Callable) -> None:
    energy, forces = compute([0, 1, 2, 3, 4])
    n = len(crystal())
    np.testing.assert_allclose(energy[[1, 2]], energy[0] * np.array([2, 8]), **EXACT)
    np.testing.assert_allclose(energy[4], energy[3] * 2, **EXACT)
    np.testing.assert_allclose(forces[n : 3 * n], np.tile(forces[:n], (2, 1)), **EXACT)
    np.testing.assert_allclose(forces[3 * n : 11 * n], np.tile(forces[:n], (8, 1)), **EXACT)
    assert abs(energy[0] - energy[3]) > 1e-3
    assert abs(forces[:n].sum(axis=0)).max() < 1e-9


def test_an_atom_may_leave_the_cell(compute: Callable) -> None:
    (inside, outside), forces = compute([0, 6])
    np.testing.assert_allclose(outside, inside, rtol=1e-7)  # a file's eight decimals
    np.testing.assert_allclose(forces[:4], forces[4:], rtol=1e-4, atol=1e-5)


def test_a_molecule_beside_crystals_is_a_molecule(
    compute: Callable,
    make_model: Callable[..., HeadedModel],
    make_batch: Callable[..., Batch],
    dataset: Dataset,
) -> None:
    energy, forces = compute([0, 5, 3])
    alone = Atoms(FRAMES["molecule"].numbers, dataset.positions([5]))
    expected, expected_forces = energy_and_forces(
        make_model(), make_batch([alone]), create_graph=False
    )
    np.testing.assert_allclose(energy[1], expected.item(), **EXACT)
    np.testing.assert_allclose(forces[4:8], expected_forces.numpy(), **EXACT)


def test_forces_are_the_slope_of_the_energy(
    dataset: Dataset, make_model: Callable[..., HeadedModel], tmp_path: Path
) -> None:
    """Central differences, with the edges held: they are smooth in the positions."""
    model = make_model()
    graphs = neighbour_graphs(dataset, CUTOFF_A, cache=tmp_path)
    arrays = collate(dataset, graphs, [0])
    batch = {key: torch.from_numpy(array) for key, array in arrays.items()}
    batch[keys.HEAD] = torch.zeros(1, dtype=torch.int64)
    _, forces = energy_and_forces(model, batch, create_graph=False)
    step = 1e-4
    energies = []
    for sign in (1, -1):
        positions = batch[keys.POSITIONS].clone()
        positions[2, 1] += sign * step
        energies.append(model({**batch, keys.POSITIONS: positions}).item())
    slope = (energies[0] - energies[1]) / (2 * step)
    assert forces[2, 1].item() == pytest.approx(-slope, rel=1e-5, abs=1e-7)
