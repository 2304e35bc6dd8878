"""The ladder of sizes: what is built is what is listed."""

from collections.abc import Callable

import pytest
import torch

from mfscale.models import LADDER
from mfscale.models.headed import HeadedModel

MakeModel = Callable[..., HeadedModel]


@pytest.mark.parametrize("size", LADDER["nequip"])
def test_each_size_has_the_parameters_it_lists(make_model: MakeModel, size: str) -> None:
    model = make_model(size)
    assert sum(p.numel() for p in model.parameters()) == LADDER["nequip"][size].n_parameters


def test_sizes_grow() -> None:
    counts = [size.n_parameters for size in LADDER["nequip"].values()]
    assert counts == sorted(counts)


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
