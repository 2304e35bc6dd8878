"""The quickstart's whole study beside a shell loop of ``nequip-train`` runs that train the same.

``python benchmarks/whole_study.py [OUT.json] [--study FILE] [--slots N]`` runs the study with
``mfscale run`` on N cores, from nothing: no graphs, no compiled code. Then every one of its stages
is trained by ``nequip-train``, N at a time on one thread each, on the same labels, for as many
steps as ours took, with the same network, batch, rate, moving average and validations, and tested
on the same structures; fine-tuning starts from the checkpoint of its pre-training, with element
energies fitted to the new labels. Printed and written: wall times, their ratio, the errors of both,
and the sum of the loop's runs, which is what one after another takes on one thread.
"""

import argparse
import csv
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import Future, ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path
from typing import Any

from peers import cost_of, nequip_model, write_nequip_input, write_xyz

from mfscale.cli._catalogue import catalogue
from mfscale.data import fit_offsets, open_dataset
from mfscale.results import Store
from mfscale.study import Stage, expand, load_study

QUICKSTART = Path(__file__).parents[1] / "sweeps" / "quickstart.yaml"


def ours(study: Path, store: Path, slots: int) -> float:
    """Seconds that ``mfscale run`` takes."""
    command = [sys.executable, "-m", "mfscale", "run", str(study), "--store", str(store)]
    began = time.perf_counter()
    subprocess.run([*command, "--cpus", str(slots)], check=True)  # noqa: S603 - our own command
    return time.perf_counter() - began


def theirs(stage: Stage, row: dict[str, Any], folder: Path, parent: Path | None) -> dict[str, Any]:
    """Train one stage with ``nequip-train``; what it cost, and its error on the test labels."""
    dataset = open_dataset(stage.dataset)
    ((_, head),) = stage.heads.items()
    drawn = dataset.labelled_set(
        head.method,
        head.subset,
        head.size,
        forces=head.forces,
        data_seed=stage.data_seed,
        n_validation=head.n_validation,
    )
    folder.mkdir()
    test = dataset.test_structures(split=stage.split)
    test = test[[s in set(dataset.labelled_structures(head.method)) for s in test]]
    for name, structures in (("train", drawn.train), ("valid", drawn.validation), ("test", test)):
        write_xyz(folder / f"{name}.xyz", head.method, structures, forces=head.forces)
    energies = dataset.energies(head.method, drawn.train)
    offsets = fit_offsets(dataset.composition(drawn.train), energies)
    shifts = dict(zip(dataset.elements, map(float, offsets), strict=True))
    if parent is None:
        model = nequip_model(stage.model.settings) | {
            "per_type_energy_scales": "${training_data_stats:forces_rms}" if head.forces else 1.0,
            "per_type_energy_shifts": shifts,
        }
    else:
        model = {
            "_target_": "nequip.model.modify",
            "modifiers": [{"modifier": "modify_PerTypeScaleShift", "shifts": shifts}],
            "model": {
                "_target_": "nequip.model.ModelFromCheckpoint",
                "checkpoint_path": str(parent / "checkpoints" / "best.ckpt"),
            },
        }
    settings = stage.hyperparameters
    trainer = {
        "max_steps": row["steps"],
        "max_epochs": -1,
        "check_val_every_n_epoch": None,
        "val_check_interval": settings.validate_every,
        "log_every_n_steps": settings.validate_every,
    }
    command = write_nequip_input(
        folder,
        model,
        trainer,
        batch=min(settings.batch_size, head.size),
        learning_rate=settings.learning_rate or 0.01,
        forces=head.forces,
        tested=True,
    )
    cost = cost_of(command, folder)
    return {"wall_s": cost.wall_s, "cpu_s": cost.cpu_s, "test_mae_mev": tested(folder)}


def tested(folder: Path) -> float:
    """The total energies' MAE on the test labels, meV, that NequIP has logged."""
    (path,) = folder.rglob("metrics.csv")
    for line in csv.DictReader(path.open()):
        if value := line.get("test0_epoch/total_energy_mae"):
            return 1e3 * float(value)
    raise RuntimeError(f"{path}: no error on the test labels")


def loop(
    stages: dict[str, Stage], rows: dict[str, dict[str, Any]], folder: Path, slots: int
) -> dict[str, Any]:
    """Train all stages, each after its parent."""
    began = time.perf_counter()
    with ThreadPoolExecutor(slots) as pool:
        done: dict[str, Future[dict[str, Any]]] = {}
        for generation in (False, True):  # as a loop does: all pre-training, then all fine-tuning
            for stage in stages.values():
                if (stage.parent_id is not None) == generation:
                    parent = folder / stage.parent_id if stage.parent_id else None
                    done[stage.id] = pool.submit(
                        theirs, stage, rows[stage.id], folder / stage.id, parent
                    )
            for future in done.values():
                future.result()
    return {
        "wall_s": time.perf_counter() - began,
        "stages": {stage_id: future.result() for stage_id, future in done.items()},
    }


def error_of(row: dict[str, Any]) -> float:
    """The total energies' MAE of a stage of ours on the test labels of its method, meV."""
    return next(
        float(e["value"])
        for e in row["evaluations"]
        if (e["moment"], e["subset"], e["metric"]) == ("end", "t", "energy_mae")
        and e["method"] == e["head"]
    )


def main() -> None:
    """Run both, print a table, and write JSON to the path given."""
    parser = argparse.ArgumentParser(description="A whole study beside a loop of nequip-train.")
    parser.add_argument("out", nargs="?", type=Path)
    parser.add_argument("--study", type=Path, default=QUICKSTART)
    parser.add_argument("--slots", type=int, default=2)
    asked = parser.parse_args()
    graph = expand(load_study(asked.study), catalogue())
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["MFSCALE_CACHE"] = str(folder / "cache")
        wall = ours(asked.study, folder / "store", asked.slots)
        rows = {row["stage_id"]: row for row in Store(folder / "store").table().to_pylist()}
        theirs_all = loop(graph.stages, rows, folder, asked.slots)
    kinds: dict[str, list[tuple[float, float]]] = {}
    for stage in graph.stages.values():
        before = "after pre-training, " if stage.parent_id else ""
        ((method, head),) = stage.heads.items()
        pair = error_of(rows[stage.id]), theirs_all["stages"][stage.id]["test_mae_mev"]
        kinds.setdefault(f"{before}{head.size} {method} labels", []).append(pair)
    one_after_another = sum(run["wall_s"] for run in theirs_all["stages"].values())
    found = {
        "study": asked.study.name,
        "stages": len(rows),
        "steps": sum(row["steps"] for row in rows.values()),
        "slots": asked.slots,
        "mfscale_run_s": wall,
        "nequip_train_loop_s": theirs_all["wall_s"],
        "ratio": theirs_all["wall_s"] / wall,
        "nequip_train_one_after_another_s": one_after_another,
        "ratio_one_after_another": one_after_another / wall,
        "compiled_stages": sum(row["compile_mode"] != "eager" for row in rows.values()),
        "test_mae_mev": {
            kind: {
                "mfscale": statistics.mean(a for a, _ in pairs),
                "nequip_train": statistics.mean(b for _, b in pairs),
            }
            for kind, pairs in kinds.items()
        },
        "versions": {p: version(p) for p in ("mfscale", "nequip", "torch")},
    }
    print(json.dumps(found, indent=2))
    if asked.out:
        asked.out.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
