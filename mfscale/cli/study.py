"""``plan``, ``run`` and ``status``: what a study needs, running it, and how it stands."""

import os
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from mfscale.cli._options import DEFAULT_STORE, JsonOption, StoreOption, StudyArgument
from mfscale.cli._output import console, duration, print_json, print_table, stderr

if TYPE_CHECKING:
    from mfscale.orchestration import Rates, Summary
    from mfscale.results import Store
    from mfscale.study import Stage, StudyGraph

CpusOption = Annotated[
    int | None, typer.Option("--cpus", min=1, help="Processor cores to use; all if not given.")
]
GpusOption = Annotated[int, typer.Option("--gpus", min=0, help="GPUs to use, one a stage.")]
INTERRUPTED = 130
"""Exit status after Ctrl-C, as shells have it."""
SHOWN = 60
"""Stages a plan lists before it asks for --all."""


def add_to(app: typer.Typer) -> None:
    """Add these commands."""
    app.command()(plan)
    app.command()(run)
    app.command()(status)


def plan(
    study: StudyArgument,
    store: StoreOption = DEFAULT_STORE,
    cpus: CpusOption = None,
    gpus: GpusOption = 0,
    everything: Annotated[bool, typer.Option("--all", help="List every stage.")] = False,
    json: JsonOption = False,
) -> None:
    """Show the stages of a study: cached, shared, to run, and how long that may take."""
    from mfscale.orchestration import missing, wall_time

    graph = expand_file(study)
    opened = _open_if_there(store)
    statuses = opened.statuses() if opened else {}
    rates = _rates(opened)
    to_run = missing(graph, statuses)
    cached = sum(statuses.get(stage_id) == "finished" for stage_id in graph.stages)
    hopeless = len(graph.stages) - cached - len(to_run)
    slots = gpus or cpus or _cores()
    seconds = wall_time(to_run, rates, slots)
    if json:
        print_json(
            {
                "study": graph.name,
                "requested": graph.requests,
                "stages": len(graph.stages),
                "cached": cached,
                "to_run": len(to_run),
                "diverged_or_below": hopeless,
                "slots": slots,
                "estimate_s": seconds,
                "estimate_basis": rates.basis,
                "details": [_described(s, graph, statuses, rates) for s in graph.stages.values()],
            }
        )
        return
    console.print(
        Text(f"{graph.name}:", "bold"),
        f"{graph.requests} steps make {len(graph.stages)} stages "
        f"({graph.requests - len(graph.stages)} shared); {cached} are cached, {len(to_run)} will "
        "run" + (f", {hopeless} diverged or start from one that did" if hopeless else ""),
        soft_wrap=True,
    )
    will_run = {stage.id for stage in to_run}
    shown = list(graph.stages.values())[: None if everything else SHOWN]
    details = [_described(stage, graph, statuses, rates) for stage in shown]
    columns = ("stage", "from", "labels", "model", "seed", "used by", "status", "at most")
    print_table(
        columns,
        (
            (
                d["stage_id"][:8],
                (d["parent_id"] or "")[:8],
                d["labels"],
                d["model"],
                d["seed"],
                ", ".join(d["used_by"]),
                d["status"],
                duration(d["estimate_s"]) if d["stage_id"] in will_run else "",
            )
            for d in details
        ),
    )
    if len(shown) < len(graph.stages):
        console.print(f"… and {len(graph.stages) - len(shown)} more; --all lists every stage")
    if to_run:
        console.print(
            f"At most about {duration(seconds)} on {slots} slots, from {rates.basis}; stages that "
            "reach their plateau early take less.",
            soft_wrap=True,
        )
    else:
        console.print("Nothing is left to run.")


def run(
    study: StudyArgument,
    store: StoreOption = DEFAULT_STORE,
    cpus: CpusOption = None,
    gpus: GpusOption = 0,
    json: JsonOption = False,
) -> None:
    """Run the stages of a study that the store lacks.

    A finished stage never runs again, whichever study needs it. Interrupted, the same command goes
    on from the last checkpoints. Exit status: 0, 1 if a stage failed, 130 if interrupted.
    """
    from mfscale.cli._progress import shown
    from mfscale.models import check_installed
    from mfscale.orchestration import missing
    from mfscale.orchestration import run as run_graph
    from mfscale.results import Store

    graph = expand_file(study)
    opened = Store(store, create=True)
    rates = _rates(opened)
    if to_run := missing(graph, opened.statuses()):
        for architecture in {stage.model.architecture for stage in to_run}:
            check_installed(architecture)
        stderr.print(f"Running {graph.name} into {store} …", soft_wrap=True)
    with shown(len(graph.stages), quiet=json) as on_progress:
        summary = run_graph(
            graph,
            opened,
            estimate=rates,
            cpus=cpus or _cores(),
            gpus=gpus,
            on_progress=on_progress,
        )
    _report(graph, store, summary, json=json)
    if summary.progress.ended < summary.progress.total:
        sys.exit(INTERRUPTED)
    if summary.progress.failed:
        sys.exit(1)


def status(
    study: Annotated[Path | None, typer.Argument(help="A study file.")] = None,
    store: StoreOption = DEFAULT_STORE,
    json: JsonOption = False,
) -> None:
    """Count the stages of a store, or of one study, by how they ended."""
    from mfscale.results import Store

    statuses = Store(store).statuses()
    if study is not None:
        graph = expand_file(study)
        statuses = {stage: statuses.get(stage, "missing") for stage in graph.stages}
    counts = Counter(statuses.values())
    if json:
        every = ("finished", "diverged", "failed", "skipped", *(["missing"] if study else []))
        numbers = {name: counts.get(name, 0) for name in every}
        print_json({"store": str(store), "stages": len(statuses), **numbers})
        return
    what = f"{study} in {store}" if study else str(store)
    counted = ", ".join(f"{n} {name}" for name, n in sorted(counts.items())) or "nothing yet"
    console.print(f"{what}: {len(statuses)} stages: {counted}")


def expand_file(path: Path) -> "StudyGraph":
    """Read and expand a study file with everything this installation offers."""
    from mfscale.cli._catalogue import catalogue
    from mfscale.study import expand, load_study

    return expand(load_study(path), catalogue())


def _open_if_there(path: Path) -> "Store | None":
    from mfscale.results import Store

    return Store(path) if path.exists() else None


def _rates(store: "Store | None") -> "Rates":
    from mfscale.models import LADDER
    from mfscale.orchestration import rates
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
    return rates(store.table() if store else SCHEMA.empty_table(), reference)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _described(
    stage: "Stage", graph: "StudyGraph", statuses: dict[str, str], rates: "Rates"
) -> dict[str, Any]:
    status = statuses.get(stage.id)
    return {
        "stage_id": stage.id,
        "parent_id": stage.parent_id,
        "labels": " & ".join(
            f"{h.method}:{h.subset}:{h.size}{'+forces' if h.forces else ''}"
            for h in stage.heads.values()
        ),
        "model": f"{stage.model.architecture} {stage.model.size}",
        "seed": stage.seed,
        "used_by": list(graph.uses[stage.id]),
        "status": "cached" if status == "finished" else status or "to run",
        "estimate_s": rates.seconds(stage),
    }


def _report(graph: "StudyGraph", store: Path, summary: "Summary", *, json: bool) -> None:
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
    for ended in summary.unfinished:
        console.print(f"  {ended.stage_id} {ended.status}: {ended.reason}", soft_wrap=True)
    for warning in summary.warnings:
        console.print(Text("  warning", "yellow"), warning, soft_wrap=True)
