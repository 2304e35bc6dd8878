"""The ladder of sizes: what is built is what is listed."""

from collections.abc import Callable, Sequence
from itertools import pairwise

import pytest
import torch
from ase import Atoms

from mfscale.data import keys
from mfscale.models import LADDER
from mfscale.models.headed import Batch, HeadedModel, energy_and_forces

MakeModel = Callable[..., HeadedModel]
MakeBatch = Callable[[Sequence[Atoms]], Batch]


SIZES = ("tiny", "small", "medium", "large", "xlarge")


@pytest.mark.parametrize("size", SIZES)
def test_each_size_has_the_parameters_it_lists(
    make_model: MakeModel, architecture: str, size: str
) -> None:
    model = make_model(size)
    assert sum(p.numel() for p in model.parameters()) == LADDER[architecture][size].n_parameters


def test_the_ladders_reach_from_ten_thousand_to_millions(architecture: str) -> None:
    """In strictly growing steps, at sizes comparable across architectures."""
    counts = [LADDER[architecture][size].n_parameters for size in SIZES]
    assert counts == sorted(set(counts))
    assert 5e3 < counts[0] < 2e4
    assert 1e6 < counts[-1] < 6e6


@pytest.mark.slow
@pytest.mark.parametrize("size", SIZES)
def test_each_size_learns_from_energies_and_forces(
    make_model: MakeModel, make_batch: MakeBatch, chiral: Atoms, size: str
) -> None:
    """Steps towards the energy and forces of a spring on one molecule lower the loss."""
    model = make_model(size, dtype=torch.float32, random_readouts=False)
    batch = make_batch([chiral])
    forces = 0.1 * (batch[keys.POSITIONS] - batch[keys.POSITIONS].mean(dim=0)).float()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    losses = []
    for _ in range(4):
        energy, predicted = energy_and_forces(model, batch, create_graph=True)
        loss = (energy - 0.5).square().sum() + (predicted + forces).square().sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert all(after < before for before, after in pairwise(losses))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_network_has_one_type_throughout(make_model: MakeModel, dtype: torch.dtype) -> None:
    model = make_model(dtype=dtype)
    assert {p.dtype for p in model.parameters()} == {dtype}


def test_building_leaves_the_default_type_alone(make_model: MakeModel) -> None:
    before = torch.get_default_dtype()
    make_model(dtype=torch.float64)
    assert torch.get_default_dtype() == before


def test_weights_are_those_of_the_seed(make_model: MakeModel) -> None:
    torch.manual_seed(1)
    one = make_model(seed=3, random_readouts=False).state_dict()
    torch.manual_seed(2)
    same = make_model(seed=3, random_readouts=False).state_dict()
    other = make_model(seed=4, random_readouts=False).state_dict()
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert any(not torch.equal(one[name], other[name]) for name in one)
