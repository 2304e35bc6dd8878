"""Sources made on the spot: water-like molecules with labels of two methods, and a way in."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.io import write

from mfscale.data import Dataset
from mfscale.data.imports import ImportReport, import_dataset, parse_method

HARTREE_EV = 27.211386245988  # CODATA 2018
BOHR_A = 0.529177210903

METHODS = ("cheap:energy=cheap_energy,forces=cheap_forces,cost=10", "cc:energy=cc_energy")


def molecules(n: int = 60, *, dear: int = 2) -> list[Atoms]:
    """Molecules of 2 to 4 atoms of H and O; every `dear`-th has a CC label.

    Energies are −14 eV for H and −2040 eV for O, plus some tenths that both methods share.
    """
    rng = np.random.default_rng(3)
    frames = []
    for k in range(n):
        numbers = np.r_[8, np.ones(1 + k % 3, dtype=int)]
        line = np.arange(len(numbers))[:, None] * [1.5, 0, 0]
        atoms = Atoms(numbers, line + rng.uniform(-0.4, 0.4, size=(len(numbers), 3)))
        energy = -2040.0 - 14.0 * (1 + k % 3) + rng.normal(scale=0.3)
        atoms.info["cheap_energy"] = energy
        atoms.arrays["cheap_forces"] = rng.normal(size=(len(numbers), 3))
        if k % dear == 0:
            atoms.info["cc_energy"] = energy - 5.0 + rng.normal(scale=0.03)
        frames.append(atoms)
    return frames


Import = Callable[..., tuple[Dataset, ImportReport]]


@pytest.fixture
def written(tmp_path: Path) -> Callable[..., Path]:
    """Write frames to an extended XYZ file."""

    def to_file(frames: Sequence[Atoms], name: str = "mine.xyz") -> Path:
        write(tmp_path / name, frames, format="extxyz")
        return tmp_path / name

    return to_file


@pytest.fixture
def imported(tmp_path: Path) -> Import:
    """Import sources; the dataset is opened."""

    def run(
        *sources: Path,
        methods: Sequence[str] = METHODS,
        unit: str = "eV",
        **options: Any,  # noqa: ANN401 - of import_dataset
    ) -> tuple[Dataset, ImportReport]:
        report = import_dataset(
            sources,
            tmp_path / "out" / "mine",
            name="mine",
            methods=[parse_method(text, unit) for text in methods],
            **options,
        )
        return Dataset(tmp_path / "out" / "mine"), report

    return run


@pytest.fixture
def nothing_left(tmp_path: Path) -> Callable[[], bool]:
    """Whether the destination's folder is empty or was never made."""
    out = tmp_path / "out"
    return lambda: not out.exists() or not list(out.iterdir())


@pytest.fixture
def ani1x(tmp_path: Path) -> tuple[Path, list[Atoms]]:
    """A file in the layout of the ANI-1x release, and what it holds of structures with CC."""
    import h5py

    frames = molecules(90)
    with h5py.File(tmp_path / "ani1x.h5", "w") as file:
        for name, start in (("H1O1", 0), ("H2O1", 1), ("H3O1", 2)):
            rows = frames[start::3]
            forces = np.array([a.arrays["cheap_forces"] for a in rows]) / HARTREE_EV
            dft = np.array([a.info["cheap_energy"] for a in rows]) / HARTREE_EV
            cc = np.array([a.info.get("cc_energy", np.nan) for a in rows]) / HARTREE_EV
            dft[1], forces[1], cc[1] = np.nan, np.nan, np.nan
            group = file.create_group(name)
            group["atomic_numbers"] = rows[0].numbers.astype(np.uint8)
            group["coordinates"] = np.array([a.positions for a in rows]).astype(np.float32)
            group["wb97x_dz.energy"] = dft
            group["wb97x_dz.forces"] = forces.astype(np.float32)
            group["ccsd(t)_cbs.energy"] = cc
            group["wb97x_dz.dipole"] = np.full((len(rows), 3), np.nan)
    return tmp_path / "ani1x.h5", [
        atoms
        for start in range(3)
        for place, atoms in enumerate(frames[start::3])
        if place != 1 and "cc_energy" in atoms.info
    ]
