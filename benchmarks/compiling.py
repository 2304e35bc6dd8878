"""What compiling a model takes and brings: the costs that ``run --compile auto`` weighs.

``python benchmarks/compiling.py [OUT.json] [--sizes SIZE …] [--architectures NAME …]`` trains short
stages of each size on one thread, with and without forces: eagerly; compiled in a process that
finds no code kept (cold); and in another that finds it (warm). Each row: milliseconds of a step on
32 molecules of about seven atoms, the seconds that compiling took, and the errors that eager and
compiled training ended with.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

from mfscale.models import LADDER

STEPS = {"tiny": 150, "small": 100, "medium": 60, "large": 24, "xlarge": 12}
BATCH = 32
STUDY = """
name: compiling
dataset: chno3
seed: {seed}
model: {{architecture: {architecture}, size: {size}}}
training: {{max_steps: {steps}, validate_every: {steps}, batch_size: {batch}, patience: 1000}}
strategies:
  direct: [{{heads: {{dft: {{subset: a, size: 512, validation: 32, forces: {forces}}}}}}}]
"""


def trained(asked: dict[str, object]) -> dict[str, object]:
    """Train one stage in this process, after a very short one that loads all there is to load."""
    import torch  # noqa: PLC0415 - the parent needs none

    from mfscale.cli._catalogue import catalogue  # noqa: PLC0415 - likewise
    from mfscale.study import expand, load_study  # noqa: PLC0415 - likewise
    from mfscale.training import run_stage  # noqa: PLC0415 - likewise

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "study.yaml")
        rows = []
        for seed, steps in ((0, 2), (1, asked["steps"])):
            path.write_text(STUDY.format(**{**asked, "seed": seed, "steps": steps, "batch": BATCH}))
            (stage,) = expand(load_study(path), catalogue()).stages.values()
            done = run_stage(
                stage,
                checkpoint_dir=lambda stage_id: Path(folder, stage_id),
                compiled=bool(asked["compiled"]),
            )
            rows.append(done.row)
    first, row = rows
    return {
        "mode": row["compile_mode"],
        "step_ms": 1e3 * BATCH / row["structures_per_second"],
        "before_training_s": first["wall_time_s"] - first["train_time_s"],
        "test_mae_mev": next(
            e["value"]
            for e in row["evaluations"]
            if (e["moment"], e["subset"], e["head"]) == ("end", "t", e["method"])
        ),
        "peak_memory_mb": row["peak_memory_mb"],
    }


def process(cache: str, **asked: object) -> dict[str, object]:
    """`trained` in a process of its own."""
    done = subprocess.run(  # noqa: S603 - this file
        [sys.executable, __file__, "--stage", json.dumps(asked)],
        env={**os.environ, "OMP_NUM_THREADS": "1", "MFSCALE_CACHE": cache},
        check=True,
        capture_output=True,
        text=True,
    )
    told: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return told


def compare(architecture: str, size: str, *, forces: bool) -> dict[str, object]:
    """One row."""
    asked = {
        "architecture": architecture,
        "size": size,
        "forces": str(forces).lower(),
        "steps": STEPS[size],
    }
    with tempfile.TemporaryDirectory() as cache:
        process(cache, **{**asked, "steps": 2}, compiled=False)  # leaves the neighbour graphs
        eager = process(cache, **asked, compiled=False)
        cold = process(cache, **asked, compiled=True)
        warm = process(cache, **asked, compiled=True)
    return {
        "architecture": architecture,
        "size": size,
        "forces": forces,
        "mode": warm["mode"],
        "eager_ms": eager["step_ms"],
        "compiled_ms": warm["step_ms"],
        "speedup": eager["step_ms"] / warm["step_ms"],  # type: ignore[operator]
        "cold_s": cold["before_training_s"] - eager["before_training_s"],  # type: ignore[operator]
        "warm_s": warm["before_training_s"] - eager["before_training_s"],  # type: ignore[operator]
        "eager_mae_mev": eager["test_mae_mev"],
        "compiled_mae_mev": warm["test_mae_mev"],
        "eager_mb": eager["peak_memory_mb"],
        "compiled_mb": warm["peak_memory_mb"],
    }


def main() -> None:
    """Measure, print a table, and write JSON to the path given as it grows."""
    parser = argparse.ArgumentParser(description="What compiling takes and brings.")
    parser.add_argument("out", nargs="?", type=Path)
    parser.add_argument("--sizes", nargs="+", default=["tiny", "small", "medium"])
    parser.add_argument("--architectures", nargs="+", default=list(LADDER))
    parser.add_argument("--stage", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.stage:
        print(json.dumps(trained(json.loads(asked.stage))))
        return
    rows = []
    print("architecture size    forces  eager ms  compiled ms  speed-up  cold s  warm s")
    for size in asked.sizes:
        for architecture in asked.architectures:
            for forces in (True, False):
                row = compare(architecture, size, forces=forces)
                rows.append(row)
                print(
                    "{architecture:12} {size:8} {forces!s:6} {eager_ms:9.1f} {compiled_ms:12.1f} "
                    "{speedup:9.2f} {cold_s:7.0f} {warm_s:7.0f}".format(**row),
                    flush=True,
                )
                if asked.out:
                    told = {
                        "machine": platform.processor() or platform.machine(),
                        "torch": version("torch"),
                        "batch": BATCH,
                        "rows": rows,
                    }
                    asked.out.write_text(json.dumps(told, indent=2) + "\n")


if __name__ == "__main__":
    main()
