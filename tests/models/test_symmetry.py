"""Energies and forces obey the symmetries of physics, whatever the weights."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import molecule
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from mfscale.data import keys
from mfscale.models.headed import Batch, HeadedModel, energy_and_forces

MakeModel = Callable[..., HeadedModel]
MakeBatch = Callable[[Sequence[Atoms]], Batch]
Array = np.ndarray
Compute = Callable[[Atoms], tuple[float, Array]]

EXACT = {"rtol": 0, "atol": 1e-10}


@pytest.fixture(
    scope="module",
    params=[("tiny", "readout"), ("large", "readout"), ("tiny", "embedding")],
    ids="-".join,
)
def compute(
    request: pytest.FixtureRequest, make_model: MakeModel, make_batch: MakeBatch
) -> Compute:
    """Energy and forces of one structure by a float64 network of order one in both."""
    size, fidelity = request.param
    model = make_model(size, fidelity=fidelity)

    def compute(atoms: Atoms) -> tuple[float, Array]:
        energy, forces = energy_and_forces(model, make_batch([atoms]), create_graph=False)
        return energy.item(), forces.numpy()

    return compute


def moved(atoms: Atoms, positions: Array) -> Atoms:
    return Atoms(atoms.numbers, positions)


def test_a_rotation_turns_the_forces_and_leaves_the_energy(compute: Compute, chiral: Atoms) -> None:
    rotation = Rotation.random(random_state=2).as_matrix()
    energy, forces = compute(chiral)
    turned_energy, turned = compute(moved(chiral, chiral.positions @ rotation.T))
    assert np.abs(forces).max() > 1e-3
    assert turned_energy == pytest.approx(energy, abs=1e-10)
    np.testing.assert_allclose(turned, forces @ rotation.T, **EXACT)


def test_a_mirror_image_has_the_same_energy(compute: Compute, chiral: Atoms) -> None:
    """Enantiomers are equal in energy, which features without parity would break."""
    mirror = np.diag([1.0, 1.0, -1.0])
    energy, forces = compute(chiral)
    mirrored_energy, mirrored = compute(moved(chiral, chiral.positions @ mirror))
    assert mirrored_energy == pytest.approx(energy, abs=1e-10)
    np.testing.assert_allclose(mirrored, forces @ mirror, **EXACT)


def test_a_translation_changes_nothing(compute: Compute, chiral: Atoms) -> None:
    energy, forces = compute(chiral)
    shifted_energy, shifted = compute(moved(chiral, chiral.positions + np.array([3.0, -40.0, 7.0])))
    assert shifted_energy == pytest.approx(energy, abs=1e-10)
    np.testing.assert_allclose(shifted, forces, **EXACT)
    np.testing.assert_allclose(forces.sum(axis=0), 0, **EXACT)


def test_the_order_of_atoms_does_not_matter(compute: Compute, chiral: Atoms) -> None:
    order = np.random.default_rng(0).permutation(len(chiral))
    energy, forces = compute(chiral)
    permuted_energy, permuted = compute(chiral[order])
    assert permuted_energy == pytest.approx(energy, abs=1e-10)
    np.testing.assert_allclose(permuted, forces[order], **EXACT)


def test_forces_are_the_negative_gradient_of_the_energy(compute: Compute, chiral: Atoms) -> None:
    """Against central differences; their error is O(h²), 1e-8 for features that vary over 1 Å."""
    h = 1e-4
    _, forces = compute(chiral)
    for atom, axis in [(0, 0), (3, 1), (len(chiral) - 1, 2)]:
        energies = []
        for sign in (1, -1):
            positions = chiral.positions.copy()
            positions[atom, axis] += sign * h
            energies.append(compute(moved(chiral, positions))[0])
        gradient = (energies[0] - energies[1]) / (2 * h)
        assert forces[atom, axis] == pytest.approx(-gradient, abs=1e-6)


def test_nothing_jumps_at_the_cutoff(compute: Compute) -> None:
    """The envelope 1 − O((1 − r/5)³) leaves 1e-9 of an edge 5 mÅ inside the cutoff."""

    def pair(distance: float) -> tuple[float, Array]:
        return compute(Atoms("CO", [[0, 0, 0], [distance, 0, 0]]))

    inside, force_inside = pair(4.995)
    outside, force_outside = pair(5.005)
    assert abs(pair(3.0)[0] - outside) > 1e-4
    assert inside == pytest.approx(outside, abs=1e-7)
    assert not force_outside.any()
    np.testing.assert_allclose(force_inside, 0, atol=1e-4)


def test_molecules_far_apart_do_not_know_of_each_other(
    compute: Compute, chiral: Atoms, water: Atoms
) -> None:
    far = water.copy()
    far.positions += [30.0, 0.0, 0.0]
    (one, one_forces), (two, two_forces) = compute(chiral), compute(water)
    energy, forces = compute(chiral + far)
    assert energy == pytest.approx(one + two, abs=1e-10)
    np.testing.assert_allclose(forces, np.concatenate([one_forces, two_forces]), **EXACT)


def test_an_atom_alone_has_an_energy_and_no_force(make_model: MakeModel) -> None:
    batch = {
        keys.POSITIONS: torch.zeros(1, 3, dtype=torch.float64),
        keys.SPECIES: torch.tensor([0]),
        keys.EDGE_INDEX: torch.zeros(2, 0, dtype=torch.int64),
        keys.STRUCTURE: torch.tensor([0]),
        keys.N_ATOMS: torch.tensor([1]),
        keys.HEAD: torch.tensor([0]),
    }
    energy, forces = energy_and_forces(make_model(), batch, create_graph=False)
    assert torch.isfinite(energy).all()
    assert not forces.any()


def test_a_batch_gives_what_its_structures_give_alone(
    make_model: MakeModel, make_batch: MakeBatch
) -> None:
    model = make_model()
    names = ("H2O", "CH4", "NH3", "CO2")

    @settings(max_examples=10, deadline=None)
    @given(st.lists(st.sampled_from(names), min_size=1, max_size=6))
    def check(chosen: list[str]) -> None:
        structures = [molecule(name) for name in chosen]
        together = model(make_batch(structures))
        alone = torch.cat([model(make_batch([atoms])) for atoms in structures])
        torch.testing.assert_close(together, alone, rtol=0, atol=1e-12)

    check()
