"""Energies and forces of MACE's own models under the e3nn release that MACE pins.

`mace-torch` pins e3nn 0.4.4, NequIP needs e3nn 0.6 or newer, and one environment holds one e3nn.
This script, run where e3nn is the pinned one, writes what `test_mace_reference.py` compares with.
To make the reference again, in an empty environment::

    pip install mace-torch==0.3.16
    python tests/models/mace_reference.py tests/models/mace_e3nn_0.4.4.json

Weights are drawn by NumPy, parameter by parameter in the order of their names: the file need not
hold them, and they do not depend on torch's generator.
"""

import importlib.metadata
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ase import Atoms
from ase.build import molecule
from mace.modules import interaction_classes
from mace.modules.models import ScaleShiftMACE, o3  # e3nn 0.4.4 loads only after MACE's set-up

ELEMENTS = (1, 6, 7, 8)
R_MAX_A = 5.0
SEED = 20250614
SPREAD = 1.0
"""Standard deviation of the weights: energies come out of order one, forces of order 0.1."""

_PLAIN = "RealAgnosticInteractionBlock"
_RESIDUAL = "RealAgnosticResidualInteractionBlock"

OPTIONS = (
    # correlation, max_ell, hidden irreps, heads, first interaction
    (1, 1, "8x0e", 1, _PLAIN),
    (1, 2, "8x0e+8x1o", 2, _RESIDUAL),
    (1, 3, "4x0e+4x1o+4x2e", 2, _PLAIN),
    (2, 1, "8x0e+8x1o", 1, _PLAIN),
    (2, 2, "4x0e+4x1o+4x2e", 1, _RESIDUAL),
    (2, 3, "8x0e", 2, _RESIDUAL),
    (2, 3, "8x0e+8x1o", 1, _PLAIN),
    (3, 1, "4x0e+4x1o+4x2e", 2, _RESIDUAL),
    (3, 2, "8x0e", 1, _RESIDUAL),
    (3, 2, "8x0e+8x1o", 2, _RESIDUAL),
    (3, 3, "8x0e", 2, _PLAIN),
)
"""Choices of MACE's whose energies do not depend on the release of e3nn."""

UNPORTABLE = (3, 3, "4x0e+4x1o", 1, _RESIDUAL)
"""Vectors from products of three features of l up to 3.

Between e3nn 0.4.4 and 0.6 the 3j symbols of l, l, 1 change sign for l ≥ 2. MACE needs them in such
products alone, on the way through features of the other parity, and there some paths change sign:
the same weights are another model. With l up to 2 those paths are zero, being antisymmetric in
factors that are equal; into scalars there are none.
"""


def structures() -> list[dict[str, Any]]:
    """Two molecules of H, C, N and O, shaken so that no symmetry is left."""
    found = []
    for seed, name in enumerate(("CH3CONH2", "CH3OH")):
        atoms = molecule(name)
        atoms.rattle(0.1, seed=seed)
        found.append({"numbers": atoms.numbers.tolist(), "positions": atoms.positions.tolist()})
    return found


def evaluate(option: Sequence[Any], found: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Energy (eV) and forces (eV/Å) of each structure by each head, in float64."""
    model = network(*option)
    return [
        {"structure": index, "head": name} | _predict(model, structure, head)
        for index, structure in enumerate(found)
        for head, name in enumerate(model.heads)
    ]


def _predict(model: ScaleShiftMACE, structure: dict[str, Any], head: int) -> dict[str, Any]:
    atoms = Atoms(structure["numbers"], structure["positions"])
    distances = atoms.get_all_distances()
    edges = np.argwhere((distances < R_MAX_A) & ~np.eye(len(atoms), dtype=bool)).T
    shifts = torch.zeros(edges.shape[1], 3, dtype=torch.float64)
    out = model(
        {
            "positions": torch.tensor(atoms.positions).requires_grad_(),
            "node_attrs": torch.tensor(
                np.equal.outer(atoms.numbers, ELEMENTS), dtype=torch.float64
            ),
            "edge_index": torch.tensor(edges),
            "shifts": shifts,
            "unit_shifts": shifts,
            "cell": torch.zeros(3, 3, dtype=torch.float64),
            "batch": torch.zeros(len(atoms), dtype=torch.int64),
            "ptr": torch.tensor([0, len(atoms)]),
            "head": torch.tensor([head]),
        }
    )
    return {"energy": out["energy"].item(), "forces": out["forces"].tolist()}


def network(
    correlation: int, max_ell: int, hidden: str, n_heads: int, first: str
) -> ScaleShiftMACE:
    """A small ScaleShiftMACE in float64, with weights that only names and shapes decide."""
    default = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        model = ScaleShiftMACE(
            r_max=R_MAX_A,
            num_bessel=8,
            num_polynomial_cutoff=5,
            max_ell=max_ell,
            interaction_cls=interaction_classes[_RESIDUAL],
            interaction_cls_first=interaction_classes[first],
            num_interactions=2,
            num_elements=len(ELEMENTS),
            hidden_irreps=o3.Irreps(hidden),
            MLP_irreps=o3.Irreps("16x0e"),
            atomic_energies=np.array([[-0.05, -0.1, -0.15, -0.2], [-0.06, -0.11, -0.16, -0.21]])[
                :n_heads
            ],
            avg_num_neighbors=6.0,
            atomic_numbers=list(ELEMENTS),
            correlation=correlation,
            gate=torch.nn.functional.silu,
            use_reduced_cg=False,  # or cuequivariance, where installed, makes it another model
            radial_MLP=[16, 16],
            heads=["dft", "cc"][:n_heads],
            atomic_inter_scale=[0.7, 1.3][:n_heads],
            atomic_inter_shift=[0.0, 0.1][:n_heads],
        )
    finally:
        torch.set_default_dtype(default)
    generator = np.random.default_rng(SEED)
    parameters = dict(model.named_parameters())
    with torch.no_grad():
        for name in sorted(parameters):
            drawn = generator.normal(scale=SPREAD, size=tuple(parameters[name].shape))
            parameters[name].copy_(torch.from_numpy(drawn))
    return model


def main() -> None:
    """Write the reference to the file named on the command line."""
    packages = ("e3nn", "mace-torch", "numpy", "torch")
    found = structures()
    reference = {
        "versions": {name: importlib.metadata.version(name) for name in packages},
        "seed": SEED,
        "structures": found,
        "models": [
            {"option": option, "results": evaluate(option, found)}
            for option in (*OPTIONS, UNPORTABLE)
        ],
    }
    Path(sys.argv[1]).write_text(json.dumps(reference, indent=1) + "\n")


if __name__ == "__main__":
    main()
