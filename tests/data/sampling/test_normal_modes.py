"""Normal modes and amplitudes, against cases with an answer on paper."""

import numpy as np
import pytest
from ase import Atoms
from ase.vibrations import VibrationsData

from mfscale.data.labelling import parse_level
from mfscale.data.sampling import (
    AMPLITUDES,
    NormalModes,
    ani1_amplitudes,
    hessian,
    normal_modes,
    thermal_amplitudes,
)
from mfscale.data.sampling.normal_modes import BOLTZMANN_EV_K

SPRING_EV_A2 = 30.0


def diatomic(masses: tuple[float, float] = (1.0, 16.0)) -> NormalModes:
    """Two atoms and a spring along x: λ = K/μ, by hand."""
    positions = np.array([[0.0, 0, 0], [1, 0, 0]])

    def forces(at: np.ndarray) -> np.ndarray:
        bond = at[1] - at[0]
        length = float(np.linalg.norm(bond))
        pull = SPRING_EV_A2 * (length - 1) * bond / length
        return np.stack([pull, -pull])

    return normal_modes(np.array(masses), positions, hessian(forces, positions))


def test_a_spring_has_the_mode_of_its_reduced_mass() -> None:
    modes = diatomic()
    assert modes.eigenvalues == pytest.approx([SPRING_EV_A2 * (1 + 1 / 16)], rel=1e-4)
    moved = modes.displaced(np.array([0.1]))
    stretched = np.linalg.norm(moved[1] - moved[0]) - 1
    assert modes.energy(np.array([0.1])) == pytest.approx(SPRING_EV_A2 * stretched**2 / 2, rel=1e-4)


@pytest.mark.parametrize(("smiles_like", "n_modes"), [("H2O", 3), ("CO2", 4)])
def test_modes_of_molecules_are_those_of_ase(smiles_like: str, n_modes: int) -> None:
    from ase.build import molecule
    from ase.optimize import BFGS
    from tblite.ase import TBLite

    atoms = molecule(smiles_like)
    atoms.calc = TBLite(method="GFN2-xTB", verbosity=0)
    BFGS(atoms, logfile=None).run(fmax=1e-4)

    def forces(positions: np.ndarray) -> np.ndarray:
        return np.asarray(
            Atoms(atoms.numbers, positions, calculator=atoms.calc).get_forces(), dtype=np.float64
        )

    second = hessian(forces, atoms.positions)
    modes = normal_modes(atoms.get_masses(), atoms.positions, second)
    assert len(modes.eigenvalues) == n_modes
    theirs = VibrationsData(atoms, second.reshape(len(atoms), 3, len(atoms), 3)).get_energies()
    root = np.sort(theirs.real)[-n_modes:]
    assert np.sqrt(modes.eigenvalues) / np.sqrt(modes.eigenvalues[-1]) == pytest.approx(
        root / root[-1], rel=1e-3
    )
    # For small amplitudes the energy is the harmonic one.
    level, minimum = parse_level("gfn2-xtb"), atoms.get_potential_energy()
    for k in range(n_modes):
        q = np.zeros(n_modes)
        q[k] = np.sqrt(2 * 0.005 / modes.eigenvalues[k])
        both = [level.label(atoms.numbers, modes.displaced(s * q)).energy for s in (1, -1)]
        assert np.mean(both) - minimum == pytest.approx(0.005, rel=0.05)


def test_overall_motion_is_no_mode() -> None:
    modes = diatomic()
    weighted = np.sqrt(modes.masses)[None, :, None] * modes.vectors
    assert np.abs(weighted.sum(axis=1)).max() < 1e-9


@pytest.mark.parametrize("k", [3, 12])
def test_mean_energies_are_those_of_the_formulas(k: int) -> None:
    """kT/2 a mode; 3/2 N_a kT k/(k + 1), for a uniform point of the simplex has mean 1/(k + 1)."""
    n_atoms, kelvin = (k + 6) // 3, 700.0
    modes = NormalModes(
        positions=np.zeros((n_atoms, 3)),
        masses=np.ones(n_atoms),
        eigenvalues=np.geomspace(0.1, 50, k),
        vectors=np.zeros((k, n_atoms, 3)),
    )
    random = np.random.default_rng(5)
    kt, n = BOLTZMANN_EV_K * kelvin, 20_000
    for draw, expected in (
        (thermal_amplitudes, k * kt / 2),
        (ani1_amplitudes, 1.5 * n_atoms * kt * k / (k + 1)),
    ):
        amplitudes = np.array([draw(modes, kelvin, random) for _ in range(n)])
        energies = 0.5 * (amplitudes**2 * modes.eigenvalues).sum(axis=1)
        error = energies.std() / np.sqrt(n)
        assert abs(energies.mean() - expected) < 4 * error
        assert np.abs(amplitudes.mean(axis=0)).max() < 4 * amplitudes.std(axis=0).max() / n**0.5
        if draw is ani1_amplitudes:
            assert energies.max() <= 1.5 * n_atoms * kt * (1 + 1e-12)
    assert set(AMPLITUDES.values()) == {ani1_amplitudes, thermal_amplitudes}
