"""Running a study or a part of it, and telling how that went; the same for run and retry."""

import signal
import sys
from contextlib import suppress
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.text import Text

from mfscale.cli._output import console, duration, print_json, stderr

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from mfscale.cli._tracking import TrackerName
    from mfscale.orchestration import Compiling, Footprints, Rates, Summary
    from mfscale.results import Store
    from mfscale.study import Choice, StudyGraph


def _share(text: str) -> float | None:
    """A fraction of a GPU; None for ``auto``."""
    if text == "auto":
        return None
    with suppress(ValueError):
        if 0 < (share := float(text)) <= 1:
            return share
    raise typer.BadParameter(f"{text!r} is neither auto nor a fraction of a GPU, such as 0.25")


CpusOption = Annotated[
    int | None,
    typer.Option("--cpus", min=1, help="Processor cores to use at most; all if not given."),
]
GpusOption = Annotated[int, typer.Option("--gpus", min=0, help="GPUs to use at most.")]
GpuShareOption = Annotated[
    float | None,
    typer.Option(
        "--gpu-share",
        metavar="auto|FRACTION",
        parser=_share,
        help="Of a GPU, for each stage; auto: as its memory asks for.",
    ),
]
RayOption = Annotated[
    str,
    typer.Option(
        "--ray-address",
        envvar="RAY_ADDRESS",
        metavar="HOST:PORT|auto|local",
        help="A running Ray cluster to run on, seen from one of its machines; or a Ray of our own.",
    ),
]
CompileOption = Annotated[
    Literal["auto", "always", "never"],
    typer.Option(
        "--compile",
        help="Compile models: those whose stages take long enough to pay for it, all, or none.",
    ),
]
KernelsOption = Annotated[
    Literal["e3nn", "cuequivariance"],
    typer.Option(
        "--kernels",
        help="What computes products of tensors; cuequivariance: kernels for GPUs, an extra.",
    ),
]
LOCAL_RAY = "local"
BY_SIGNAL = 128
"""Exit status after a signal, less its number, as shells have it: 130 after Ctrl-C."""


def run_and_report(
    graph: "StudyGraph",
    store: "Store",
    *,
    cpus: int | None,
    gpus: int,
    gpu_share: float | None,
    address: str,
    compile_mode: Literal["auto", "always", "never"],
    kernels: Literal["e3nn", "cuequivariance"],
    json: bool,
    grow: "Callable[[Sequence[Choice]], StudyGraph] | None" = None,
    track: "Sequence[TrackerName] | None" = None,
) -> None:
    """Run what the store lacks of `graph`; ends the program if not all went well.

    Exit status: 1 if a stage failed, 130 after Ctrl-C, 143 after SIGTERM.
    `grow` records choices that its tunings make and expands the study again. `track` names
    trackers that get each stage as it ends.
    """
    from mfscale.cli._progress import shown
    from mfscale.cli._tracking import following
    from mfscale.models import check_installed, check_kernels
    from mfscale.orchestration import missing, run, without_model

    if kernels != "e3nn" and not gpus:
        raise typer.BadParameter(f"--kernels {kernels} goes with --gpus: they run nowhere else")
    if kernels != "e3nn" and compile_mode == "always":
        raise typer.BadParameter("--compile always compiles e3nn's products: leave out --kernels")
    store.require_writable()
    statuses = store.statuses()
    to_run = missing(graph, statuses, without_model(graph, statuses, store))
    to_run += [*graph.waiting, *(tuning.template for tuning in graph.tunings)]
    if to_run:
        for architecture in {stage.model.architecture for stage in to_run}:
            check_installed(architecture)
        check_kernels(kernels)
        stderr.print(f"Running {graph.name} into {store} …", soft_wrap=True)

    def on_stop(number: int) -> None:
        _say_stopping(number)
        trackers.hurry()

    estimate = speeds(graph, store, gpus=gpus)
    if gpus and compile_mode == "auto":
        compile_mode = "never"
    with (
        following(track, store, graph) as trackers,
        shown(len(graph.stages), quiet=json) as on_progress,
    ):
        summary = run(
            graph,
            store,
            estimate=estimate,
            cpus=cpus,
            gpus=gpus,
            gpu_share=gpu_share,
            gpu_bytes=footprints(graph).bytes_of,
            address=address,
            on_progress=on_progress,
            on_ended=trackers.tell,
            grow=grow and trackers.growing(grow),
            on_stop=on_stop,
            compiling=compiling(compile_mode, estimate),
            kernels=kernels,
        )
    _report(graph, store, summary, trackers.written, json=json)
    if summary.progress.ended < summary.progress.total:
        sys.exit(BY_SIGNAL + (summary.stopped_by or signal.SIGINT))
    if summary.progress.failed:
        sys.exit(1)


def _say_stopping(number: int) -> None:
    what = "Ctrl-C" if number == signal.SIGINT else signal.Signals(number).name
    stderr.print(
        f"{what}: running stages save their progress and stop (Ctrl-C leaves at once) …",
        soft_wrap=True,
    )


def in_words(choice: "Choice") -> str:
    """What was chosen, and what it brings on validation labels."""
    values = ", ".join(
        f"{name} {value:.3g}" if isinstance(value, float) else f"{name} {value}"
        for name, value in choice.values.items()
    )
    untuned = f", untuned {choice.untuned_mev:.0f}" if choice.untuned_mev is not None else ""
    return f"{values} (validation MAE {choice.error_mev:.0f} meV{untuned})"


def speeds(
    graph: "StudyGraph", store: "Store | None", *, gpus: int, gpu_cores: float | None = None
) -> "Rates":
    """How fast stages train: as measured in the store, else as on a reference machine.

    On GPUs, if there are `gpus`: one is taken for `gpu_cores` cores where none was measured.
    """
    from mfscale.cli._catalogue import extents
    from mfscale.models import LADDER
    from mfscale.orchestration import GPU_CORES, rates
    from mfscale.results import SCHEMA

    reference = {
        (architecture, name, "float32", forces): speed
        for architecture, sizes in LADDER.items()
        for name, size in sizes.items()
        for forces, speed in (
            (False, size.structures_per_second.energies),
            (True, size.structures_per_second.forces),
        )
    }
    table = store.table() if store else SCHEMA.empty_table()
    places = {(stage.dataset, stage.split) for stage in graph.all_stages()}
    measured = table.select(["dataset", "split"]).to_pylist()
    places |= {(row["dataset"], row["split"]) for row in measured if None not in row.values()}
    return rates(
        table,
        reference,
        extents=extents(places),
        gpu_cores=(gpu_cores or GPU_CORES) if gpus else None,
    )


def footprints(graph: "StudyGraph") -> "Footprints":
    """What decides how much of a GPU the stages of a study need."""
    from mfscale.cli._catalogue import extents
    from mfscale.models import LADDER
    from mfscale.orchestration import Activations, Footprints

    sizes = {(a, name): size for a, named in LADDER.items() for name, size in named.items()}
    steps = {
        (*of, "float32", forces): Activations(1e3 * per_atom, 1e3 * per_edge)
        for of, memory in ((of, size.memory) for of, size in sizes.items())
        for forces, per_atom, per_edge in (
            (False, memory.energies_per_atom, memory.energies_per_edge),
            (True, memory.forces_per_atom, memory.forces_per_edge),
        )
    }
    return Footprints(
        steps,
        {of: size.n_parameters for of, size in sizes.items()},
        extents({(stage.dataset, stage.split) for stage in graph.all_stages()}),
    )


def compiling(mode: Literal["auto", "always", "never"], estimate: "Rates") -> "Compiling":
    """What decides which stages train compiled."""
    from mfscale.models.compilation import COMPILATION
    from mfscale.orchestration import Compiling, Cost

    costs = {
        (architecture, size, "float32", forces): Cost(c.speedup, c.cold_s, c.warm_s)
        for (architecture, size, forces), c in COMPILATION.items()
    }
    return Compiling(mode, costs, estimate)


def _report(
    graph: "StudyGraph",
    store: "Store",
    summary: "Summary",
    tracked: "Mapping[str, int]",
    *,
    json: bool,
) -> None:
    progress = summary.progress
    if json:
        print_json(
            {
                "study": graph.name,
                "store": str(store),
                "stages": progress.total,
                "cached": progress.cached,
                "finished": progress.finished,
                "diverged": progress.diverged,
                "failed": progress.failed,
                "skipped": progress.skipped,
                "choices": [asdict(choice) for choice in summary.choices],
                "wall_time_s": summary.wall_time_s,
                "structures_per_second": progress.structures_per_second,
                "unfinished": [vars(ended) for ended in summary.unfinished],
                "warnings": list(summary.warnings),
                "tracked": tracked,
            }
        )
        return
    left = progress.total - progress.ended
    ran = f"{progress.finished} stages finished"
    if left:
        ran = f"interrupted with {left} stages left (the same command goes on), {ran}"
    elif progress.finished == 0 and not summary.unfinished:
        ran = "nothing to run"
    console.print(
        Text(f"{graph.name}:", "bold"),
        f"{ran}, {progress.cached} of {progress.total} were cached, in "
        f"{duration(summary.wall_time_s)}; results are in {store}",
        soft_wrap=True,
    )
    for place, number in tracked.items():
        console.print(f"  {number} stages tracked in {place}", soft_wrap=True)
    for choice in summary.choices:
        console.print(f"  chosen for {choice.where}: {in_words(choice)}", soft_wrap=True)
    for ended in summary.unfinished:
        console.print(f"  {ended.stage_id} {ended.status}: {ended.reason}", soft_wrap=True)
    for warning in _each_once(summary.warnings):
        console.print(Text("  warning", "yellow"), warning, soft_wrap=True)


def _each_once(warnings: "Sequence[str]") -> list[str]:
    """Warnings, each of a stage's id and a text; a text that several stages share is said once."""
    stages: dict[str, list[str]] = {}
    for warning in warnings:
        stage, _, text = warning.partition(": ")
        stages.setdefault(text, []).append(stage if text else warning)
    return [
        f"{stage}{more}: {text}" if text else stage
        for text, (stage, *others) in stages.items()
        for more in [f" and {len(others)} more" if others else ""]
    ]
