"""Neighbour graphs equal ASE's, and their cache survives whatever happens to it."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from ase.neighborlist import neighbor_list

from mfscale.data import Dataset, DatasetError, Graphs, close_pairs, neighbour_graphs

MakeDataset = Callable[..., Dataset]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def graphs(chno3: Dataset, cache: Path) -> Graphs:
    return neighbour_graphs(chno3, 5.0, cache=cache)


def edges(graphs: Graphs, structure: int) -> list[list[int]]:
    begin, end = graphs.first_edge[structure : structure + 2]
    return graphs.neighbours[begin:end].tolist()


@pytest.mark.parametrize("cutoff", [1.2, 2.5, 5.0])
def test_graphs_are_those_of_ase(chno3: Dataset, cache: Path, cutoff: float) -> None:
    graphs = neighbour_graphs(chno3, cutoff, cache=cache)
    # 20,000 atoms, some 2,800 structures, share a search: these lie on both sides of a border.
    for structure in [*range(0, 17_000, 97), *range(2_790, 2_850)]:
        i, j = neighbor_list("ij", chno3.structure(structure), cutoff)
        assert edges(graphs, structure) == sorted(map(list, zip(i, j, strict=True)))


def test_a_cutoff_longer_than_any_molecule_gives_complete_graphs(
    chno3: Dataset, cache: Path
) -> None:
    n_atoms = chno3.n_atoms(np.arange(chno3.n_structures))
    complete = neighbour_graphs(chno3, 50.0, cache=cache)
    np.testing.assert_array_equal(np.diff(complete.first_edge), n_atoms * (n_atoms - 1))


def test_a_cutoff_shorter_than_any_bond_gives_no_edges(chno3: Dataset, cache: Path) -> None:
    for _ in ("built", "read again"):
        empty = neighbour_graphs(chno3, 0.5, cache=cache)
        assert empty.neighbours.shape == (0, 2)
        assert empty.mean_neighbours([0]) == 0


def test_mean_neighbours_counts_edges_per_atom(chno3: Dataset, graphs: Graphs) -> None:
    rows = [5, 900, 16_000]
    lists = [neighbor_list("i", chno3.structure(row), 5.0) for row in rows]
    expected = sum(map(len, lists)) / chno3.n_atoms(rows).sum()
    assert graphs.mean_neighbours(rows) == pytest.approx(expected, rel=1e-14)


def test_graphs_are_built_once_and_shared_by_content(
    make_dataset: MakeDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MFSCALE_CACHE", str(tmp_path / "cache"))
    neighbour_graphs(make_dataset(name="one"), 3.0)
    (entry,) = (tmp_path / "cache" / "graphs").iterdir()
    built = {file: file.stat().st_mtime_ns for file in entry.iterdir()}
    neighbour_graphs(make_dataset(name="other"), 3)
    assert [*(tmp_path / "cache" / "graphs").iterdir()] == [entry]
    assert {file: file.stat().st_mtime_ns for file in entry.iterdir()} == built
    neighbour_graphs(make_dataset(), 3.5)
    assert len([*(tmp_path / "cache" / "graphs").iterdir()]) == 2


@pytest.mark.parametrize(
    "damage",
    [
        lambda entry: (entry / "neighbours.npy").unlink(),
        lambda entry: (entry / "neighbours.npy").write_bytes(b"\x93NUMPY"),
        lambda entry: np.save(entry / "first_edge.npy", np.zeros(3, dtype=np.int64)),
        lambda entry: np.save(entry / "neighbours.npy", np.zeros((3, 2), dtype=np.int16)),
    ],
)
def test_a_damaged_entry_is_replaced(
    make_dataset: MakeDataset, tmp_path: Path, damage: Callable[[Path], object]
) -> None:
    dataset = make_dataset()
    mapped = neighbour_graphs(dataset, 3.0, cache=tmp_path / "cache")
    first_edge, neighbours = mapped.first_edge.copy(), mapped.neighbours.copy()
    (entry,) = (tmp_path / "cache" / "graphs").iterdir()
    damage(entry)
    again = neighbour_graphs(dataset, 3.0, cache=tmp_path / "cache")
    np.testing.assert_array_equal(again.neighbours, neighbours)
    np.testing.assert_array_equal(again.first_edge, first_edge)
    assert [*(tmp_path / "cache" / "graphs").iterdir()] == [entry]
    assert sorted(file.name for file in entry.iterdir()) == ["first_edge.npy", "neighbours.npy"]


def test_many_processes_may_ask_at_once(chno3: Dataset, graphs: Graphs, tmp_path: Path) -> None:
    code = (
        "import sys, hashlib, pathlib, mfscale.data as d;"
        "g = d.neighbour_graphs(d.open_dataset('chno3'), 5.0, cache=pathlib.Path(sys.argv[1]));"
        "print(hashlib.sha256(g.neighbours.tobytes() + g.first_edge.tobytes()).hexdigest())"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    workers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    found = {worker.communicate()[0] for worker in workers}
    assert [worker.returncode for worker in workers] == [0] * 4
    assert len(found) == 1
    (entry,) = (tmp_path / "graphs").iterdir()
    np.testing.assert_array_equal(np.load(entry / "neighbours.npy"), graphs.neighbours)
    assert chno3.digest.startswith(entry.name.split("-")[0])


@pytest.mark.parametrize("cutoff", [0.0, -1.0, float("nan"), float("inf")])
def test_an_impossible_cutoff_is_refused(chno3: Dataset, cache: Path, cutoff: float) -> None:
    with pytest.raises(DatasetError, match="choose a positive length"):
        neighbour_graphs(chno3, cutoff, cache=cache)


def test_a_cache_that_cannot_be_written_says_what_to_set(
    make_dataset: MakeDataset, tmp_path: Path
) -> None:
    (tmp_path / "occupied").write_text("a file where a directory should be")
    with pytest.raises(DatasetError, match="set MFSCALE_CACHE to a writable directory"):
        neighbour_graphs(make_dataset(), 3.0, cache=tmp_path / "occupied")


@pytest.mark.parametrize(
    "positions", [[[0, 0, 0]], [[0, 0, 0], [1, 0, 0]], [[0, 0, 2], [1, 0, 2], [0, 1, 2]]]
)
def test_pairs_of_a_single_atom_a_line_and_a_plane(positions: list[list[float]]) -> None:
    """Flat structures have no box of their own; all atoms here are within 5 Å of each other."""
    i, j = close_pairs(np.array(positions, dtype=float), 5.0)
    n = len(positions)
    assert set(zip(i.tolist(), j.tolist(), strict=True)) == {
        (a, b) for a in range(n) for b in range(n) if a != b
    }
