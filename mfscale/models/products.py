"""Products of tensors by cuEquivariance, which has kernels for GPUs, in the place of e3nn's.

A family's backbone puts these modules where its package has its own. Weights stay where they are,
under their names and in their order, and mean what they meant, for each product is made from the
paths of the one that it stands for; so a potential may be trained with either, and its children
with the other. Gathering and summing over edges is left to torch, as a loss on forces needs second
derivatives, which fused kernels do not have.
"""

import warnings
from collections.abc import Sequence
from typing import Any

import cuequivariance as cue
import torch
from cuequivariance.group_theory.experimental.e3nn import O3_e3nn
from cuequivariance.group_theory.experimental.mace.symmetric_contractions import (
    symmetric_contraction,
)
from e3nn.o3 import Irrep, TensorProduct, wigner_3j
from nequip.utils import torch_default_dtype
from torch import Tensor, nn

from mfscale.models.errors import ModelError
from mfscale.models.headed import leave_buffers_out

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # which kernels are not installed
    import cuequivariance_torch as cuet


class Convolution(nn.Module):
    """Messages between neighbours: a product with weights from outside, summed where edges end.

    Parameters
    ----------
    product
        e3nn's, all of whose paths are 'uvu' with weights.
    method, dtype
        Of `polynomial`.
    """

    def __init__(self, product: TensorProduct, method: str, dtype: torch.dtype) -> None:
        super().__init__()
        paths = cue.SegmentedTensorProduct.from_subscripts("uv,iu,jv,kuv+ijk")
        for operand, irreps in ((1, product.irreps_in1), (2, product.irreps_in2)):
            for channels, irrep in irreps:
                paths.add_segment(operand, (irrep.dim, channels))
        for channels, irrep in product.irreps_out:
            paths.add_segment(3, (irrep.dim, channels, 1))
        for path in product.instructions:
            channels, irrep = product.irreps_in1[path.i_in1]
            edges, harmonic = product.irreps_in2[path.i_in2]
            if path.connection_mode != "uvu" or not path.has_weight or edges != 1:
                raise ModelError(f"cuEquivariance is not used for a product with a path {path}")
            coefficients = path.path_weight * _coupling(
                irrep, harmonic, product.irreps_out[path.i_out].ir
            )
            places = (path.i_in1, path.i_in2, path.i_out)
            paths.add_path(None, *places, c=coefficients.numpy(), dims={"u": channels, "v": 1})
        whole = cue.SegmentedPolynomial.eval_last_operand(paths)
        self.polynomial = polynomial(
            whole.flatten_coefficient_modes().squeeze_modes(), method, dtype
        )
        self.width: int = product.irreps_out.dim
        self.turn_in = _turned(product.irreps_in1, cue.mul_ir, cue.ir_mul)
        self.turn_out = _turned(product.irreps_out, cue.ir_mul, cue.mul_ir)

    def forward(
        self, x: Tensor, edge_attr: Tensor, edge_weight: Tensor, sender: Tensor, receiver: Tensor
    ) -> Tensor:
        """Features (N, …), of edges (E, …), weights (E, …), atoms (E,), (E,) → sums (N, …)."""
        if not len(sender):  # which its kernels may not take; what is summed is none
            return x.new_zeros(x.shape[0], self.width) + (edge_weight.sum() + edge_attr.sum())
        (message,) = self.polynomial([edge_weight, self.turn_in(x)[sender], edge_attr])
        total = message.new_zeros(x.shape[0], message.shape[1])
        summed: Tensor = self.turn_out(total.index_add(0, receiver, message))
        return summed


class StridedProduct(nn.Module):
    """Allegro's product of edge features with those of their atoms, channel by channel.

    Parameters
    ----------
    product
        ``allegro.nn._strided._contract.Contracter`` with more than one path.
    method
        Of `polynomial`.
    """

    def __init__(self, product: Any, method: str) -> None:  # noqa: ANN401 - a private class
        super().__init__()
        self.weights = product.weights
        self.register_buffer("w3j", product.w3j)  # of Allegro's state
        self.channels: int = product.mul
        self.coupled: bool = product.path_channel_coupling
        irreps = (product.irreps_in1, product.irreps_in2, product.irreps_out)
        self.dims = tuple(sum(irrep.dim for _, irrep in each) for each in irreps)
        subscripts = "u,iu,ju,ku+ijk" if self.coupled else ",iu,ju,ku+ijk"
        paths = cue.SegmentedTensorProduct.from_subscripts(subscripts)
        for operand, each in enumerate(irreps, start=1):
            for _, irrep in each:
                paths.add_segment(operand, (irrep.dim, self.channels))
        for one, two, out in product.instructions or _allowed(*irreps):
            irrep = irreps[2][out].ir
            of_path = _coupling(irreps[0][one].ir, irreps[1][two].ir, irrep)
            if product.irrep_normalization == "component":
                of_path = of_path * irrep.dim**0.5
            dims = {"u": self.channels}
            paths.add_path(None, one, two, out, c=of_path.numpy(), dims=dims)
        whole = cue.SegmentedPolynomial.eval_last_operand(paths)
        self.polynomial = polynomial(whole.flatten_coefficient_modes(), method, product.w3j.dtype)

    def forward(self, x1: Tensor, x2: Tensor, idxs: Tensor) -> Tensor:
        """Of edges (E, channels, …), of atoms (N, channels, …), (E,) → (E, channels, …)."""
        if not len(idxs):  # as above
            return x1.new_zeros(0, self.channels, self.dims[2]) + x1.sum()
        weights = self.weights.transpose(0, 1) if self.coupled else self.weights
        operands = [
            each.reshape(-1, self.channels, dim).transpose(1, 2).flatten(1)
            for each, dim in zip((x1, x2), self.dims, strict=False)
        ]
        operands[1] = operands[1].index_select(0, idxs)
        (found,) = self.polynomial([weights.reshape(1, -1), *operands])
        shaped: Tensor = found.view(-1, self.dims[2], self.channels).transpose(1, 2).contiguous()
        return shaped


class SymmetricContraction(nn.Module):
    """MACE's products of an atom's features with themselves, with weights for each element.

    Parameters
    ----------
    contraction
        ``mace.modules.symmetric_contraction.SymmetricContraction``, whose weights stay in it.
    method, dtype
        Of `polynomial`.
    """

    projection: Tensor

    def __init__(
        self,
        contraction: Any,  # noqa: ANN401 - a class of a package that may be missing
        method: str,
        dtype: torch.dtype,
    ) -> None:
        super().__init__()
        self.contractions = contraction.contractions
        degrees = tuple(range(1, self.contractions[0].correlation + 1))
        with torch_default_dtype(torch.float64):  # or its coefficients come in single precision
            described, projection = symmetric_contraction(
                _irreps(contraction.irreps_in), _irreps(contraction.irreps_out), degrees
            )
        self.register_buffer("projection", torch.tensor(projection, dtype=dtype), persistent=False)
        self.polynomial = polynomial(described.polynomial, method, dtype)
        self.turn_out = _turned(contraction.irreps_out, cue.ir_mul, cue.mul_ir)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Features (N, channels, …) and elements, of which one is 1, (N, elements) → (N, …)."""
        weights = torch.cat(
            [w for each in self.contractions for w in (each.weights_max, *each.weights)], dim=1
        )
        weights = torch.einsum("zau,ab->zbu", weights, self.projection).flatten(1)
        (found,) = self.polynomial([weights, x.transpose(1, 2).flatten(1)], {0: y.argmax(-1)})
        turned: Tensor = self.turn_out(found)
        return turned


def polynomial(described: cue.SegmentedPolynomial, method: str, dtype: torch.dtype) -> nn.Module:
    """What computes a polynomial; its constants are in no network's state.

    Parameters
    ----------
    described
        The polynomial.
    method
        ``uniform_1d``, by a kernel on GPUs, or ``naive``, by torch anywhere.
    dtype
        Of its numbers.

    Raises
    ------
    ModelError
        If there is no kernel; the message says what to install.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what it does instead of what it was asked to
        found: nn.Module = cuet.SegmentedPolynomial(described, method=method, math_dtype=dtype)
    if found.method != method:
        cuda = (torch.version.cuda or "13").partition(".")[0]
        raise ModelError(
            "the kernels of cuEquivariance are not installed here; type: "
            f"pip install cuequivariance-ops-torch-cu{cuda}"
        )
    leave_buffers_out(found)
    return found


def _coupling(one: Irrep, two: Irrep, out: Irrep) -> Tensor:
    coefficients: Tensor = wigner_3j(one.l, two.l, out.l, dtype=torch.float64)
    return coefficients


def _allowed(
    one: Sequence[tuple[int, Irrep]],
    two: Sequence[tuple[int, Irrep]],
    out: Sequence[tuple[int, Irrep]],
) -> list[tuple[int, int, int]]:
    """All paths, in Allegro's order."""
    return [
        (i, j, k)
        for k, (_, irrep) in enumerate(out)
        for i, (_, first) in enumerate(one)
        for j, (_, second) in enumerate(two)
        if irrep in first * second
    ]


def _irreps(irreps: object) -> cue.Irreps:
    return cue.Irreps(O3_e3nn, str(irreps))


def _turned(irreps: object, source: cue.IrrepsLayout, target: cue.IrrepsLayout) -> nn.Module:
    turned: nn.Module = cuet.TransposeIrrepsLayout(
        _irreps(irreps), source=source, target=target, use_fallback=True
    )
    return turned
