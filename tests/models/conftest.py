"""Molecules as batches, with neighbours found by a plain search over all pairs."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import molecule

from mfscale.data import keys
from mfscale.models import LADDER
from mfscale.models.build import build
from mfscale.models.headed import Batch, HeadedModel

torch.set_num_threads(1)

ELEMENTS = ("H", "C", "N", "O")
CUTOFF_A = 5.0


@pytest.fixture(scope="session")
def make_batch() -> Callable[[Sequence[Atoms]], dict[str, torch.Tensor]]:
    """Structures → one batch, every structure for head 0."""

    def make(structures: Sequence[Atoms]) -> Batch:
        edges, first = [], 0
        for atoms in structures:
            distances = atoms.get_all_distances()
            near = (distances < CUTOFF_A) & ~np.eye(len(atoms), dtype=bool)
            edges.append(np.argwhere(near).T + first)
            first += len(atoms)
        sizes = [len(atoms) for atoms in structures]
        symbols = [symbol for atoms in structures for symbol in atoms.symbols]
        return {
            keys.POSITIONS: torch.from_numpy(np.concatenate([a.positions for a in structures])),
            keys.SPECIES: torch.tensor([ELEMENTS.index(symbol) for symbol in symbols]),
            keys.EDGE_INDEX: torch.from_numpy(np.concatenate(edges, axis=1)),
            keys.STRUCTURE: torch.arange(len(sizes)).repeat_interleave(torch.tensor(sizes)),
            keys.N_ATOMS: torch.tensor(sizes),
            keys.HEAD: torch.zeros(len(sizes), dtype=torch.int64),
        }

    return make


@pytest.fixture(scope="session", params=LADDER)
def architecture(request: pytest.FixtureRequest) -> str:
    """Each architecture in turn, for every test that builds a model."""
    name: str = request.param
    return name


@pytest.fixture(scope="session")
def make_model(architecture: str) -> Callable[..., HeadedModel]:
    """Build a model as a stage starts it, or with readouts of random weights instead of zeros."""

    def make(
        size: str = "tiny",
        *,
        heads: Sequence[str] = ("cc",),
        dtype: torch.dtype = torch.float64,
        seed: int = 0,
        random_readouts: bool = True,
        fidelity: str = "readout",
    ) -> HeadedModel:
        model = build(
            architecture,
            LADDER[architecture][size].settings,
            elements=ELEMENTS,
            heads=heads,
            dtype=dtype,
            cutoff_a=CUTOFF_A,
            seed=seed,
            fidelity=fidelity,
        )
        model.backbone.set_mean_neighbours(6.0)
        if random_readouts:
            generator = torch.Generator().manual_seed(seed)
            for parameter in model.of_heads(heads):
                torch.nn.init.normal_(parameter, generator=generator)
        return model

    return make


@pytest.fixture
def chiral() -> Atoms:
    """Acetamide: all four elements, shaken so that no symmetry is left."""
    atoms = molecule("CH3CONH2")
    atoms.rattle(0.1, seed=1)
    return atoms


@pytest.fixture
def water() -> Atoms:
    return molecule("H2O")
