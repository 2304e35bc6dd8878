"""Initial weights that are drawn again are those of a network that is built."""

import pytest
import torch
from torch import nn

from mfscale.models import LADDER
from mfscale.models.build import build
from mfscale.models.draws import InitialWeights


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("architecture", LADDER)
def test_of_every_seed_and_architecture(architecture: str, dtype: torch.dtype) -> None:
    built = []

    def make(seed: int) -> nn.Module:
        built.append(seed)
        return build(
            architecture,
            LADDER[architecture]["tiny"].settings,
            elements=("C", "H", "N", "O"),
            heads=("cc", "dft"),
            dtype=dtype,
            cutoff_a=5.0,
            seed=seed,
        )

    weights = InitialWeights(make)
    for seed in (4, 3, 7, 4):
        before = torch.get_rng_state()
        state = weights.state(seed)
        assert torch.equal(torch.get_rng_state(), before)
        expected = make(seed).state_dict()
        built.pop()
        assert state.keys() == expected.keys()
        for name, tensor in expected.items():
            assert state[name].dtype == tensor.dtype
            assert torch.equal(state[name], tensor), name
    assert weights.network.heads == ("cc", "dft")
    assert built == [4, 3]  # the first is the one that is kept


class Transformed(nn.Module):
    """One whose weights are no draws, but follow from them."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.weight = nn.Parameter(torch.randn(3) * 2 + 1)


class Normalised(nn.Module):
    """One whose weights are draws divided by what depends on them."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        torch.manual_seed(seed)
        drawn = torch.randn(3)
        self.weight = nn.Parameter(drawn / drawn.norm())


class Elsewhere(nn.Module):
    """One that seeds in a way of its own."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        torch.manual_seed(10 * seed + 1)
        self.weight = nn.Parameter(torch.randn(3))


@pytest.mark.parametrize("kind", [Transformed, Normalised, Elsewhere])
def test_what_cannot_be_drawn_again_is_built(kind: type[nn.Module]) -> None:
    weights = InitialWeights(kind)
    for seed in (1, 2, 3):
        assert torch.equal(weights.state(seed)["weight"], kind(seed).weight)
