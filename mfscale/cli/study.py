"""``plan``, ``run`` and ``status``: what a study needs, running it, and how it stands."""

from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from mfscale.cli._options import DEFAULT_STORE, JsonOption, StoreOption, StudyArgument
from mfscale.cli._output import console, duration, print_json, print_table
from mfscale.cli._running import CpusOption, GpusOption, cores, run_and_report, speeds
from mfscale.cli._why import Why, reasons

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mfscale.orchestration import Rates
    from mfscale.results import Store
    from mfscale.study import Choice, Stage, StudyGraph

SHOWN = 60
"""Stages a plan lists before it asks for --all."""
AGAIN = "runs again"
"""What a plan calls a finished stage whose model is gone and needed."""


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
    gpu_cores: Annotated[
        float | None,
        typer.Option(
            "--gpu-cores",
            min=1,
            help="With --gpus: CPU cores that one GPU trains as fast as, where no stage of the "
            "store has measured it; 32 if not given, a guess.",
        ),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="List every stage.")] = False,
    why: Annotated[
        bool,
        typer.Option(
            "--why", help="Say of each stage to run what differs from the nearest finished one."
        ),
    ] = False,
    json: JsonOption = False,
) -> None:
    """Show the stages of a study: cached, shared, to run, and how long that may take."""
    from mfscale.orchestration import missing, wall_time, without_model, work_time

    if gpu_cores is not None and not gpus:
        raise typer.BadParameter("--gpu-cores goes with --gpus: without, stages run on CPU cores")
    graph = expand_file(study, store)
    opened = _open_if_there(store)
    statuses = opened.statuses() if opened else {}
    rates = speeds(graph, opened, gpus=gpus, gpu_cores=gpu_cores)
    gone = without_model(graph, statuses, opened) if opened else frozenset()
    to_run = missing(graph, statuses, gone)
    will_run = {stage.id for stage in to_run}
    again = [stage.id for stage in to_run if stage.id in gone]
    statuses |= dict.fromkeys(again, AGAIN)
    n_stages = len(graph.stages) + len(graph.waiting)
    cached = sum(statuses.get(stage_id) == "finished" for stage_id in graph.stages)
    hopeless = len(graph.stages) - cached - len(to_run)
    slots = gpus or cpus or cores()
    ahead = [*to_run, *graph.waiting, *graph.trials()]
    seconds = wall_time(ahead, rates, slots)
    gpu_hours = work_time(ahead, rates) / 3600 if gpus else None
    asked = to_run if everything or json else to_run[:SHOWN]
    told = reasons(asked, opened.table().to_pylist() if opened else [], graph) if why else []
    if json:
        print_json(
            {
                "study": graph.name,
                "requested": graph.requests,
                "stages": len(graph.stages),
                "cached": cached,
                "to_run": len(to_run),
                "diverged_or_below": hopeless,
                "choices_to_make": [
                    {"where": t.where, "settings": list(t.space), "trials": t.trials}
                    for t in (*graph.tunings, *graph.later)
                ],
                "waiting_for_choices": len(graph.waiting),
                "choices": [asdict(choice) for choice in graph.choices],
                "slots": slots,
                "estimate_s": seconds,
                "gpu_hours": gpu_hours,
                "estimate_basis": rates.basis,
                "details": [_described(s, graph, statuses, rates) for s in graph.stages.values()],
                **({"why": [vars(reason) for reason in told]} if why else {}),
            }
        )
        return
    console.print(
        Text(f"{graph.name}:", "bold"),
        f"{graph.requests} steps make {n_stages} stages ({graph.requests - n_stages} shared); "
        f"{cached} are cached, {n_stages - cached - hopeless} will run"
        + (f", {hopeless} diverged or start from one that did" if hopeless else ""),
        soft_wrap=True,
    )
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
    for stage_id in again:
        n = len(will_run.intersection(graph.children()[stage_id]))
        console.print(
            f"{stage_id[:8]} is cached, but its model is gone: it will run again because {n} "
            f"{'stages need' if n > 1 else 'stage needs'} it",
            soft_wrap=True,
        )
    if why:
        _print_reasons(told, len(to_run))
    if to_choose := [*graph.tunings, *graph.later]:
        print_table(
            ("to choose", "for", "trials"),
            [(", ".join(t.space), t.where, t.trials) for t in to_choose],
        )
    if graph.waiting:
        console.print(
            f"{len(graph.waiting)} stages wait for these choices; their ids are known then",
            soft_wrap=True,
        )
    if ahead:
        console.print(
            (f"At most about {gpu_hours:.3g} GPU-hours, " if gpu_hours is not None else "At most ")
            + f"about {duration(seconds)} on {slots} {'GPUs' if gpus else 'slots'}, from "
            f"{rates.basis}; stages that reach their plateau early take less.",
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

    A finished stage is not run again, whichever study needs it (unless its model was deleted and
    another stage starts from it). Interrupted, the same command goes on from the last checkpoints.
    Exit status: 0, 1 if a stage failed, 130 if interrupted.
    """
    from mfscale.results import Store
    from mfscale.study import add_choices

    graph = expand_to_run(study, store)

    def grow(choices: "Sequence[Choice]") -> "StudyGraph":
        add_choices(store, graph.tunings[0].name, choices)
        return expand_file(study, store)

    opened = Store(store, create=True)
    run_and_report(graph, opened, cpus=cpus, gpus=gpus, json=json, grow=grow)


def status(
    study: Annotated[Path | None, typer.Argument(help="A study file.")] = None,
    store: StoreOption = DEFAULT_STORE,
    json: JsonOption = False,
) -> None:
    """Count the stages of a store, or of one study, by how they ended."""
    from mfscale.results import Store

    statuses = Store(store).statuses()
    if study is not None:
        graph = expand_file(study, store)
        statuses = {stage: statuses.get(stage, "missing") for stage in graph.stages}
        waiting = {stage.id: "waiting for a choice" for stage in graph.waiting}
        statuses |= waiting
    counts = Counter(statuses.values())
    if json:
        every = ["finished", "diverged", "failed", "skipped"]
        every += ["missing", "waiting for a choice"] if study else []
        numbers = {name: counts.get(name, 0) for name in every}
        print_json({"store": str(store), "stages": len(statuses), **numbers})
        return
    what = f"{study} in {store}" if study else str(store)
    counted = ", ".join(f"{n} {name}" for name, n in sorted(counts.items())) or "nothing yet"
    console.print(f"{what}: {len(statuses)} stages: {counted}")


def expand_file(path: Path, store: Path) -> "StudyGraph":
    """Read and expand a study file with everything this installation offers.

    Choices that tunings have made come from the store, if it is there, and from the folder of the
    study.
    """
    from mfscale.cli._catalogue import catalogue
    from mfscale.study import expand, load_study, read_choices

    return expand(load_study(path), catalogue(), read_choices(store, path.parent))


def expand_to_run(path: Path, store: Path) -> "StudyGraph":
    """Read and expand a study file whose data are here; DatasetError if only counts are."""
    from mfscale.cli._catalogue import require_data

    graph = expand_file(path, store)
    require_data(graph)
    return graph


def _open_if_there(path: Path) -> "Store | None":
    from mfscale.results import Store

    return Store(path) if path.exists() else None


def _print_reasons(told: "list[Why]", n_to_run: int) -> None:
    columns = ("will run", "nearest finished stage", "why")
    rows = [(w.stage_id[:8], (w.nearest or "")[:8], "; ".join(w.why)) for w in told]
    print_table(columns, rows)
    if len(told) < n_to_run:
        console.print(f"… and {n_to_run - len(told)} more; --all lists every stage")


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
