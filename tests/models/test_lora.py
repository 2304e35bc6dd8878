"""Low-rank corrections start as nothing, stay of low rank and equivariant, and end in the weights.

What is asked of every trainable part is in ``test_trainable.py``.
"""

from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch
from ase import Atoms
from scipy.spatial.transform import Rotation
from torch import Tensor, nn

from mfscale.models import LADDER, TRAINABLE
from mfscale.models.headed import Batch, HeadedModel, energy_and_forces
from mfscale.models.lora import paths
from mfscale.models.trainable import trainable_part

MakeModel = Callable[..., HeadedModel]
MakeBatch = Callable[[Sequence[Atoms]], Batch]

SIZES = ["tiny", "small", "medium", "large", "xlarge"]


def shake(parameters: Sequence[nn.Parameter]) -> None:
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for p in parameters:
            p.add_(torch.randn(p.shape, dtype=p.dtype, generator=generator), alpha=0.1)


def matrices(model: HeadedModel) -> list[Tensor]:
    """Weights of each path of each linear map of the backbone."""
    found = []
    for module in model.backbone.modules():
        if shapes := paths(module):
            parts = module.weight.detach().flatten().split([n_in * n_out for n_in, n_out in shapes])
            found += [w.reshape(s).clone() for w, s in zip(parts, shapes, strict=True)]
    return found


def test_the_first_evaluation_is_the_parents(
    make_model: MakeModel, make_batch: MakeBatch, chiral: Atoms
) -> None:
    model, batch = make_model(), make_batch([chiral])
    before = model(batch)
    with trainable_part(model, "lora:4", model.heads, seed=0):
        assert torch.equal(model(batch), before)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-6)])
def test_a_plain_network_computes_what_the_corrected_one_did(
    make_model: MakeModel,
    make_batch: MakeBatch,
    chiral: Atoms,
    dtype: torch.dtype,
    tolerance: float,
) -> None:
    model, plain, batch = (
        make_model(dtype=dtype),
        make_model(dtype=dtype, seed=1),
        make_batch([chiral]),
    )
    before = model(batch)
    with trainable_part(model, "lora:4", model.heads, seed=0) as parameters:
        shake(parameters)
        corrected = energy_and_forces(model, batch, create_graph=False)
    plain.load_state_dict(model.state_dict())
    assert not torch.allclose(before, corrected[0], atol=1e-3)
    for found, expected in zip(
        energy_and_forces(plain, batch, create_graph=False), corrected, strict=True
    ):
        torch.testing.assert_close(found, expected, rtol=tolerance, atol=tolerance)


def test_a_corrected_network_is_as_symmetric_as_before(
    make_model: MakeModel, make_batch: MakeBatch, chiral: Atoms
) -> None:
    model = make_model("large")
    rotation = Rotation.random(random_state=2).as_matrix()
    turned = Atoms(chiral.numbers, chiral.positions @ rotation.T)
    mirrored = Atoms(chiral.numbers, chiral.positions @ np.diag([1.0, 1.0, -1.0]))
    with trainable_part(model, "lora:4", model.heads, seed=0) as parameters:
        shake(parameters)
        for moved in (turned, mirrored):
            energies = model(make_batch([chiral, moved]))
            assert energies[1].item() == pytest.approx(energies[0].item(), abs=1e-10)


@pytest.mark.parametrize("rank", [1, 3])
def test_the_weights_of_a_path_change_by_a_matrix_of_the_rank(
    make_model: MakeModel, rank: int
) -> None:
    """Or of the path's smaller side, where that is less; above the rank there is rounding only."""
    model = make_model()
    before = matrices(model)
    with trainable_part(model, f"lora:{rank}", model.heads, seed=0) as parameters:
        shake(parameters)
    assert len(before) > 6
    for old, new in zip(before, matrices(model), strict=True):
        assert torch.linalg.matrix_rank(new - old, rtol=1e-10) == min(rank, *old.shape)


def test_corrections_are_those_of_the_seed(make_model: MakeModel) -> None:
    drawn = []
    for state, seed in ((1, 3), (2, 3), (2, 4)):
        torch.manual_seed(state)
        model = make_model()
        with trainable_part(model, "lora:4", model.heads, seed=seed) as parameters:
            drawn.append([p.detach().clone() for p in parameters])
    assert all(map(torch.equal, drawn[0], drawn[1]))
    assert not all(map(torch.equal, drawn[1], drawn[2]))


def test_corrections_leave_the_processs_random_numbers_alone(make_model: MakeModel) -> None:
    model = make_model()
    before = torch.get_rng_state()
    with trainable_part(model, "lora:4", model.heads, seed=0):
        assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("size", SIZES)
def test_the_ladder_knows_the_largest_rank_that_saves_anything(
    make_model: MakeModel, architecture: str, size: str
) -> None:
    """A correction has rank·(in + out) parameters where the map has in·out."""
    most = TRAINABLE["lora"].most
    assert most is not None
    rank = most(LADDER[architecture][size])
    shapes = [m.shape for m in matrices(make_model(size, dtype=torch.float32))]
    assert any(rank * (n_in + n_out) < n_in * n_out for n_in, n_out in shapes)
    assert all((rank + 1) * (n_in + n_out) >= n_in * n_out for n_in, n_out in shapes)
