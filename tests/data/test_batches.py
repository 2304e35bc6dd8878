"""Batches equal what a plain loop over ASE structures gathers."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from ase.neighborlist import neighbor_list
from hypothesis import given, settings
from hypothesis import strategies as st

from mfscale.data import Dataset, Graphs, collate, keys, neighbour_graphs, pack

MakeDataset = Callable[..., Dataset]

CUTOFF = 2.0


@pytest.fixture(scope="module")
def graphs(chno3: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Graphs:
    return neighbour_graphs(chno3, CUTOFF, cache=Path(tmp_path_factory.mktemp("cache")))


def loop(dataset: Dataset, structures: list[int]) -> dict[str, np.ndarray]:
    """A batch, one structure after the other."""
    edges, first = [], 0
    images = [dataset.structure(structure) for structure in structures]
    for atoms in images:
        i, j = neighbor_list("ij", atoms, CUTOFF)
        order = np.lexsort((j, i))
        edges.append(np.stack([i[order], j[order]]) + first)
        first += len(atoms)
    return {
        keys.POSITIONS: np.concatenate([atoms.positions for atoms in images]),
        keys.SPECIES: np.array(
            [dataset.elements.index(symbol) for atoms in images for symbol in atoms.symbols]
        ),
        keys.EDGE_INDEX: np.concatenate(edges, axis=1),
        keys.STRUCTURE: np.array([b for b, atoms in enumerate(images) for _ in atoms]),
        keys.N_ATOMS: np.array([len(atoms) for atoms in images]),
    }


def assert_equal(batch: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> None:
    assert batch.keys() == expected.keys()
    for key, values in expected.items():
        np.testing.assert_array_equal(batch[key], values, err_msg=key)
        assert batch[key].dtype == (np.float64 if key == keys.POSITIONS else np.int64), key


@settings(deadline=None, max_examples=40)
@given(structures=st.lists(st.integers(0, 16_999), min_size=1, max_size=8))
def test_collating_is_a_loop(chno3: Dataset, graphs: Graphs, structures: list[int]) -> None:
    assert_equal(collate(chno3, graphs, structures), loop(chno3, structures))


@settings(deadline=None, max_examples=40)
@given(data=st.data())
def test_batches_of_a_pack_are_a_loop(chno3: Dataset, graphs: Graphs, data: st.DataObject) -> None:
    structures = data.draw(st.lists(st.integers(0, 16_999), min_size=1, max_size=12))
    members = data.draw(st.lists(st.integers(0, len(structures) - 1), min_size=1, max_size=6))
    packed = pack(chno3, graphs, structures)
    assert len(packed) == len(structures)
    assert_equal(packed.batch(members), loop(chno3, [structures[m] for m in members]))


def test_atom_rows_gather_labels_per_atom(chno3: Dataset, graphs: Graphs) -> None:
    structures = chno3.labelled_set("dft", "b", 30, forces=True, n_validation=0).train
    packed, members = pack(chno3, graphs, structures), np.array([7, 0, 29, 7])
    forces = chno3.forces("dft", structures)[packed.atom_rows(members)]
    np.testing.assert_array_equal(forces, chno3.forces("dft", structures[members]))


def test_an_atom_without_neighbours_keeps_its_place(
    make_dataset: MakeDataset, tmp_path: Path
) -> None:
    dataset = make_dataset(40)
    lone = np.flatnonzero(dataset.n_atoms(np.arange(40)) == 1)
    graphs = neighbour_graphs(dataset, 3.0, cache=tmp_path / "cache")
    batch = collate(dataset, graphs, lone[:2])
    assert batch[keys.EDGE_INDEX].shape == (2, 0)
    np.testing.assert_array_equal(batch[keys.STRUCTURE], [0, 1])


def test_a_batch_may_be_written_to(chno3: Dataset, graphs: Graphs) -> None:
    batch = collate(chno3, graphs, [0, 1])
    for values in batch.values():
        values[:] = 1
    assert_equal(collate(chno3, graphs, [0, 1]), loop(chno3, [0, 1]))
