"""cuEquivariance computes what e3nn computes, of the same weights under the same names."""

import math
from collections.abc import Callable, Sequence

import cuequivariance as cue
import pytest
import torch
from ase import Atoms
from ase.build import molecule
from cuequivariance_torch.primitives import segmented_polynomial

from mfscale.models.errors import ModelError
from mfscale.models.headed import Batch, HeadedModel, energy_and_forces
from mfscale.models.products import polynomial

MakeModel = Callable[..., HeadedModel]
MakeBatch = Callable[[Sequence[Atoms]], Batch]
EXACT = {"rtol": 1e-11, "atol": 1e-11}


def computed(model: HeadedModel, batch: Batch) -> dict[str, torch.Tensor]:
    """Energies, forces, and the gradient of a loss on both by each weight."""
    energy, forces = energy_and_forces(model, batch, create_graph=True)
    named = dict(model.named_parameters())
    loss = energy.square().sum() + forces.square().sum()
    gradients = torch.autograd.grad(
        loss, list(named.values()), allow_unused=True, materialize_grads=True
    )
    return {"energy": energy, "forces": forces, **dict(zip(named, gradients, strict=True))}


@pytest.mark.parametrize("size", ["tiny", "large"])
def test_energies_forces_and_gradients_are_the_same(
    make_model: MakeModel, make_batch: MakeBatch, chiral: Atoms, size: str
) -> None:
    model = make_model(size)
    batch = make_batch([chiral, molecule("NH3"), molecule("CO2")])
    expected, state = computed(model, batch), dict(model.state_dict())
    modules = set(map(id, model.modules()))
    model.backbone.use_cuequivariance("naive")
    found = computed(model, batch)
    assert any(type(m).__module__.startswith("cuequivariance") for m in model.modules())
    assert set(map(id, model.modules())) != modules
    assert found.keys() == expected.keys()
    assert float(expected["forces"].detach().abs().max()) > 1e-3
    for name, value in expected.items():
        scale = float(value.detach().abs().max()) or 1.0
        torch.testing.assert_close(found[name] / scale, value / scale, **EXACT, msg=name)
    kept = model.state_dict()
    assert kept.keys() == state.keys()
    assert all(torch.equal(kept[name], tensor) for name, tensor in state.items())


def test_a_structure_without_neighbours_is_the_same(
    make_model: MakeModel, make_batch: MakeBatch
) -> None:
    """Beside one with some, and alone; Allegro knows nothing of such an atom."""
    far = Atoms("O2", [[0, 0, 0], [0, 0, 1.2]]) + Atoms("H", [[20, 0, 0]])
    batches = [make_batch([far, molecule("H2")]), make_batch([Atoms("O"), Atoms("H")])]
    model = make_model()
    expected = [computed(model, batch) for batch in batches]
    model.backbone.use_cuequivariance("naive")
    for batch, wanted in zip(batches, expected, strict=True):
        found = computed(model, batch)
        for name in ("energy", "forces"):
            assert math.isfinite(float(wanted[name].detach().abs().max()))
            torch.testing.assert_close(found[name], wanted[name], **EXACT)


def test_without_kernels_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rather than computing more slowly than e3nn, without a word."""
    monkeypatch.setattr(segmented_polynomial, "HAS_CUE_OPS", False)
    harmonics = cue.descriptors.spherical_harmonics(cue.SO3(1), [0, 1]).polynomial
    with pytest.raises(ModelError, match="pip install cuequivariance-ops-torch-cu1"):
        polynomial(harmonics, "uniform_1d", torch.float32)
