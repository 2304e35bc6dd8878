"""Low-rank corrections to the linear maps of a backbone (LoRA, arXiv:2106.09685).

A linear map between features of many irreps has a matrix of weights for each pair of equal irreps,
its paths; correcting each path by a matrix of its own leaves the map equivariant exactly. Corrected
are e3nn's linear maps and the dense layers of both packages' perceptrons. Tensor products, MACE's
contractions and tables of element embeddings are no linear maps and stay as they are.
"""

import contextlib
from collections.abc import Iterator

import torch
from e3nn.nn._fc import _Layer as E3nnDense  # e3nn has no public name for it
from e3nn.o3 import Linear
from nequip.nn.mlp import ScalarLinearLayer
from torch import Tensor, nn
from torch.nn.utils import parametrize

_DENSE = (E3nnDense, ScalarLinearLayer)


@contextlib.contextmanager
def corrected(backbone: nn.Module, rank: int, *, seed: int) -> Iterator[list[nn.Parameter]]:
    """Add low-rank corrections to all linear maps of `backbone` while the context lasts.

    They start at zero. However the context ends, what they have become is then in the weights.

    Parameters
    ----------
    backbone
        Changed in place.
    rank
        Of each path's correction, or the path's smaller side where that is less.
    seed
        Of the factors that do not start at zero, which are drawn in the order of the modules.

    Yields
    ------
    list
        The factors of all corrections.
    """
    generator = torch.Generator().manual_seed(seed)
    learning: list[nn.Parameter] = []
    with contextlib.ExitStack() as folding:
        for module in list(backbone.modules()):
            if shapes := paths(module):
                correction = _Correction(module.get_parameter("weight"), shapes, rank, generator)
                parametrize.register_parametrization(module, "weight", correction)
                folding.callback(parametrize.remove_parametrizations, module, "weight")
                learning += correction.parameters()
        yield learning


def paths(module: nn.Module) -> list[tuple[int, int]]:
    """Shapes (in, out) of the matrices that make up a linear map's weights; none of others."""
    if isinstance(module, Linear):
        return [path.path_shape for path in module.instructions if 0 not in path.path_shape]
    if isinstance(module, _DENSE):
        return [tuple(module.weight.shape)]
    return []


class _Correction(nn.Module):
    """Weights → weights + A·B for each path, with A (in, rank) and B (rank, out).

    B starts at zero and A from a normal distribution of variance 1/rank. A step that changes the
    elements of B by some amount thus changes weights, which both packages draw with variance 1, by
    about as much at any rank, and a learning rate means what it means without corrections.
    """

    def __init__(
        self, weight: Tensor, shapes: list[tuple[int, int]], rank: int, generator: torch.Generator
    ) -> None:
        super().__init__()
        self.a, self.b = nn.ParameterList(), nn.ParameterList()
        for n_in, n_out in shapes:
            r = min(rank, n_in, n_out)
            a = torch.randn(n_in, r, dtype=torch.float64, generator=generator) / r**0.5
            self.a.append(nn.Parameter(a.to(weight)))
            self.b.append(nn.Parameter(weight.new_zeros(r, n_out)))

    def forward(self, weight: Tensor) -> Tensor:
        """Weights of a linear map, flat or a matrix, with the corrections of all paths."""
        each = [(a @ b).flatten() for a, b in zip(self.a, self.b, strict=True)]
        return weight + torch.cat(each).view_as(weight)
