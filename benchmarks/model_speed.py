"""Training speed of every model size on one core: the reference rates of `mfscale.models.LADDER`.

Run ``python benchmarks/model_speed.py [OUT.json]``: a table on standard output, JSON if asked.
"""

import json
import platform
import sys
import time
from pathlib import Path

import numpy as np
import torch

from mfscale.data import keys, neighbour_graphs, open_dataset, pack
from mfscale.models import LADDER
from mfscale.models.build import build
from mfscale.models.headed import energy_and_forces
from mfscale.training.transfer import batch_on

BATCH = 32
SECONDS = 4.0


def structures_per_second(architecture: str, size: str, *, forces: bool) -> float:
    """Training steps on 32 molecules of the embedded dataset, timed after a warm-up."""
    dataset = open_dataset("chno3")
    structures = dataset.labelled_structures("cc")[:BATCH]
    packed = pack(dataset, neighbour_graphs(dataset, 5.0), structures)
    network = build(
        architecture,
        LADDER[architecture][size].settings,
        elements=dataset.elements,
        heads=["cc"],
        dtype=torch.float32,
        cutoff_a=5.0,
        seed=0,
    )
    optimizer = torch.optim.AdamW(network.parameters(), fused=True)

    def step() -> None:
        batch = batch_on(packed.batch(np.arange(BATCH)), torch.device("cpu"))
        batch[keys.HEAD] = torch.zeros(BATCH, dtype=torch.int64)
        optimizer.zero_grad()
        if forces:
            energy, force = energy_and_forces(network, batch, create_graph=True)
            (energy.square().mean() + (force - 1).square().mean()).backward()
        else:
            (network(batch) - 1).square().mean().backward()
        optimizer.step()

    step()
    step()
    n, began = 0, time.perf_counter()
    while time.perf_counter() - began < SECONDS:
        step()
        n += 1
    return n * BATCH / (time.perf_counter() - began)


def main() -> None:
    """Measure every size with and without forces."""
    torch.set_num_threads(1)
    rows = [
        {
            "architecture": architecture,
            "size": size,
            "n_parameters": entry.n_parameters,
            "energies": round(structures_per_second(architecture, size, forces=False)),
            "forces": round(structures_per_second(architecture, size, forces=True)),
        }
        for architecture, sizes in LADDER.items()
        for size, entry in sizes.items()
    ]
    print(f"structures per second, one core of {platform.processor() or platform.machine()}, eager")
    for row in rows:
        print(
            "{architecture:10} {size:8} {n_parameters:>10,} {energies:>8} {forces:>8}".format(**row)
        )
    if len(sys.argv) > 1:
        Path(sys.argv[1]).write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()
