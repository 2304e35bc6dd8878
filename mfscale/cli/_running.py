"""Running a study or a part of it, and telling how that went; the same for run and retry."""

import os
import signal
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from mfscale.cli._output import console, duration, print_json, stderr

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mfscale.orchestration import Rates, Summary
    from mfscale.results import Store
    from mfscale.study import Choice, StudyGraph

CpusOption = Annotated[
    int | None, typer.Option("--cpus", min=1, help="Processor cores to use; all if not given.")
]
GpusOption = Annotated[int, typer.Option("--gpus", min=0, help="GPUs to use, one a stage.")]
BY_SIGNAL = 128
"""Exit status after a signal, less its number, as shells have it: 130 after Ctrl-C."""


def run_and_report(
    graph: "StudyGraph",
    store: "Store",
    *,
    cpus: int | None,
    gpus: int,
    json: bool,
    grow: "Callable[[Sequence[Choice]], StudyGraph] | None" = None,
) -> None:
    """Run what the store lacks of `graph`; ends the program if not all went well.

    Exit status: 1 if a stage failed, 130 after Ctrl-C, 143 after SIGTERM.
    `grow` records choices that its tunings make and expands the study again.
    """
    from mfscale.cli._progress import shown
    from mfscale.models import check_installed
    from mfscale.orchestration import missing, run, without_model

    store.require_writable()
    statuses = store.statuses()
    to_run = missing(graph, statuses, without_model(graph, statuses, store))
    to_run += [*graph.waiting, *(tuning.template for tuning in graph.tunings)]
    if to_run:
        for architecture in {stage.model.architecture for stage in to_run}:
            check_installed(architecture)
        stderr.print(f"Running {graph.name} into {store} …", soft_wrap=True)
    with shown(len(graph.stages), quiet=json) as on_progress:
        summary = run(
            graph,
            store,
            estimate=speeds(graph, store, gpus=gpus),
            cpus=cpus or cores(),
            gpus=gpus,
            on_progress=on_progress,
            grow=grow,
            on_stop=_say_stopping,
        )
    _report(graph, store, summary, json=json)
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


def cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _report(graph: "StudyGraph", store: "Store", summary: "Summary", *, json: bool) -> None:
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
    for choice in summary.choices:
        console.print(f"  chosen for {choice.where}: {in_words(choice)}", soft_wrap=True)
    for ended in summary.unfinished:
        console.print(f"  {ended.stage_id} {ended.status}: {ended.reason}", soft_wrap=True)
    for warning in summary.warnings:
        console.print(Text("  warning", "yellow"), warning, soft_wrap=True)
