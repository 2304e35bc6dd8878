"""Every format gives the structures and labels that were written to it."""

import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.db import connect

from mfscale.data import Dataset, open_dataset
from mfscale.data.imports.ase_db import read_ase_db
from tests.data.imports.conftest import BOHR_A, HARTREE_EV, Import, molecules


def same(dataset: Dataset, frames: list[Atoms], tolerance: float = 1e-7) -> None:
    """Each frame is the structure of its number, with its labels."""
    assert dataset.n_structures == len(frames)
    for k, atoms in enumerate(frames):
        found = dataset.structure(k)
        assert found.info["source_id"] == k
        assert (found.numbers == atoms.numbers).all()
        assert np.allclose(found.positions, atoms.positions, rtol=0, atol=tolerance)
        assert np.isclose(dataset.energies("cheap", [k])[0], atoms.info["cheap_energy"], rtol=1e-14)
        forces = dataset.forces("cheap", [k])
        assert np.allclose(forces, atoms.arrays["cheap_forces"], rtol=1e-6, atol=tolerance)
        cc = dataset.energies("cc", [k])[0]
        assert np.isclose(cc, atoms.info.get("cc_energy", np.nan), rtol=1e-14, equal_nan=True)


def test_one_extended_xyz_file_with_all_keys(imported: Import, written: Callable) -> None:
    frames = molecules()
    source = written(frames)
    before = source.read_bytes()
    dataset, report = imported(source)
    same(dataset, frames)
    assert source.read_bytes() == before
    assert (report.read, report.kept, report.duplicates, report.faults) == (60, 60, 0, ())
    assert dataset.methods["cheap"].cost == 10
    assert dataset.methods["cc"].cost == 1000
    assert set(dataset.molecules) == {"HO", "H2O", "H3O"}


def test_one_file_per_method_is_matched(imported: Import, written: Callable) -> None:
    frames = molecules()
    dear = [k for k in range(60) if k % 2 == 0]
    cheap, cc = [], []
    for atoms in frames:
        calculator = SinglePointCalculator(
            atoms, energy=atoms.info["cheap_energy"], forces=atoms.arrays["cheap_forces"]
        )
        cheap.append(Atoms(atoms.numbers, atoms.positions, calculator=calculator))
    rng = np.random.default_rng(0)
    for k in rng.permutation(dear):
        moved = frames[k].positions + rng.uniform(-2e-6, 2e-6, size=(len(frames[k]), 3))
        cc.append(Atoms(frames[k].numbers, moved, info={"energy": frames[k].info["cc_energy"]}))
    methods = (
        "cheap:energy=energy,forces=forces,file=cheap.xyz",
        "cc:energy=energy,file=cc.xyz",
    )
    dataset, report = imported(written(cheap, "cheap.xyz"), written(cc, "cc.xyz"), methods=methods)
    same(dataset, frames)
    assert (report.read, report.kept, report.matched) == (90, 60, 30)


def test_an_ase_database(imported: Import, tmp_path: Path) -> None:
    frames = molecules()
    with connect(tmp_path / "mine.db") as database:
        for atoms in frames:
            pairs = {k: v for k, v in atoms.info.items() if k == "cc_energy"}
            calculator = SinglePointCalculator(atoms, energy=atoms.info["cheap_energy"])
            plain = Atoms(atoms.numbers, atoms.positions, calculator=calculator)
            data = {"cheap_forces": atoms.arrays["cheap_forces"]}
            database.write(plain, key_value_pairs=pairs, data=data)
    before = (tmp_path / "mine.db").read_bytes()
    methods = ("cheap:energy=energy,forces=cheap_forces", "cc:energy=cc_energy")
    dataset, _ = imported(tmp_path / "mine.db", methods=methods)
    same(dataset, frames)
    assert (tmp_path / "mine.db").read_bytes() == before


def test_units_are_converted(imported: Import, written: Callable) -> None:
    frames = molecules()
    inside = [atoms.copy() for atoms in frames]
    for atoms in inside:
        atoms.info["cheap_energy"] /= HARTREE_EV
        atoms.arrays["cheap_forces"] = atoms.arrays["cheap_forces"] / HARTREE_EV * BOHR_A
    methods = (
        "cheap:energy=cheap_energy,forces=cheap_forces,unit=Ha,forces_unit=Ha/Bohr",
        "cc:energy=cc_energy",
    )
    same(imported(written(inside), methods=methods)[0], frames, tolerance=1e-6)


def test_the_ani1x_release_cut_to_ani1ccx(
    imported: Import, ani1x: tuple[Path, list[Atoms]]
) -> None:
    source, frames = ani1x
    dataset, report = imported(source, methods=(), only_with=["cc"])
    assert report.read == 90
    assert report.kept == len(frames) == dataset.n_structures
    assert report.dropped == {"no label": 3, "no cc label": 90 - 3 - len(frames)}
    every = np.arange(len(frames))
    dft = [atoms.info["cheap_energy"] for atoms in frames]
    cc = [atoms.info["cc_energy"] for atoms in frames]
    assert np.allclose(dataset.energies("dft", every), dft, rtol=1e-12)
    assert np.allclose(dataset.energies("cc", every), cc, rtol=1e-12)
    forces = np.concatenate([atoms.arrays["cheap_forces"] for atoms in frames])
    assert np.allclose(dataset.forces("dft", every), forces, rtol=1e-5)
    assert dataset.has_forces("dft")
    assert not dataset.has_forces("cc")
    assert {name: m.cost for name, m in dataset.methods.items()} == {"dft": 100, "cc": 1000}
    assert dataset.molecules == ("H1O1", "H2O1", "H3O1")


@pytest.mark.parametrize("kind", ["objects", "text", "elsewhere", "link", "shape", "forces"])
def test_hdf5_that_is_not_plain_numbers_is_refused(
    kind: str, imported: Import, ani1x: tuple[Path, list[Atoms]], nothing_left: Callable
) -> None:
    import h5py

    source, _ = ani1x
    with h5py.File(source, "a") as file:
        group = file["H2O1"]
        key = "wb97x_dz.forces" if kind == "forces" else "wb97x_dz.energy"
        del group[key]
        if kind == "objects":
            group.create_dataset(key, (30,), dtype=h5py.vlen_dtype(np.uint8))
        elif kind == "text":
            group[key] = np.array([b"cposix\nsystem\n"] * 30)
        elif kind == "elsewhere":
            group.create_dataset(key, (30,), dtype="f8", external=[("/etc/passwd", 0, 240)])
        elif kind == "link":
            group[key] = h5py.ExternalLink("other.h5", "/x")
        else:
            group[key] = np.zeros((29, 4, 3) if kind == "forces" else 29)
    with pytest.raises(ValueError, match=rf"H2O1: {key}"):
        imported(source, methods=())
    assert nothing_left()


def test_the_embedded_dataset_comes_back(imported: Import, written: Callable) -> None:
    embedded = open_dataset("chno3")
    rows = np.arange(2000)
    frames = []
    for k in rows:
        atoms = embedded.structure(k)
        atoms.info = {"molecule": atoms.info["molecule"]}
        for method in embedded.methods:
            atoms.info[f"{method}_energy"] = embedded.energies(method, [k])[0]
        atoms.info = {key: v for key, v in atoms.info.items() if v == v}  # noqa: PLR0124 - NaN
        atoms.arrays["dft_forces"] = embedded.forces("dft", [k]).astype(float)
        frames.append(atoms)
    methods = ("dft:energy=dft_energy,forces=dft_forces", "cc:energy=cc_energy")
    dataset, report = imported(written(frames), methods=methods)
    assert report.doubts == ()
    assert dataset.n_structures == 2000
    for method in ("dft", "cc"):
        assert np.allclose(
            dataset.energies(method, rows),
            embedded.energies(method, rows),
            rtol=1e-14,
            equal_nan=True,
        )
    apart = dataset.forces("dft", rows) - embedded.forces("dft", rows)
    assert np.abs(apart).max() < 1e-6
    assert set(dataset.molecules) <= set(embedded.molecules)
    assert dataset.splits == ("random", "molecule")


def test_an_ase_database_is_not_held_in_memory(tmp_path: Path) -> None:
    """1,200 rows of 300 atoms are 10 MB of positions and numbers; 64 at a time are 0.5 MB."""
    rng = np.random.default_rng(0)
    with connect(tmp_path / "large.db") as database:
        for _ in range(1200):
            database.write(Atoms(np.full(300, 6), rng.normal(size=(300, 3))))
    items = read_ase_db(tmp_path / "large.db", []).items
    next(items)
    tracemalloc.start()
    try:
        assert sum(1 for _ in items) == 1199
        assert tracemalloc.get_traced_memory()[1] < 2e6
    finally:
        tracemalloc.stop()
