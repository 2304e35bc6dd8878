"""One readout for all heads and the method as an input: heads differ by their vectors alone."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from ase import Atoms

from mfscale.data import keys
from mfscale.models import LADDER, NATIVE_SUFFIX, ModelError
from mfscale.models.fidelity import inherited_state
from mfscale.models.headed import Batch, HeadedModel, energy_and_forces
from mfscale.models.native import Trained, write_native
from mfscale.models.trainable import trainable_part

MakeModel = Callable[..., HeadedModel]
MakeBatch = Callable[[Sequence[Atoms]], Batch]

VECTORS = {"fidelities.head-dft", "fidelities.head-cc"}


@pytest.fixture
def make(make_model: MakeModel) -> MakeModel:
    """As `make_model`, with a fidelity embedding."""

    def make(
        *arguments: str, heads: Sequence[str] = ("dft", "cc"), **options: object
    ) -> HeadedModel:
        return make_model(*arguments, heads=heads, fidelity="embedding", **options)

    return make


@pytest.fixture
def batch(make_batch: MakeBatch, chiral: Atoms, water: Atoms) -> Batch:
    return make_batch([chiral, water])


def through(model: HeadedModel, head: int, batch: Batch) -> torch.Tensor:
    return model({**batch, keys.HEAD: torch.full((2,), head)})


def learn(model: HeadedModel, batch: Batch, trainable: str, heads: Sequence[str]) -> None:
    """Steps towards other energies for the head of each structure."""
    wanted = torch.tensor([1.0, -1.0], dtype=torch.float64)
    with trainable_part(model, trainable, heads, seed=0) as parameters:
        optimizer = torch.optim.AdamW(parameters, lr=0.01)
        for _ in range(5):
            energy, forces = energy_and_forces(model, batch, create_graph=True)
            optimizer.zero_grad()
            ((energy - wanted).square().sum() + forces.square().sum()).backward()
            optimizer.step()


def copied(model: HeadedModel) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def test_all_heads_share_one_readout_and_start_as_the_plain_network(
    make: MakeModel, make_model: MakeModel, batch: Batch
) -> None:
    model, plain = make(random_readouts=False), make_model(random_readouts=False)
    assert model.readout("dft") is model.readout("cc")
    own = set(model.state_dict()) - {n for n in plain.state_dict() if n.startswith("backbone.")}
    assert own == VECTORS | {n for n in own if n.startswith("readouts.shared.")}
    assert not any(vector.any() for vector in model.fidelities.values())
    generator = torch.Generator().manual_seed(1)
    for p, q in zip(model.readouts.parameters(), plain.readouts.parameters(), strict=True):
        assert torch.equal(p, q)
        torch.nn.init.normal_(p, generator=generator)
        q.data.copy_(p)
    for head in (0, 1):
        assert torch.equal(through(model, head, batch), plain(batch))


@pytest.mark.parametrize("trainable", ["all", "readout"])
def test_heads_differ_once_their_methods_were_learned(
    make: MakeModel, batch: Batch, trainable: str
) -> None:
    model = make(random_readouts=False)
    mixed = {**batch, keys.HEAD: torch.tensor([0, 1])}
    learn(model, mixed, trainable, model.heads)
    assert (through(model, 0, batch) - through(model, 1, batch)).abs().min() > 1e-4
    assert torch.equal(model(mixed)[0], through(model, 0, batch)[0])
    torch.testing.assert_close(model(mixed)[1], through(model, 1, batch)[1], rtol=0, atol=1e-12)


def test_a_readout_that_learns_is_the_shared_one_with_the_vectors_of_its_heads(
    make: MakeModel, batch: Batch
) -> None:
    model = make()
    before = copied(model)
    learn(model, batch, "readout", ["dft"])
    after = copied(model)
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    shared = {name for name in before if name.startswith("readouts.") and before[name].numel()}
    assert moved == shared | {"fidelities.head-dft"}


def test_a_vector_learns_nothing_from_the_labels_of_other_heads(
    make: MakeModel, batch: Batch
) -> None:
    model = make()
    energy, forces = energy_and_forces(model, batch, create_graph=True)
    (energy.square().sum() + forces.square().sum()).backward()
    own, other = (model.fidelities[f"head-{head}"].grad for head in ("dft", "cc"))
    assert own.all()
    assert other is not None
    assert not other.any()


def test_heads_of_one_method_differ_in_forces_where_atoms_interact(
    make: MakeModel, batch: Batch
) -> None:
    """The method conditions what neighbours do to an atom, not its energy alone."""
    model = make()
    forces = [
        energy_and_forces(model, {**batch, keys.HEAD: torch.full((2,), h)}, create_graph=False)[1]
        for h in (0, 1)
    ]
    assert (forces[0] - forces[1]).abs().max() > 1e-3


def test_a_child_inherits_vectors_by_name_and_always_the_readout(
    make: MakeModel, batch: Batch
) -> None:
    parent = make(heads=("xtb", "dft"))
    fresh = make(heads=("dft", "cc", "new"), seed=1, random_readouts=False)
    sources = {"dft": "dft", "cc": "xtb", "new": None}
    child = make(heads=("dft", "cc", "new"), seed=2)
    child.load_state_dict(inherited_state(parent.state_dict(), fresh.state_dict(), sources))
    assert torch.equal(through(child, 0, batch), through(parent, 1, batch))
    assert torch.equal(through(child, 1, batch), through(parent, 0, batch))
    assert not child.fidelities["head-new"].any()
    for p, q in zip(child.readouts.parameters(), parent.readouts.parameters(), strict=True):
        assert torch.equal(p, q)


def test_heads_may_change_places_in_one_network(make: MakeModel, batch: Batch) -> None:
    """A child is often built in the network that its parent was trained in."""
    model = make()
    before = [through(model, head, batch) for head in (0, 1)]
    sources = {"dft": "cc", "cc": "dft"}
    model.load_state_dict(inherited_state(model.state_dict(), {}, sources))
    assert torch.equal(through(model, 0, batch), before[1])
    assert torch.equal(through(model, 1, batch), before[0])


@pytest.mark.parametrize("fidelity", ["readout", "embedding"])
def test_a_fresh_head_has_the_initial_weights(make_model: MakeModel, fidelity: str) -> None:
    parent = make_model(heads=("dft",), fidelity=fidelity)
    fresh = make_model(heads=("dft", "cc"), seed=1, fidelity=fidelity)
    state = inherited_state(parent.state_dict(), fresh.state_dict(), {"dft": "dft", "cc": None})
    assert state.keys() == fresh.state_dict().keys()
    for name, tensor in state.items():
        origin = fresh if "head-cc" in name else parent
        assert torch.equal(tensor, origin.state_dict()[name])


def test_no_package_of_its_own_can_hold_one(
    make: MakeModel, architecture: str, tmp_path: Path
) -> None:
    trained = Trained(
        network=make(),
        settings=LADDER[architecture]["tiny"].settings,
        elements=("H", "C", "N", "O"),
        cutoff_a=5.0,
        mean_neighbours=6.0,
        energy_scale_ev={"dft": 1.0, "cc": 1.0},
        offsets_ev={"dft": np.zeros(4), "cc": np.zeros(4)},
    )
    path = tmp_path / f"model{NATIVE_SUFFIX[architecture]}"
    with pytest.raises(ModelError, match=f"{architecture}'s own format .* without --native"):
        write_native(architecture, trained, path, "cc")
    assert not list(tmp_path.iterdir())
