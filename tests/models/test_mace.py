"""Our MACE is MACE: the package's own model with many heads computes and learns the same."""

import subprocess
import sys
from collections.abc import Callable, Sequence

import e3nn
import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import molecule
from torch import Tensor, nn

from mfscale.data import keys
from mfscale.models import LADDER
from mfscale.models.build import build
from mfscale.models.headed import Batch, HeadedModel, energy_and_forces
from mfscale.models.native import Trained
from mfscale.models.surroundings import leaving_no_trace

MakeBatch = Callable[[Sequence[Atoms]], Batch]

ELEMENTS = ("H", "C", "N", "O")
HEADS = ("xtb", "dft", "cc")
SCALE_EV = {"xtb": 0.5, "dft": 0.7, "cc": 1.3}
OFFSETS_EV = {
    "xtb": np.array([0.1, -0.2, 0.3, 0.4]),
    "dft": np.array([-0.5, 1.0, 1.5, -2.0]),
    "cc": np.array([0.6, -1.1, 1.6, 2.1]),
}
MEAN_NEIGHBOURS = 6.0


def new(size: str, heads: Sequence[str], *, random_readouts: bool = True) -> HeadedModel:
    model = build(
        "mace",
        LADDER["mace"][size].settings,
        elements=ELEMENTS,
        heads=heads,
        dtype=torch.float64,
        cutoff_a=5.0,
        seed=0,
    )
    model.backbone.set_mean_neighbours(MEAN_NEIGHBOURS)
    if random_readouts:
        generator = torch.Generator().manual_seed(1)
        for parameter in model.readouts.parameters():
            nn.init.normal_(parameter, generator=generator)
    return model


def theirs(size: str, model: HeadedModel) -> nn.Module:
    """The package's model with the weights of `model`."""
    with leaving_no_trace():
        from mfscale.models.native_mace import whole

        return whole(
            Trained(
                network=model,
                settings=LADDER["mace"][size].settings,
                elements=ELEMENTS,
                cutoff_a=5.0,
                mean_neighbours=MEAN_NEIGHBOURS,
                energy_scale_ev=SCALE_EV,
                offsets_ev=OFFSETS_EV,
            )
        )


def their_batch(batch: Batch) -> dict[str, Tensor]:
    """MACE's edges lead from sender to receiver: to the atom that sums, our centre."""
    n_edges = batch[keys.EDGE_INDEX].shape[1]
    n_atoms = batch[keys.N_ATOMS]
    return {
        "positions": batch[keys.POSITIONS].clone().requires_grad_(),
        "node_attrs": nn.functional.one_hot(batch[keys.SPECIES], len(ELEMENTS)).double(),
        "edge_index": batch[keys.EDGE_INDEX].flip(0),
        "shifts": torch.zeros(n_edges, 3, dtype=torch.float64),
        "unit_shifts": torch.zeros(n_edges, 3, dtype=torch.float64),
        "cell": torch.zeros(3 * len(n_atoms), 3, dtype=torch.float64),
        "batch": batch[keys.STRUCTURE],
        "ptr": nn.functional.pad(n_atoms.cumsum(0), (1, 0)),
        "head": batch[keys.HEAD],
    }


def loss(energy: Tensor, forces: Tensor) -> Tensor:
    return (energy - 1).square().sum() + (forces - 0.1).square().sum()


def gradients(model: nn.Module) -> dict[str, Tensor]:
    return {n: p.grad for n, p in model.named_parameters() if p.grad is not None and p.numel()}


@pytest.mark.parametrize(("size", "n_heads"), [("tiny", 2), ("tiny", 3), ("large", 2)])
def test_energies_forces_and_gradients_are_those_of_the_packages_own_model(
    size: str, n_heads: int, make_batch: MakeBatch, chiral: Atoms, water: Atoms
) -> None:
    """On a batch that mixes heads; a readout's gradients up to e3nn's normalisation.

    The package's map from hidden units has n_heads times our inputs, so e3nn divides it by
    √n_heads more. Equal maps thus have weights √n_heads times ours, and gradients √n_heads times
    smaller.
    """
    heads = HEADS[-n_heads:]
    ours = new(size, heads)
    native = theirs(size, ours)
    batch = make_batch([chiral, water, molecule("CH3OH"), molecule("HCN")])
    batch[keys.HEAD] = torch.tensor([0, 1, 1, 0] if n_heads == 2 else [0, 1, 2, 0])
    names = [heads[head] for head in batch[keys.HEAD]]
    scale = torch.tensor([SCALE_EV[name] for name in names], dtype=torch.float64)
    offsets = torch.tensor(np.stack([OFFSETS_EV[name] for name in names]))
    structure = batch[keys.STRUCTURE]
    offset = torch.zeros(4, dtype=torch.float64).index_add(
        0, structure, offsets[structure].gather(1, batch[keys.SPECIES].unsqueeze(1)).squeeze(1)
    )

    energy, forces = energy_and_forces(ours, batch, create_graph=True)
    energy, forces = offset + scale * energy, scale[structure].unsqueeze(1) * forces
    out = native(their_batch(batch), training=True)
    assert forces.abs().max() > 1e-2
    torch.testing.assert_close(energy, out["energy"], rtol=0, atol=1e-10)
    torch.testing.assert_close(forces, out["forces"], rtol=0, atol=1e-10)

    loss(energy, forces).backward()
    loss(out["energy"], out["forces"]).backward()
    their_gradients = gradients(native)
    same = {"rtol": 1e-10, "atol": 1e-10}
    shared = gradients(ours.backbone)
    assert shared.keys() == {n for n in their_gradients if not n.startswith("readouts.")}
    assert all(gradient.any() for gradient in shared.values())
    for name, gradient in shared.items():
        torch.testing.assert_close(gradient, their_gradients[name], **same)
    linear = their_gradients["readouts.0.linear.weight"].view(-1, n_heads)
    hidden = their_gradients["readouts.1.linear_1.weight"].view(-1, n_heads, 16)
    outer = their_gradients["readouts.1.linear_2.weight"].view(n_heads, 16, n_heads)
    for index, head in enumerate(heads):
        own = gradients(ours.readout(head))
        assert all(gradient.any() for gradient in own.values())
        for gradient, expected in (
            (own["layers.0.linear.weight"], linear[:, index]),
            (own["layers.1.linear_1.weight"], hidden[:, index].flatten()),
            (own["layers.1.linear_2.weight"], n_heads**0.5 * outer[index, :, index]),
        ):
            torch.testing.assert_close(gradient, expected, **same)
        others = [other for other in range(n_heads) if other != index]
        assert not outer[others, :, index].any()


def test_heads_start_as_different_networks_all_of_zero_energy(
    make_batch: MakeBatch, chiral: Atoms
) -> None:
    """Their last maps are zero, the maps before them are drawn one after another."""
    model = new("tiny", ["dft", "cc"], random_readouts=False)
    dft, cc = (dict(model.readout(head).named_parameters()) for head in ("dft", "cc"))
    for last in ("layers.0.linear.weight", "layers.1.linear_2.weight"):
        assert not dft[last].any()
        assert not cc[last].any()
    assert not torch.isclose(dft["layers.1.linear_1.weight"], cc["layers.1.linear_1.weight"]).any()
    assert not model(make_batch([chiral])).any()


def test_the_state_is_the_parameters() -> None:
    """MACE's coupling coefficients are constants, some of them larger than all weights."""
    model = new("tiny", ["dft", "cc"])
    assert model.state_dict().keys() == {n for n, p in model.named_parameters() if p.numel()}


def test_accelerators_installed_beside_mace_do_not_make_it_another_model() -> None:
    """By default MACE has fewer weights where cuequivariance is found: 7,904 of 8,672 in tiny."""
    assert theirs("tiny", new("tiny", HEADS)).use_reduced_cg is False


def test_what_e3nn_does_for_others_stays_as_it_was() -> None:
    """Its settings are the process's; NequIP is built from it too."""
    before = e3nn.get_optimization_defaults()
    try:
        e3nn.set_optimization_defaults(jit_mode="inductor")
        new("tiny", ["cc"])
        assert e3nn.get_optimization_defaults()["jit_mode"] == "inductor"
    finally:
        e3nn.set_optimization_defaults(jit_mode=before["jit_mode"])
    assert e3nn.get_optimization_defaults() == before


@pytest.mark.slow
def test_a_fresh_process_builds_the_same_twice_without_a_word() -> None:
    """The package likes to say which accelerators it has not found."""
    program = (
        "import torch\n"
        "from mfscale.models import LADDER\n"
        "from mfscale.models.build import build\n"
        "first, second = (build('mace', LADDER['mace']['tiny'].settings,\n"
        "                       elements=['H', 'O'], heads=['dft', 'cc'], dtype=torch.float32,\n"
        "                       cutoff_a=5.0, seed=3).state_dict() for _ in range(2))\n"
        "assert all(torch.equal(first[name], second[name]) for name in first)\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")
