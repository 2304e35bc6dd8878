"""How large a study may be: stages that train nothing, stores of many rows, and slots kept busy.

``python benchmarks/campaign.py [OUT.json] [--stages N] [--rows N] [--trained N] [--only PART]``
prints and writes, keeping what OUT.json has of other parts,

- `driver`: a study of N stages that train nothing, through the driver, workers and store of a real
  run on two slots, with the time that ``mfscale status`` takes meanwhile;
- `tune`: Ray Tune alone with trials that do nothing, as it comes and with the settings the driver
  gives it, fewer of them and so given as a rate;
- `rows`: seconds of commands on a store of N rows, each in a process of its own;
- `slots`: a study of N stages that are trained for some seconds each, on two slots. Busy is the sum
  of the rows' `train_time_s` over slots × wall time: of the whole command, and from the start of
  the first stage to the end of the last;
- `mixed`: the same with a third as many stages, half of them of a larger model;
- `compiled` and `mixed compiled`: both again with compiled code, which the machine has by then, and
  with so many more steps that a stage takes as long.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any

from noop import fill, study_text

from mfscale.results import Store

HERE = Path(__file__).parent
SLOTS = 2
QUIET_S = 5.0
"""Between one look at the status of the running study and the next."""
COMMANDS = {
    "status": ["status"],
    "results": ["results"],
    "results --json": ["results", "--json"],
    "sql": ["sql", "select cc_size, median(cc_t_energy_mae_mev) from results group by all"],
    "fit": ["fit"],
}
TRAINED = """
name: trained
dataset: chno3
seed: {seeds}
model: {{size: {sizes}}}
training: {{max_steps: {steps}, validate_every: 50, patience: 100, batch_size: 16}}
strategies:
  direct:
    - heads: {{cc: {{subset: a, size: 200, validation: 40}}}}
"""
PARTS = ("driver", "tune", "rows", "slots", "mixed", "compiled", "mixed compiled")
STEPS = {"never": 700, "always": 2000}
"""Of a stage, without and with compiled code."""
TUNE = {"as it comes": 30, "as the driver sets it": 300}
"""Trials of each."""


def driver(stages: int, folder: Path) -> dict[str, Any]:
    """Run the study, and look at its status every few seconds."""
    study, store = folder / "noop.yaml", folder / "noop"
    study.write_text(study_text(stages))
    command = [sys.executable, str(HERE / "noop.py"), str(study), str(store), str(SLOTS)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)  # noqa: S603 - our own
    looks = []
    while process.poll() is None:
        if (store / "store.json").exists():
            looks.append(mfscale(["status", "--store", str(store)]))
        time.sleep(QUIET_S)
    told: dict[str, Any] = json.loads(process.communicate()[0].splitlines()[-1])
    return told | {
        "looks_at_status": len(looks),
        "status_s_median": sorted(looks)[len(looks) // 2],
        "status_s_longest": max(looks),
        "rows": len(Store(store).statuses()),
    }


def tune() -> dict[str, Any]:
    """Ray Tune alone."""
    found = {}
    for name, trials in TUNE.items():
        command = [sys.executable, str(HERE / "plain_tune.py"), name, str(trials), str(SLOTS)]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)  # noqa: S603 - our own
        found[name] = json.loads(done.stdout.splitlines()[-1])
    return found


def rows(number: int, folder: Path) -> dict[str, Any]:
    """Commands on a store of many rows."""
    store = folder / "many"
    fill(Store(store, create=True), number)
    taken = {name: mfscale([*command, "--store", str(store)]) for name, command in COMMANDS.items()}
    megabytes = (store / "results.parquet").stat().st_size / 1e6
    return {"rows": number, "results_parquet_mb": megabytes, "seconds": taken}


def slots(stages: int, sizes: Sequence[str], compiling: str, folder: Path) -> dict[str, Any]:
    """Train a study for real."""
    name = "-".join((compiling, *sizes))
    study, path = folder / f"{name}.yaml", folder / name

    def trained(seeds: Sequence[int], steps: int, path: Path) -> float:
        asked = {"seeds": list(seeds), "sizes": f"[{', '.join(sizes)}]", "steps": steps}
        study.write_text(TRAINED.format(**asked))
        options = ["--store", str(path), "--cpus", str(SLOTS), "--compile", compiling]
        return mfscale(["run", str(study), *options])

    trained([stages], 1, folder / f"{name}-first")  # makes neighbour lists, and code
    wall = trained(range(stages // len(sizes)), STEPS[compiling], path)
    trained = Store(path).table().to_pylist()
    seconds = [row["train_time_s"] for row in trained]
    ends = [row["started_at"] + timedelta(seconds=row["wall_time_s"]) for row in trained]
    running = (max(ends) - min(row["started_at"] for row in trained)).total_seconds()
    besides = sum(row["wall_time_s"] for row in trained) - sum(seconds)
    return {
        "stages": len(trained),
        "slots": SLOTS,
        "seconds_a_stage": sum(seconds) / len(seconds),
        "seconds_of_the_shortest": min(seconds),
        "wall_s": wall,
        "busy_of_wall": sum(seconds) / (SLOTS * wall),
        "running_s": running,
        "busy_while_stages_run": sum(seconds) / (SLOTS * running),
        "not_training_s": {
            "before the first stage and after the last (start, Ray, reading, compacting)": wall
            - running,
            "in stages, of all slots (data, first import, evaluation, model)": besides,
            "between stages and at the end, of all slots": SLOTS * running - besides - sum(seconds),
        },
    }


def mfscale(arguments: Sequence[str]) -> float:
    """Seconds that a command takes from start to end."""
    began = time.perf_counter()
    command = [sys.executable, "-m", "mfscale", *arguments]
    with Path(os.devnull).open("w") as nowhere:
        subprocess.run(command, stdout=nowhere, stderr=nowhere, check=True)  # noqa: S603 - our own
    return time.perf_counter() - began


def table(found: dict[str, Any], indent: str = "") -> None:
    """Print what was found."""
    for name, value in found.items():
        if isinstance(value, dict):
            print(f"{indent}{name}")
            table(value, indent + "  ")
        else:
            shown = f"{value:,.3g}" if isinstance(value, float) and value < 1000 else value
            print(f"{indent}{name:<{44 - len(indent)}} {shown}")


def main() -> None:
    """Measure all, print it, and write it as JSON to the path given."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", nargs="?", type=Path)
    parser.add_argument("--stages", type=int, default=10_000)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--trained", type=int, default=400)
    parser.add_argument("--only", choices=PARTS, action="append")
    asked = parser.parse_args()
    found: dict[str, Any] = {}
    if asked.out and asked.out.exists():
        found = json.loads(asked.out.read_text(encoding="utf-8"))
    found |= {
        "machine": {
            "cores": os.cpu_count(),
            "processor": platform.processor() or platform.machine(),
            "python": platform.python_version(),
            "ray": version("ray"),
        },
    }
    with tempfile.TemporaryDirectory(prefix="campaign-") as name:
        folder = Path(name)
        measured = (
            lambda: driver(asked.stages, folder),
            tune,
            lambda: rows(asked.rows, folder),
            lambda: slots(asked.trained, ["tiny"], "never", folder),
            lambda: slots(asked.trained // 3, ["tiny", "small"], "never", folder),
            lambda: slots(asked.trained, ["tiny"], "always", folder),
            lambda: slots(asked.trained // 3, ["tiny", "small"], "always", folder),
        )
        for what, measure in zip(PARTS, measured, strict=True):
            if asked.only and what not in asked.only:
                continue
            found[what] = measure()
            table({what: found[what]})
            if asked.out:
                asked.out.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
