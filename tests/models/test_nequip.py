"""Our NequIP is NequIP: the package's own model computes the same from the same weights."""

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
SCALE_EV = 0.7
SHIFTS_EV = {"H": -16.0, "C": -1036.0, "N": -1488.0, "O": -2044.0}


@pytest.mark.parametrize("size", ["tiny", "large"])
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_energies_and_forces_are_those_of_the_packages_own_model(
    size: str, make_batch: MakeBatch, chiral: Atoms, water: Atoms
) -> None:
    from nequip.model import NequIPGNNModel

    settings = LADDER["nequip"][size].settings
    model = build(
        "nequip",
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
    with leaving_no_trace():
        whole = NequIPGNNModel(
            seed=1,
            model_dtype="float64",
            type_names=list(ELEMENTS),
            r_max=5.0,
            avg_num_neighbors=6.0,
            per_type_energy_scales=SCALE_EV,
            per_type_energy_shifts=SHIFTS_EV,
            **settings,
        )
    network = whole.model.func
    network.load_state_dict(model.backbone.layers.state_dict(), strict=False)
    network.per_atom_energy_readout.load_state_dict(model.readout("cc").linear.state_dict())

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
