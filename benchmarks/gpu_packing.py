"""Training speed of several small stages at once on one GPU: plain processes, no Ray.

Run ``python benchmarks/gpu_packing.py [--out OUT.json]``: a table on standard output, JSON if
asked. ``--device cpu`` tries it out where there is no GPU. Beside torch it takes nequip, matscipy,
pydantic, ruamel.yaml, safetensors, platformdirs and typer.

Each process trains the same small stage, as a worker would, on labels of the embedded dataset. Once
all are warm they train together for a fixed time; their structures per second are added up.
"""

import argparse
import json
import multiprocessing
import os
import platform
import tempfile
import time
from collections.abc import Sequence
from importlib.metadata import version
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

WARM_UP_STEPS = 20
PATIENCE_S = 600.0
ENDLESS = 10**9


class Clock:
    """Told before each step: waits for the others after the warm-up, and ends when time is up."""

    def __init__(self, ready: Barrier, seconds: float, device: str) -> None:
        self.ready = ready
        self.seconds = seconds
        self.device = device
        self.steps = -WARM_UP_STEPS
        self.began = self.took = 0.0

    def is_up(self) -> bool:
        """Whether to stop; steps that a GPU still computes are waited for, at both ends."""
        if self.steps == 0:
            self._finish_steps()
            self.ready.wait(PATIENCE_S)
            self.began = time.perf_counter()
        if self.steps > 0 and time.perf_counter() - self.began >= self.seconds:
            self._finish_steps()
            self.took = time.perf_counter() - self.began
            return True
        self.steps += 1
        return False

    def _finish_steps(self) -> None:
        if self.device == "cuda":
            import torch  # noqa: PLC0415 - of this process alone

            torch.cuda.synchronize()


def study(options: argparse.Namespace) -> str:
    """A study of one stage that does nothing but train."""
    return json.dumps(
        {
            "name": "packing",
            "dataset": "chno3",
            "model": {"architecture": options.architecture, "size": options.size},
            "training": {
                "batch_size": options.batch_size,
                "max_steps": ENDLESS,
                "validate_every": ENDLESS,
            },
            "strategies": {"only": [{"heads": {"dft": {"subset": "b", "size": 1024}}}]},
        }
    )


def train(
    options: argparse.Namespace, at_once: int, ready: Barrier, told: "Queue[dict[str, float]]"
) -> None:
    """Train one stage in this process, beside the others."""
    import torch  # noqa: PLC0415 - in the processes that train

    from mfscale.cli._catalogue import catalogue  # noqa: PLC0415 - likewise
    from mfscale.study import expand, parse_study  # noqa: PLC0415 - likewise
    from mfscale.training import Interrupted, kernels, run_stage  # noqa: PLC0415 - likewise
    from mfscale.training.memory import confine  # noqa: PLC0415 - likewise
    from mfscale.training.provenance import peak_memory_mb  # noqa: PLC0415 - likewise

    torch.set_num_threads(1)
    on_gpu = options.device == "cuda"
    if on_gpu:
        confine(1 / at_once)
    (stage,) = expand(parse_study(study(options), source="packing"), catalogue()).stages.values()
    clock = Clock(ready, options.seconds, options.device)
    with tempfile.TemporaryDirectory() as folder:
        try:
            run_stage(
                stage.model_copy(update={"purpose": "tune"}),  # never evaluated on the test subset
                checkpoint_dir=Path(folder).joinpath,
                device=torch.device(options.device),
                checkpoint_every_s=PATIENCE_S,
                interrupted=clock.is_up,
                kernels=options.kernels,
            )
        except Interrupted:
            if any(kernels._seen.values()):  # noqa: SLF001 - why e3nn was at work instead
                raise SystemExit(*filter(None, kernels._seen.values())) from None  # noqa: SLF001
            peak = torch.cuda.max_memory_allocated() / 1e6 if on_gpu else peak_memory_mb()
            rate = clock.steps * options.batch_size / clock.took
            told.put({"structures_per_second": rate, "peak_memory_mb": peak})
        except BaseException:
            ready.abort()  # or the others would wait
            raise


def measure(options: argparse.Namespace, at_once: int) -> dict[str, Any]:
    """What so many processes do together.

    Raises
    ------
    SystemExit
        If one of them fails: its own message is on standard error.
    """
    context = multiprocessing.get_context("spawn")
    ready, told = context.Barrier(at_once), context.Queue()
    processes = [
        context.Process(target=train, args=(options, at_once, ready, told), daemon=True)
        for _ in range(at_once)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    if any(process.exitcode for process in processes):
        raise SystemExit(f"{at_once} stages at once do not run; see above")
    each = [told.get() for _ in processes]
    return {
        "at_once": at_once,
        "structures_per_second": round(sum(one["structures_per_second"] for one in each), 1),
        "slowest_stage": round(min(one["structures_per_second"] for one in each), 1),
        "peak_memory_mb_each": round(max(one["peak_memory_mb"] for one in each), 1),
    }


def on_what(device: str) -> dict[str, Any]:
    """The device and what the numbers depend on."""
    import torch  # noqa: PLC0415 - `--help` needs none

    name = platform.processor() or platform.machine()
    memory = None
    if device == "cuda":
        name = torch.cuda.get_device_name(0)
        memory = round(torch.cuda.get_device_properties(0).total_memory / 1e6)
    return {
        "device": device,
        "name": name,
        "memory_mb": memory,
        "cores": len(os.sched_getaffinity(0)),
        "cuda": torch.version.cuda,
        "python": platform.python_version(),
        **{package: version(package) for package in ("torch", "nequip", "e3nn")},
    }


def asked(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """What to measure."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--at-once", type=int, nargs="+", default=[1, 2, 4, 8, 16])
    parser.add_argument("--architecture", default="nequip")
    parser.add_argument("--size", default="tiny")
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--kernels", choices=("e3nn", "cuequivariance"), default="e3nn")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--out", type=Path)
    return parser.parse_args(arguments)


def main() -> None:
    """Measure, print and write."""
    options = asked()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    where = on_what(options.device)
    print(
        f"{options.architecture} {options.size}, batches of {options.batch_size}, with forces, on "
        f"{where['name']} ({where['device']}, {where['cores']} cores)"
    )
    print("at once   structures/s   of one alone   slowest stage   peak MB each")
    of = {
        name: getattr(options, name) for name in ("architecture", "size", "batch_size", "kernels")
    }
    rows: list[dict[str, Any]] = []
    for at_once in options.at_once:
        row = measure(options, at_once)
        rows.append(row)
        gain = row["structures_per_second"] / rows[0]["structures_per_second"]
        print(
            f"{at_once:7} {row['structures_per_second']:14,} {gain:13.2f}x "
            f"{row['slowest_stage']:15,} {row['peak_memory_mb_each']:14,}",
            flush=True,
        )
        if options.out:  # by now, for more at once may not fit
            found = {**where, **of, "forces": True, "seconds": options.seconds, "rows": rows}
            options.out.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
