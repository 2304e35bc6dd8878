"""The loss of two structures, worked out by hand."""

import pytest
import torch
from torch import Tensor

from mfscale.data import keys
from mfscale.models.headed import Batch
from mfscale.study import Hyperparameters
from mfscale.training.loss import loss

NAN = float("nan")
SETTINGS = Hyperparameters(energy_weight=100.0, force_weight=2.0)

ENERGY = torch.tensor([1.2, -3.0], dtype=torch.float64)
FORCES = torch.tensor(
    [[0.1, 0.0, 0.0], [0.0, 0.3, 0.0], [1.0, 1.0, 1.0]], dtype=torch.float64, requires_grad=True
)


@pytest.fixture
def batch() -> Batch:
    """Structure 0: two atoms, ΔE 0.2, ΔF 0.1 and 0.3. Structure 1: one atom, ΔE −1, no forces."""
    return {
        keys.STRUCTURE: torch.tensor([0, 0, 1]),
        keys.N_ATOMS: torch.tensor([2, 1]),
        keys.ENERGY: torch.tensor([1.0, -2.0], dtype=torch.float64),
        keys.WEIGHT: torch.tensor([1.0, 1.0], dtype=torch.float64),
        keys.FORCES: torch.tensor([[0.0] * 3, [0.0] * 3, [NAN] * 3], dtype=torch.float64),
    }


def test_squares(batch: Batch) -> None:
    """Per atom 0.1 and −1: mean square 1.01/2. Six labelled components: 0.1² + 0.3² over 6."""
    value = loss(ENERGY, FORCES, batch, SETTINGS)
    assert value.item() == pytest.approx(100 * 1.01 / 2 + 2 * 0.10 / 6)


def test_huber(batch: Batch) -> None:
    """δ = 0.2: x²/2 inside, δ(|x| − δ/2) outside; 0.1 is inside, 0.3 and 1 are outside."""
    settings = SETTINGS.model_copy(update={"loss": "huber", "huber_delta_ev": 0.2})
    energy = (0.1**2 / 2 + 0.2 * (1 - 0.1)) / 2
    forces = (0.1**2 / 2 + 0.2 * (0.3 - 0.1)) / 6
    value = loss(ENERGY, FORCES, batch, settings)
    assert value.item() == pytest.approx(100 * energy + 2 * forces)


def test_energies_weigh_the_same_with_and_without_forces(batch: Batch) -> None:
    none_labelled = {**batch, keys.FORCES: torch.full((3, 3), NAN, dtype=torch.float64)}
    alone = loss(ENERGY, None, batch, SETTINGS)
    assert alone.item() == pytest.approx(100 * 1.01 / 2)
    assert loss(ENERGY, FORCES, none_labelled, SETTINGS).item() == alone.item()
    no_weight = SETTINGS.model_copy(update={"force_weight": 0.0})
    assert loss(ENERGY, FORCES, batch, no_weight).item() == alone.item()


def test_unlabelled_forces_pull_at_nothing(batch: Batch) -> None:
    (gradient,) = torch.autograd.grad(loss(ENERGY, FORCES, batch, SETTINGS), FORCES)
    expected = 2 * 2 * FORCES.detach() / 6
    expected[2] = 0
    torch.testing.assert_close(gradient, expected)


def test_the_weight_of_a_head_acts_linearly(batch: Batch) -> None:
    def weighted(*weights: float) -> Tensor:
        weight = torch.tensor(weights, dtype=torch.float64)
        return loss(ENERGY, FORCES, {**batch, keys.WEIGHT: weight}, SETTINGS)

    apart = 3 * weighted(1, 0) + 0.5 * weighted(0, 1)
    assert weighted(1, 0) > 0
    assert weighted(0, 1) > 0
    assert weighted(3, 0.5).item() == pytest.approx(apart.item())
