"""Stages that train nothing: rows as full as those of real ones, made at once.

``noop.py STUDY STORE SLOTS`` runs a study of them, and tells as JSON how that went.
"""

import json
import random
import sys
import time
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from mfscale.cli._running import speeds
from mfscale.cli.study import expand_file
from mfscale.orchestration import Progress, run
from mfscale.results import SCHEMA, Store, parquet
from mfscale.study import Stage, of_stage

if TYPE_CHECKING:
    from mfscale.training import StageResult

SEEDS = 250
STUDY = """
name: noop
dataset: chno3
seed: {{zip: replicate, values: {seeds}}}
data_seed: {{zip: replicate, values: {seeds}}}
training: {{max_steps: 30, validate_every: 10, batch_size: 8}}
strategies:
  direct:
    - heads: {{cc: {{subset: a, size: [8, 16, 24, 32, 40, 48, 56, 64, 72, 80], validation: 8}}}}
  finetune:
    - heads: {{dft: {{subset: b, size: [16, 32, 64, 96, 128], validation: 8}}}}
    - heads: {{cc: {{subset: a, size: [8, 16, 24, 32, 40], validation: 8}}}}
"""
PER_SEED = 40
METRICS = {
    "energy_mae": ("meV", "meV/atom"),
    "energy_rmse": ("meV", "meV/atom"),
    "forces_mae": ("meV/Å",),
    "forces_rmse": ("meV/Å",),
}
PACKAGES = ("torch", "nequip", "e3nn", "ray", "numpy", "matscipy", "ase", "safetensors")


def study_text(stages: int) -> str:
    """A study of so many stages, of two strategies and many seeds; a multiple of `PER_SEED`."""
    return STUDY.format(seeds=list(range(stages // PER_SEED)))


def make_up(stage: Stage, *_: object) -> "StageResult":
    """The result of a stage that was not trained; it leaves no model."""
    from mfscale.training import StageResult  # noqa: PLC0415 - which imports torch

    return StageResult(finished_row(stage), curve=[], errors=[])


def finished_row(stage: Stage, attempt: int = 0) -> dict[str, Any]:
    """A row as full as that of a trained stage.

    Its errors follow a power law of its labels and scatter by 10%.
    """
    seconds = random.uniform(0.1, 0.3)  # noqa: S311 - no secret
    samples = stage.hyperparameters.max_steps * stage.hyperparameters.batch_size
    return {
        **of_stage(stage),
        "attempt": attempt,
        "status": "finished",
        "reason": None,
        "n_parameters": 8784,
        "n_trainable": 8784,
        "energy_scale_ev": 1.6,
        "scales": [{"head": name, "energy_scale_ev": 1.6} for name in stage.heads],
        "mean_neighbours": 7.0,
        "offsets": [
            {"head": name, "element": element, "offset_ev": -500.0}
            for name, element in product(stage.heads, "CHNO")
        ],
        "kept_heads": [],
        "steps": stage.hyperparameters.max_steps,
        "steps_to_best": stage.hyperparameters.max_steps,
        "samples_seen": samples,
        "stop_reason": "cap",
        "converged": True,
        "best_validation_loss": 1.0,
        "train_time_s": seconds,
        "total_samples_seen": samples * (1 + stage.step),
        "total_train_time_s": seconds * (1 + stage.step),
        "evaluations": _evaluations(stage),
        "mfscale_version": "0.1.0",
        "python_version": "3.11.7",
        "packages": [{"name": name, "version": "1.0.0"} for name in PACKAGES],
        "device": "cpu (x86_64)",
        "compile_mode": "eager",
        "n_threads": 1,
        "started_at": datetime.now(UTC),
        "wall_time_s": seconds + 0.1,
        "structures_per_second": samples / seconds,
        "peak_memory_mb": 500.0,
        "warnings": [],
        "log_file": f"logs/{stage.id}-{attempt}.log",
    }


def _evaluations(stage: Stage) -> list[dict[str, Any]]:
    noise = random.Random(stage.id)  # noqa: S311 - no secret
    found = []
    for name, head in stage.heads.items():
        error = 400 * head.size**-0.4 * (0.7 if stage.step else 1)
        own = ((head.method, "t"), (head.method, f"{head.subset}/validation"))
        others = tuple((method, "t") for method in ("xtb", "dft", "cc") if method != head.method)
        for moment, places in (("baseline", own), ("start", own + others), ("end", own + others)):
            found += [
                {
                    "head": name, "method": method, "subset": subset, "moment": moment,
                    "metric": metric, "unit": unit, "n": 1000,
                    "value": error * (1 if moment == "end" else 3) * noise.lognormvariate(0, 0.1),
                }
                for method, subset in places
                for metric, units in METRICS.items()
                for unit in units
                if method != "cc" or metric.startswith("energy")
            ]  # fmt: skip
    return found


def fill(store: Store, rows: int) -> None:
    """Give a store so many rows: those of a study of 10,000 stages, again and again as others."""
    each = 10_000
    study = store.path / "filled.yaml"
    study.write_text(study_text(each), encoding="utf-8")
    stages = list(expand_file(study, store.path).stages.values())
    tables = []
    for copy in range(-(-rows // each)):
        made = [_of_copy(stage, copy) for stage in stages[: rows - copy * each]]
        tables.append(pa.Table.from_pylist(made, schema=SCHEMA))
    whole = pa.concat_tables(tables).sort_by("stage_id")
    (store.path / "results.parquet").write_bytes(parquet.encode(whole))


def _of_copy(stage: Stage, copy: int) -> dict[str, Any]:
    """The row of a stage as if other seeds had made it, and so another id."""
    row = finished_row(stage)
    shift = copy * SEEDS
    renamed = {key: _renamed(row[key], copy) for key in ("stage_id", "parent_id", "root_id")}
    lineage = [
        {**labels, "stage_id": _renamed(labels["stage_id"], copy)} for labels in row["lineage"]
    ]
    seeds = {"seed": row["seed"] + shift, "data_seed": row["data_seed"] + shift}
    return row | renamed | seeds | {"lineage": lineage}


def _renamed(stage_id: str | None, copy: int) -> str | None:
    return stage_id and f"{copy:02x}{stage_id[2:]}"


def peak_mb() -> float:
    """Largest resident memory of this process so far, MB."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024 / 1e6


def main() -> None:
    """Run the study and tell how it went."""
    study, path, slots = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    began = time.perf_counter()
    store = Store(path, create=True)
    graph = expand_file(study, path)
    expanded = time.perf_counter()
    started: list[float] = []
    ended: list[float] = []

    def seen(progress: Progress) -> None:
        (ended if progress.ended else started).append(time.perf_counter())

    summary = run(
        graph,
        store,
        estimate=speeds(graph, store, gpus=0),
        cpus=slots,
        on_progress=seen,
        train=make_up,
    )
    told = {
        "stages": len(graph.stages),
        "slots": slots,
        "finished": summary.progress.finished,
        "expansion_s": expanded - began,
        "wall_s": time.perf_counter() - began,
        "stages_per_s": summary.progress.finished / (ended[-1] - started[0]),
        "driver_mb": peak_mb(),
    }
    print(json.dumps(told))


if __name__ == "__main__":
    main()
