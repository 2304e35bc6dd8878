"""What a stage's time is spent on, and how it grows with labels, model size and number of stages.

``python benchmarks/costs.py [OUT.json] [--steps N]`` prints and writes

- `stage`: a stage at the defaults (2,500 steps of 16 labels with forces, a validation every 50, the
  test subset evaluated before and after, a checkpoint every 15 s), by size, eager and compiled:
  seconds of steps, batches, validations, evaluation, checkpoints and the rest, in a process that
  has trained such a stage before;
- `labels`: milliseconds of a step against the number of training labels;
- `stages`: seconds of ``mfscale run`` on two slots against the number of stages of 50 steps each;
- `roofline`: milliseconds of a step's matrix products at the speed of one core's large matrix
  product, by size: what no code could be faster than.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

STUDY = """
name: costs
dataset: chno3
seed: {seeds}
model: {{architecture: nequip, size: {size}}}
training: {{max_steps: {steps}, patience: 100000}}
strategies:
  direct: [{{heads: {{{heads}}}}}]
"""
DFT = "dft: {subset: b, size: 1000}"
STEPS = 2500
"""The default cap."""


def timed(spent: Counter[str], name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """A function that books its time."""

    def booked(*arguments: Any, **named: Any) -> Any:  # noqa: ANN401 - whatever it takes
        began = time.perf_counter()
        try:
            return function(*arguments, **named)
        finally:
            spent[name] += time.perf_counter() - began  # type: ignore[assignment]

    return booked


def trained(size: str, heads: str, *, steps: int, compiled: bool) -> dict[str, Any]:
    """Train one stage after another that warms the process up; where the second's time went."""
    import torch  # noqa: PLC0415 - the parent needs none

    from mfscale.cli._catalogue import catalogue  # noqa: PLC0415 - likewise
    from mfscale.study import expand, load_study  # noqa: PLC0415 - likewise
    from mfscale.training import run  # noqa: PLC0415 - likewise
    from mfscale.training.evaluation import Evaluator  # noqa: PLC0415 - likewise
    from mfscale.training.samples import Samples  # noqa: PLC0415 - likewise

    torch.set_num_threads(1)
    spent: Counter[str] = Counter()
    Evaluator.evaluate = timed(spent, "evaluation", Evaluator.evaluate)  # type: ignore[method-assign]
    Samples.parts = timed(spent, "batches", Samples.parts)  # type: ignore[method-assign]
    run._Run._validate = timed(spent, "validations", run._Run._validate)  # type: ignore[method-assign]  # noqa: SLF001
    run.save_progress = timed(spent, "checkpoints", run.save_progress)
    run.save_potential = timed(spent, "checkpoints", run.save_potential)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "study.yaml")
        for seed, n in ((0, 3), (1, steps)):
            path.write_text(STUDY.format(seeds=seed, steps=n, size=size, heads=heads))
            (stage,) = expand(load_study(path), catalogue()).stages.values()
            spent.clear()
            row = run.run_stage(
                stage, checkpoint_dir=lambda stage_id: Path(folder, stage_id), compiled=compiled
            ).row
    return {
        "steps": row["steps"],
        "mode": row["compile_mode"],
        "wall_s": row["wall_time_s"],
        "training_s": row["train_time_s"],
        **{f"{name}_s": seconds for name, seconds in sorted(spent.items())},
    }


def roofline(size: str) -> dict[str, Any]:
    """Matrix arithmetic of a step of 16 labels with forces, and how long one core must take."""
    import torch  # noqa: PLC0415 - the parent needs none
    from torch.profiler import ProfilerActivity, profile  # noqa: PLC0415 - likewise

    from mfscale.cli._catalogue import catalogue  # noqa: PLC0415 - likewise
    from mfscale.study import expand, load_study  # noqa: PLC0415 - likewise
    from mfscale.training import run  # noqa: PLC0415 - likewise

    torch.set_num_threads(1)
    profiler = profile(activities=[ProfilerActivity.CPU], with_flops=True)
    step = run.Trainer._step  # noqa: SLF001 - what is counted

    def counted(*arguments: Any) -> Any:  # noqa: ANN401 - whatever it takes
        with profiler:
            return step(*arguments)

    run.Trainer._step = counted  # type: ignore[method-assign]  # noqa: SLF001
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "study.yaml")
        path.write_text(STUDY.format(seeds=0, steps=1, size=size, heads=DFT))
        (stage,) = expand(load_study(path), catalogue()).stages.values()
        run.run_stage(stage, checkpoint_dir=lambda stage_id: Path(folder, stage_id))
    run.Trainer._step = step  # type: ignore[method-assign]  # noqa: SLF001
    a, n, times = torch.randn(1024, 1024), 10, []
    for _ in range(n):
        began = time.perf_counter()
        a @ a
        times.append(time.perf_counter() - began)
    peak = 2 * 1024**3 / min(times)
    flops = sum(event.flops for event in profiler.key_averages())
    return {
        "size": size,
        "mflop": flops / 1e6,
        "core_gflop_s": peak / 1e9,
        "ms": 1e3 * flops / peak,
    }


def process(*arguments: object) -> dict[str, Any]:
    """`trained` in a process of its own."""
    command = [sys.executable, __file__, "--stage", json.dumps(arguments)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)  # noqa: S603
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


def stage(size: str, steps: int, *, compiled: bool) -> dict[str, Any]:
    """One row of `stage`, with what is not training in per cent of it."""
    told = process(size, DFT, steps, compiled)
    besides = told["evaluation_s"] + told["checkpoints_s"]
    return {
        "size": size,
        **told,
        "evaluation_and_checkpoints_percent": 100 * besides / told["training_s"],
        "validations_percent": 100 * told["validations_s"] / told["training_s"],
        "batches_percent": 100 * told["batches_s"] / told["training_s"],
    }


def stages(number: int) -> float:
    """Seconds of ``mfscale run`` on two slots."""
    heads = "cc: {subset: a, size: 100, validation: 20}"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "study.yaml")
        text = STUDY.format(seeds=list(range(number)), steps=50, size="tiny", heads=heads)
        path.write_text(text)
        command = [sys.executable, "-m", "mfscale", "run", str(path), "--store", f"{folder}/store"]
        began = time.perf_counter()
        subprocess.run([*command, "--cpus", "2", "--json"], check=True, stdout=subprocess.DEVNULL)  # noqa: S603
        return time.perf_counter() - began


def main() -> None:
    """Measure all, print it, and write it as JSON to the path given."""
    parser = argparse.ArgumentParser(description="What a stage's time is spent on.")
    parser.add_argument("out", nargs="?", type=Path)
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--stage", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.stage:
        size, heads, steps, compiled = json.loads(asked.stage)
        print(json.dumps(trained(size, heads, steps=steps, compiled=compiled)))
        return
    found = {
        "stage": [
            stage(size, asked.steps, compiled=compiled)
            for size in ("tiny", "small")
            for compiled in (False, True)
        ],
        "labels": {
            n: 1e3 * told["training_s"] / told["steps"]
            for n in (100, 1000, 10_000)
            for told in [process("tiny", f"xtb: {{subset: b, size: {n}}}", 300, False)]
        },
        "stages": {n: stages(n) for n in (1, 4, 16, 64)},
        "roofline": [roofline(size) for size in ("tiny", "small", "medium")],
        "versions": {p: version(p) for p in ("mfscale", "nequip", "torch")},
    }
    print(json.dumps(found, indent=2))
    if asked.out:
        asked.out.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
