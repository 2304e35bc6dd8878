"""Building a network leaves the process as it was, whatever its GPUs are like."""

import random

import numpy as np
import pytest
import torch

from mfscale.models import LADDER
from mfscale.models.build import build


def _build(architecture: str) -> None:
    build(
        architecture,
        LADDER[architecture]["tiny"].settings,
        elements=("H", "O"),
        heads=("dft",),
        dtype=torch.float64,
        cutoff_a=4.0,
        seed=3,
    )


@pytest.mark.parametrize("architecture", ["nequip", "allegro", "mace"])
def test_seeds_and_type_stay(architecture: str) -> None:
    torch.manual_seed(1)
    random.seed(1)
    np.random.seed(1)  # noqa: NPY002 - what a user's script may have seeded
    expected = torch.rand(1), random.random(), np.random.rand()  # noqa: NPY002, S311
    torch.manual_seed(1)
    random.seed(1)
    np.random.seed(1)  # noqa: NPY002
    _build(architecture)
    found = torch.rand(1), random.random(), np.random.rand()  # noqa: NPY002, S311
    assert found == expected
    assert torch.get_default_dtype() == torch.float32


def test_a_gpu_that_torch_cannot_start_is_let_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is counted all the same: a driver too old for this torch, say."""
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    assert not torch.cuda.is_available()
    _build("nequip")
