"""Our Allegro is Allegro: the package's own model computes the same from the same weights."""

import subprocess
import sys
from collections.abc import Callable, Sequence

import pytest
import torch
from ase import Atoms

from mfscale.data import keys
from mfscale.models import LADDER
from mfscale.models.build import build
from mfscale.models.headed import Batch, energy_and_forces
from mfscale.models.surroundings import leaving_no_trace

MakeBatch = Callable[[Sequence[Atoms]], Batch]

ELEMENTS = ("H", "C", "N", "O")
EMBEDDING = ("num_bessels", "bessel_trainable", "polynomial_cutoff_p")
SCALE_EV = 0.7
SHIFTS_EV = {"H": -16.0, "C": -1036.0, "N": -1488.0, "O": -2044.0}


@pytest.mark.parametrize("size", ["tiny", "large"])
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_energies_and_forces_are_those_of_the_packages_own_model(
    size: str, make_batch: MakeBatch, chiral: Atoms, water: Atoms
) -> None:
    from allegro.model import AllegroModel

    settings = dict(LADDER["allegro"][size].settings)
    model = build(
        "allegro",
        settings,
        elements=ELEMENTS,
        heads=["dft", "cc"],
        dtype=torch.float64,
        cutoff_a=5.0,
        seed=0,
    )
    model.backbone.set_mean_neighbours(6.0)
    for parameter in model.readouts.parameters():
        torch.nn.init.normal_(parameter)
    embedding = {name: settings.pop(name) for name in EMBEDDING}
    with leaving_no_trace():
        whole = AllegroModel(
            seed=1,
            model_dtype="float64",
            type_names=list(ELEMENTS),
            r_max=5.0,
            avg_num_neighbors=6.0,
            per_type_energy_scales=SCALE_EV,
            per_type_energy_shifts=SHIFTS_EV,
            radial_chemical_embed={"_target_": "allegro.nn.TwoBodyBesselScalarEmbed", **embedding},
            **settings,
        )
    network = whole.model.func
    network.load_state_dict(model.backbone.layers.state_dict(), strict=False)
    network.edge_readout.load_state_dict(model.readout("cc").perceptron.state_dict())

    batch = make_batch([chiral, water])
    batch[keys.HEAD] = torch.tensor([1, 1])
    energy, forces = energy_and_forces(model, batch, create_graph=False)
    shift = [sum(SHIFTS_EV[symbol] for symbol in atoms.symbols) for atoms in (chiral, water)]
    theirs = whole(
        {
            "pos": batch[keys.POSITIONS],
            "edge_index": batch[keys.EDGE_INDEX],
            "atom_types": batch[keys.SPECIES],
            "batch": batch[keys.STRUCTURE],
            "num_atoms": batch[keys.N_ATOMS],
        }
    )
    their_energy = theirs["total_energy"].squeeze(-1) - torch.tensor(shift, dtype=torch.float64)
    assert forces.abs().max() > 1e-3
    torch.testing.assert_close(SCALE_EV * energy, their_energy, rtol=0, atol=1e-10)
    torch.testing.assert_close(SCALE_EV * forces, theirs["forces"], rtol=0, atol=1e-10)


def test_heads_start_as_different_networks_all_of_zero_energy(
    make_batch: MakeBatch, chiral: Atoms
) -> None:
    """Their last maps are zero, the maps before them are drawn one after another."""
    model = build(
        "allegro",
        LADDER["allegro"]["tiny"].settings,
        elements=ELEMENTS,
        heads=["dft", "cc"],
        dtype=torch.float64,
        cutoff_a=5.0,
        seed=0,
    )
    (first, last), (other_first, other_last) = (
        list(model.readout(head).parameters()) for head in ("dft", "cc")
    )
    assert not last.any()
    assert not other_last.any()
    assert not torch.isclose(first, other_first).any()
    assert not model(make_batch([chiral])).any()


def test_a_fresh_process_builds_the_same_twice_without_a_word() -> None:
    """The framework's first use sets torch's default type, draws and seeds, and likes to advise."""
    program = (
        "import torch\n"
        "from mfscale.models import LADDER\n"
        "from mfscale.models.build import build\n"
        "first, second = (build('allegro', LADDER['allegro']['tiny'].settings,\n"
        "                       elements=['H', 'O'], heads=['dft', 'cc'], dtype=torch.float32,\n"
        "                       cutoff_a=5.0, seed=3).state_dict() for _ in range(2))\n"
        "assert all(torch.equal(first[name], second[name]) for name in first)\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")
