"""Memory that a training step takes, of every model size: `mfscale.models.LADDER`'s `memory`.

Run ``python benchmarks/model_memory.py [OUT.json]``: a table on standard output, JSON if asked.

The peak of what the tensor library allocates between the start and the end of a step, as its own
profiler sees it, weights and the optimiser's moments not counted. Bytes are the same on any device,
but for scratch space of the libraries below. Fitted, with coefficients that are not negative, to
kilobytes an atom and kilobytes an edge, on batches of few and of many neighbours.
"""

import json
import sys
from pathlib import Path

import numpy as np
import torch
from scipy.optimize import nnls
from torch.profiler import ProfilerActivity, profile

from mfscale.data import keys, neighbour_graphs, open_dataset, pack
from mfscale.models import LADDER
from mfscale.models.build import build
from mfscale.models.headed import Batch, HeadedModel, energy_and_forces
from mfscale.training.transfer import batch_on

BATCHES = ((4, 5.0), (8, 5.0), (16, 5.0), (8, 1.3), (8, 2.3))
"""Molecules, and a cutoff in Å that gives them few neighbours or many."""


def made(n: int, cutoff_a: float) -> Batch:
    """The `n` largest molecules with CC labels among the first of the embedded dataset."""
    dataset = open_dataset("chno3")
    structures = dataset.labelled_structures("cc")[:1000]
    largest = structures[np.argsort(-dataset.n_atoms(structures), kind="stable")[:n]]
    packed = pack(dataset, neighbour_graphs(dataset, cutoff_a), largest)
    batch = batch_on(packed.batch(np.arange(n)), torch.device("cpu"))
    return {**batch, keys.HEAD: torch.zeros(n, dtype=torch.int64)}


def peak(network: HeadedModel, batch: Batch, *, forces: bool) -> int:
    """Bytes that a training step allocates at most at once, its gradients included."""
    optimizer = torch.optim.AdamW(network.parameters(), fused=True)

    def step() -> None:
        optimizer.zero_grad()
        if forces:
            energy, force = energy_and_forces(network, batch, create_graph=True)
            (energy.square().mean() + (force - 1).square().mean()).backward()
        else:
            (network(batch) - 1).square().mean().backward()
        optimizer.step()

    step()
    step()
    optimizer.zero_grad()
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiled:
        step()
    events = [e for e in profiled.profiler.kineto_results.events() if e.name() == "[memory]"]
    changes = [e.nbytes() for e in sorted(events, key=lambda e: e.start_ns())]
    return int(np.cumsum(changes).max())


def measured(architecture: str, size: str, *, forces: bool) -> dict[str, object]:
    """Kilobytes an atom and an edge take, and how far the fit is from what was measured."""
    entry = LADDER[architecture][size]
    network = build(
        architecture,
        entry.settings,
        elements=open_dataset("chno3").elements,
        heads=["cc"],
        dtype=torch.float32,
        cutoff_a=5.0,
        seed=0,
    )
    batches = [made(*of) for of in BATCHES]
    extents = np.array([[len(b[keys.SPECIES]), b[keys.EDGE_INDEX].shape[1]] for b in batches])
    peaks = np.array([peak(network, batch, forces=forces) for batch in batches])
    activations = (peaks - 4 * entry.n_parameters) / 1e3
    scaled = extents / activations[:, None]
    (per_atom, per_edge), _ = nnls(scaled, np.ones(len(batches)))
    fitted = scaled @ [per_atom, per_edge]
    return {
        "architecture": architecture,
        "size": size,
        "forces": forces,
        "kb_per_atom": round(float(per_atom), 2),
        "kb_per_edge": round(float(per_edge), 2),
        "fitted_over_measured": [round(float(f), 3) for f in fitted],
        "atoms_edges_mb": [
            [*map(int, e), round(p / 1e6, 2)] for e, p in zip(extents, peaks, strict=True)
        ],
    }


def main() -> None:
    """Measure every size with and without forces."""
    torch.set_num_threads(1)
    rows = []
    for architecture, sizes in LADDER.items():
        for size in sizes:
            for forces in (False, True):
                row = measured(architecture, size, forces=forces)
                rows.append(row)
                print(
                    "{architecture:8} {size:7} forces {forces!s:5} {kb_per_atom:>9} kB an atom"
                    " {kb_per_edge:>9} kB an edge; fit/measured {fitted_over_measured}".format(
                        **row
                    ),
                    flush=True,
                )
    if len(sys.argv) > 1:
        lines = ",\n".join(map(json.dumps, rows))
        Path(sys.argv[1]).write_text(f"[\n{lines}\n]\n")


if __name__ == "__main__":
    main()
