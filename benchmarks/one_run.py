"""One training run, ours beside ``nequip-train`` and ``mace_run_train``.

``python benchmarks/one_run.py [OUT.json] [--mace PATH] [--epochs SHORT LONG] [--no-compiled]
[--only TEXT] [--device cuda] [--kernels cuequivariance]``
trains the same network (size ``small`` of our ladder) on the same 256 labels with forces, batch 16,
float32, one thread, a validation on the same 32 labels after each epoch, a moving average and a
checkpoint. Every programme runs twice, for SHORT and for LONG epochs: the difference gives its
speed, what is left its start-up, whatever it consists of. `--mace` names ``mace_run_train`` of an
environment of its own, as mace-torch asks for another e3nn than NequIP.

Ours besides evaluates all labels of the test subset after training: part of its start-up here, so
the time until its first step is told beside it. *Warm* is a further stage in a process that has
trained one, as in a study, *third* one in a process that has trained two. `--only` measures those
with TEXT in their names, and keeps what OUT.json has of the others.
"""

import argparse
import json
import math
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path

from peers import (
    BATCH,
    LEARNING_RATE,
    METHOD,
    N_TRAIN,
    N_VALID,
    STEPS_AN_EPOCH,
    SUBSET,
    Cost,
    cost_of,
    mace_run_train,
    nequip_train,
    write_labels,
)

STUDY = f"""
name: one-run
dataset: chno3
seed: {{seeds}}
model: {{{{architecture: {{architecture}}, size: small}}}}
training: {{{{max_steps: {{steps}}, validate_every: {STEPS_AN_EPOCH}, batch_size: {BATCH},
  patience: 100000, learning_rate: {LEARNING_RATE}}}}}
strategies:
  direct:
    - heads: {{{{{METHOD}: {{{{subset: {SUBSET}, size: {N_TRAIN}, validation: {N_VALID}}}}}}}}}
"""
Make = Callable[[Path, int], list[str]]


def study(folder: Path, architecture: str, epochs: int, seeds: str = "1") -> Path:
    """Write our study file."""
    path = folder / "study.yaml"
    steps = epochs * STEPS_AN_EPOCH
    path.write_text(STUDY.format(seeds=seeds, architecture=architecture, steps=steps))
    return path


def stages_of(path: Path, since: float, asked: argparse.Namespace) -> None:
    """Train the stages of a study one after another in this process; print the last one's costs.

    The first stage's time until its first step counts from `since`, seconds since 1970.
    """
    import torch  # noqa: PLC0415 - counted as start-up

    from mfscale.cli._catalogue import catalogue  # noqa: PLC0415 - likewise
    from mfscale.study import expand, load_study  # noqa: PLC0415 - likewise
    from mfscale.training import run_stage  # noqa: PLC0415 - likewise

    torch.set_num_threads(1)
    told = {}
    first = math.inf

    def before_a_step() -> bool:
        nonlocal first
        first = min(first, time.time())
        return False

    for stage in expand(load_study(path), catalogue()).stages.values():
        began, cpu = time.perf_counter(), time.process_time()
        since, first = (time.time(), math.inf) if told else (since, math.inf)
        done = run_stage(
            stage,
            checkpoint_dir=lambda stage_id: path.parent / stage_id,
            device=torch.device(asked.device),
            compiled=asked.mode == "compiled",
            kernels=asked.kernels,
            interrupted=before_a_step,
        )
        if done.row["kernels"] != asked.kernels:
            raise SystemExit(f"{done.row['warnings']}")
        told = {
            "wall_s": time.perf_counter() - began,
            "cpu_s": time.process_time() - cpu,
            "first_step_s": first - since,
        }
    print(json.dumps(told))


def ours(
    asked: argparse.Namespace, number: int, architecture: str, mode: str = "eager"
) -> Callable[[Path, int], Cost]:
    """The last of so many of our stages in a process of their own, without Ray.

    Of one alone the cost is that of the process.
    """

    def cost(folder: Path, epochs: int) -> Cost:
        path = study(folder, architecture, epochs, seeds=str([*range(1, number + 1)]))
        command = [sys.executable, __file__, "--mode", mode, "--study", str(path)]
        command += ["--device", asked.device, "--kernels", asked.kernels]
        whole = cost_of([*command, "--since", str(time.time())], folder, device=asked.device)
        told = json.loads((folder / "out.txt").read_text().splitlines()[-1])
        if number == 1:
            return replace(whole, first_step_s=told["first_step_s"])
        return Cost(**told, peak_mb=whole.peak_mb)

    return cost


def compare(
    cost: Callable[[Path, int], Cost], lengths: tuple[int, int], *, cached: bool
) -> dict[str, object]:
    """Speed and start-up of a programme, from a short and a long run.

    `cached` makes a run before both, which leaves compiled code behind.
    """
    told: dict[str, object] = {}
    costs = []
    for n in ([lengths[0]] if cached else []) + list(lengths):
        with tempfile.TemporaryDirectory() as folder:
            write_labels(Path(folder))
            costs.append(cost(Path(folder), n))
    if cached:
        told["wall_s_with_nothing_compiled"] = costs.pop(0).wall_s
    short, long = costs
    structures = (lengths[1] - lengths[0]) * N_TRAIN
    for kind in ("wall_s", "cpu_s"):
        spent = getattr(long, kind) - getattr(short, kind)
        name = kind.removesuffix("_s")
        told[f"structures_per_{name}_s"] = structures / spent
        told[f"start_up_{kind}"] = getattr(short, kind) - spent * lengths[0] * N_TRAIN / structures
    if long.first_step_s is not None:
        told["first_step_s"] = min(short.first_step_s, long.first_step_s)
    return told | {"peak_mb": long.peak_mb, "runs": [asdict(short), asdict(long)]}


Programme = tuple[Callable[[Path, int], Cost], bool]
"""What measures a run of so many epochs, and whether it leaves compiled code for the next."""


def run(make: Make, device: str) -> Callable[[Path, int], Cost]:
    """Measure a command."""
    return lambda folder, n: cost_of(make(folder, n), folder, device=device)


def programmes_of(asked: argparse.Namespace) -> dict[str, Programme]:
    """What is to be measured, by name."""
    programmes: dict[str, Programme] = {}
    on = asked.device
    for architecture in ("nequip", "mace"):
        name = f"{architecture}: mfscale"
        programmes[name] = (ours(asked, 1, architecture), False)
        programmes[f"{name}, warm"] = (ours(asked, 2, architecture), False)
        programmes[f"{name}, third"] = (ours(asked, 3, architecture), False)
        if asked.compiled:
            first, second, third = (ours(asked, n, architecture, "compiled") for n in (1, 2, 3))
            programmes[f"{name}, compiled"] = (first, True)
            programmes[f"{name}, compiled, warm"] = (second, False)
            programmes[f"{name}, compiled, third"] = (third, False)
        if architecture == "nequip":
            eager = run(lambda f, n: nequip_train(f, n, compiled=False, device=on), on)
            programmes["nequip: nequip-train"] = (eager, False)
            if asked.compiled:
                compiled = run(lambda f, n: nequip_train(f, n, compiled=True, device=on), on)
                programmes["nequip: nequip-train, compiled"] = (compiled, True)
        elif asked.mace:
            theirs = run(lambda f, n: mace_run_train(f, n, asked.mace, on), on)
            programmes["mace: mace_run_train"] = (theirs, False)
    return {name: made for name, made in programmes.items() if asked.only in name}


def device_of(kind: str) -> str:
    """The name of the device, as rows have it."""
    import torch  # noqa: PLC0415 - counted as start-up elsewhere

    from mfscale.training.provenance import device_name  # noqa: PLC0415 - likewise

    return device_name(torch.device(kind))


def main() -> None:
    """Run all, print a table, and write JSON to the path given."""
    parser = argparse.ArgumentParser(description="One training run beside other programmes'.")
    parser.add_argument("out", nargs="?", type=Path)
    parser.add_argument("--mace", type=Path, help="mace_run_train of an environment of its own")
    parser.add_argument("--epochs", nargs=2, type=int, default=(5, 45), metavar=("SHORT", "LONG"))
    parser.add_argument("--no-compiled", dest="compiled", action="store_false")
    parser.add_argument("--only", default="", metavar="TEXT")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--kernels", choices=("e3nn", "cuequivariance"), default="e3nn")
    parser.add_argument("--study", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--mode", help=argparse.SUPPRESS)
    parser.add_argument("--since", type=float, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.study:
        stages_of(asked.study, asked.since, asked)
        return

    programmes = programmes_of(asked)
    if not programmes:
        parser.error(f"--only {asked.only}: no programme has that in its name")
    if asked.compiled and asked.kernels != "e3nn":
        parser.error("--kernels cuequivariance is not compiled: give --no-compiled")
    lengths = tuple(asked.epochs)
    found: dict[str, object] = {}
    on = device_of(asked.device)
    if asked.only and asked.out and asked.out.exists():
        before = json.loads(asked.out.read_text(encoding="utf-8"))
        if tuple(before["epochs"]) != lengths:
            parser.error(f"--epochs: {asked.out} has {before['epochs']}")
        if [before["device"], before["kernels"]] != [on, asked.kernels]:
            parser.error(f"{asked.out} is of {before['device']} and {before['kernels']}")
        found = before["programmes"]
    packages = ("mfscale", "torch", "nequip")
    of_all = {
        "epochs": lengths,
        "labels": {"method": METHOD, "training": N_TRAIN, "validation": N_VALID},
        "batch": BATCH,
        "device": on,
        "kernels": asked.kernels,
        "versions": {p: version(p) for p in packages} | {"python": platform.python_version()},
        "processor": f"{platform.machine()}, {os.cpu_count()} cores, one thread each",
    }
    print(f"{'':32}{'structures/s':>14}{'start-up s':>12}{'first step s':>14}{'peak MB':>9}")
    with tempfile.TemporaryDirectory() as cache:  # so that nothing is compiled beforehand
        os.environ |= {"MFSCALE_CACHE": cache, "TORCHINDUCTOR_CACHE_DIR": f"{cache}/peers"}
        with tempfile.TemporaryDirectory() as folder:
            ours(asked, 1, "nequip")(Path(folder), 1)  # leaves our neighbour graphs
        for name, (cost, cached) in programmes.items():
            told = found[name] = compare(cost, lengths, cached=cached)
            speed, start = told["structures_per_wall_s"], told["start_up_wall_s"]
            first = f"{told['first_step_s']:.1f}" if "first_step_s" in told else ""
            print(
                f"{name:32}{speed:14.0f}{start:12.1f}{first:>14}{told['peak_mb']:9.0f}", flush=True
            )
            if asked.out:  # by now, for another programme may fail
                content = json.dumps({"programmes": found, **of_all}, indent=2)
                asked.out.write_text(content + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
