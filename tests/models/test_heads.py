"""A shared backbone with one readout per head: each head learns and computes its own."""

import subprocess
import sys
from collections.abc import Callable, Sequence

import pytest
import torch
from ase import Atoms

from mfscale.data import keys
from mfscale.models import LADDER
from mfscale.models.build import build
from mfscale.models.fidelity import inherited_state
from mfscale.models.headed import Batch, HeadedModel, energy_and_forces

MakeModel = Callable[..., HeadedModel]
MakeBatch = Callable[[Sequence[Atoms]], Batch]


@pytest.fixture
def batch(make_batch: MakeBatch, chiral: Atoms, water: Atoms) -> Batch:
    return make_batch([chiral, water])


def test_a_fresh_readout_predicts_zero(make_model: MakeModel, batch: Batch) -> None:
    """So that a stage starts at its element offsets exactly."""
    energy, forces = energy_and_forces(make_model(random_readouts=False), batch, create_graph=False)
    assert not energy.any()
    assert not forces.any()


def test_the_mean_neighbour_number_acts(make_model: MakeModel, batch: Batch) -> None:
    """Only where atoms have neighbours: it scales sums over them."""
    model = make_model()
    before = model(batch)
    lonely = {**batch, keys.EDGE_INDEX: torch.zeros(2, 0, dtype=torch.int64)}
    alone = model(lonely)
    model.backbone.set_mean_neighbours(24.0)
    assert not torch.allclose(model(batch), before)
    assert torch.equal(model(lonely), alone)
    model.backbone.set_mean_neighbours(6.0)
    assert torch.equal(model(batch), before)


def test_an_energy_is_that_of_its_head(make_model: MakeModel, batch: Batch) -> None:
    model = make_model(heads=("dft", "cc"))
    assert model.heads == ("dft", "cc")
    by_head = [model({**batch, keys.HEAD: torch.full((2,), head)}) for head in (0, 1)]
    mixed = model({**batch, keys.HEAD: torch.tensor([1, 0])})
    assert not torch.allclose(by_head[0], by_head[1])
    torch.testing.assert_close(mixed, torch.stack([by_head[1][0], by_head[0][1]]))


def test_a_head_learns_nothing_from_the_labels_of_another(
    make_model: MakeModel, batch: Batch
) -> None:
    model = make_model(heads=("dft", "cc"))
    batch = {**batch, keys.HEAD: torch.tensor([0, 0])}
    energy, forces = energy_and_forces(model, batch, create_graph=True)
    (energy.square().sum() + forces.square().sum()).backward()
    own = [p.grad for p in model.readout("dft").parameters() if p.numel()]
    other = [p.grad for p in model.readout("cc").parameters()]
    shared = [p.grad for p in model.backbone.parameters() if p.grad is not None]
    assert all(gradient is not None and gradient.any() for gradient in own)
    assert any(gradient.any() for gradient in shared)
    assert all(gradient is None or not gradient.any() for gradient in other)


def test_a_copied_readout_predicts_what_the_source_does(
    make_model: MakeModel, batch: Batch
) -> None:
    parent, child = make_model(heads=("dft",)), make_model(heads=("cc",), seed=1)
    child.load_state_dict(inherited_state(parent.state_dict(), {}, {"cc": "dft"}))
    assert torch.equal(child(batch), parent(batch))


def test_a_head_may_be_called_what_a_module_may_not(architecture: str) -> None:
    """`nn.ModuleDict` refuses ``type`` and ``keys``; a study does not."""
    model = build(
        architecture,
        LADDER[architecture]["tiny"].settings,
        elements=["H", "O"],
        heads=["type", "keys"],
        dtype=torch.float32,
        cutoff_a=5.0,
        seed=0,
    )
    assert model.heads == ("type", "keys")
    state = model.state_dict()
    exchanged = inherited_state(state, {}, {"type": "keys", "keys": "type"})
    assert exchanged.keys() == state.keys()


@pytest.mark.slow
def test_building_leaves_the_process_as_it_was(architecture: str) -> None:
    """The packages seed generators, set torch's default type, and let files run code."""
    watched = "('PL_GLOBAL_SEED', 'TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD')"
    program = (
        "import os, random, numpy as np, torch\n"
        "from mfscale.models import LADDER\n"
        "from mfscale.models.build import build\n"
        "before = (random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state(),\n"
        f"          torch.get_default_dtype(), *map(os.environ.get, {watched}))\n"
        f"build('{architecture}', LADDER['{architecture}']['tiny'].settings,\n"
        "      elements=['H', 'O'], heads=['cc'], dtype=torch.float32, cutoff_a=5.0, seed=0)\n"
        "after = (random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state(),\n"
        f"         torch.get_default_dtype(), *map(os.environ.get, {watched}))\n"
        "assert all(torch.equal(a, b) if isinstance(a, torch.Tensor) else a == b\n"
        "           for a, b in zip(before, after, strict=True))\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
