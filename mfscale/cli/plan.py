"""``plan``: the stages of a study before anything starts."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from mfscale.cli._options import DEFAULT_STORE, JsonOption, StoreOption, StudyArgument
from mfscale.cli._output import console, duration, print_json, print_table
from mfscale.cli._running import CpusOption, GpusOption, compiling, speeds
from mfscale.cli._why import Why, reasons
from mfscale.cli.study import expand_file

if TYPE_CHECKING:
    from mfscale.orchestration import Rates
    from mfscale.results import Store
    from mfscale.study import Stage, StudyGraph

SHOWN = 60
"""Stages a plan lists before it asks for --all."""
AGAIN = "runs again"
"""What a plan calls a finished stage whose model is gone and needed."""


def add_to(app: typer.Typer) -> None:
    """Add this command."""
    app.command()(plan)


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
    from mfscale.orchestration import cores, missing, wall_time, without_model, work_time

    if gpu_cores is not None and not gpus:
        raise typer.BadParameter("--gpu-cores goes with --gpus: without, stages run on CPU cores")
    graph = expand_file(study, store)
    opened = _open_if_there(store)
    statuses = opened.statuses() if opened else {}
    rates = speeds(graph, opened, gpus=gpus, gpu_cores=gpu_cores)
    gone = without_model(graph, statuses, opened) if opened else frozenset()
    to_run = missing(graph, statuses, gone)
    again = [stage.id for stage in to_run if stage.id in gone]
    statuses |= dict.fromkeys(again, AGAIN)
    cached = sum(statuses.get(stage_id) == "finished" for stage_id in graph.stages)
    ahead = [*to_run, *graph.waiting, *graph.trials()]
    slots = gpus or cpus or cores()
    code = compiling("never" if gpus else "auto", rates)
    code.decide(ahead, slots)
    paying = [decision for decision in code.decisions.values() if decision.compiled]
    counts = {
        "study": graph.name,
        "requested": graph.requests,
        "stages": len(graph.stages) + len(graph.waiting),
        "cached": cached,
        "to_run": len(to_run) + len(graph.waiting),
        "diverged_or_below": len(graph.stages) - cached - len(to_run),
        "waiting_for_choices": len(graph.waiting),
        "slots": slots,
        "estimate_s": wall_time(ahead, rates, slots),
        "gpu_hours": work_time(ahead, rates) / 3600 if gpus else None,
        "estimate_basis": rates.basis,
        "compiled": [asdict(decision) for decision in paying],
    }
    shown = list(graph.stages.values())[: None if everything or json else SHOWN]
    details = [_described(stage, graph, statuses, rates) for stage in shown]
    asked = to_run if everything or json else to_run[:SHOWN]
    told = reasons(asked, opened.table().to_pylist() if opened else [], graph) if why else []
    if json:
        choices = {
            "choices_to_make": [
                {"where": t.where, "settings": list(t.space), "trials": t.trials}
                for t in (*graph.tunings, *graph.later)
            ],
            "choices": [asdict(choice) for choice in graph.choices],
        }
        whys = {"why": [vars(reason) for reason in told]} if why else {}
        print_json({**counts, **choices, "details": details, **whys})
        return
    _print_counts(counts)
    _print_stages(details, {stage.id for stage in to_run}, len(graph.stages))
    _print_again(graph, again, {stage.id for stage in to_run})
    if why:
        _print_reasons(told, len(to_run))
    _print_choices(graph)
    _print_estimate(counts, gpus=gpus, anything=bool(ahead))
    for decision in paying:
        architecture, size, _, forces = decision.kind
        console.print(
            f"{decision.stages} stages of {architecture} {size} {'with' if forces else 'without'} "
            f"forces will be compiled, which takes {duration(decision.takes_s)} and saves about "
            f"{duration(decision.saves_s)} of a core (run --compile never: not)",
            soft_wrap=True,
        )


def _print_counts(counts: Mapping[str, Any]) -> None:
    hopeless = counts["diverged_or_below"]
    console.print(
        Text(f"{counts['study']}:", "bold"),
        f"{counts['requested']} steps make {counts['stages']} stages "
        f"({counts['requested'] - counts['stages']} shared); {counts['cached']} are cached, "
        f"{counts['to_run']} will run"
        + (f", {hopeless} diverged or start from one that did" if hopeless else ""),
        soft_wrap=True,
    )


def _print_stages(
    details: Sequence[Mapping[str, Any]], will_run: Collection[str], n_stages: int
) -> None:
    if not details:
        return
    columns = ("stage", "from", "labels", "trains", "model", "seed", "used by", "status", "at most")
    print_table(
        columns,
        (
            (
                d["stage_id"][:8],
                (d["parent_id"] or "")[:8],
                d["labels"],
                d["trainable"],
                d["model"],
                d["seed"],
                ", ".join(d["used_by"]),
                d["status"],
                duration(d["estimate_s"]) if d["stage_id"] in will_run else "",
            )
            for d in details
        ),
    )
    if len(details) < n_stages:
        console.print(f"… and {n_stages - len(details)} more; --all lists every stage")


def _print_again(graph: "StudyGraph", again: Sequence[str], will_run: Collection[str]) -> None:
    for stage_id in again:
        n = len({*will_run}.intersection(graph.children()[stage_id]))
        n += sum(t.template.parent_id == stage_id for t in graph.tunings)
        console.print(
            f"{stage_id[:8]} is cached, but its model is gone: it will run again because {n} "
            f"{'stages need' if n > 1 else 'stage needs'} it",
            soft_wrap=True,
        )


def _print_choices(graph: "StudyGraph") -> None:
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


def _print_estimate(counts: Mapping[str, Any], *, gpus: int, anything: bool) -> None:
    if not anything:
        console.print("Nothing is left to run.")
        return
    hours = f"{counts['gpu_hours']:.3g} GPU-hours, about " if gpus else ""
    console.print(
        f"At most about {hours}{duration(counts['estimate_s'])} on {counts['slots']} "
        f"{'GPUs' if gpus else 'slots'}, from {counts['estimate_basis']}; stages that reach their "
        "plateau early take less.",
        soft_wrap=True,
    )


def _print_reasons(told: Sequence[Why], n_to_run: int) -> None:
    columns = ("will run", "nearest finished stage", "why")
    rows = [(w.stage_id[:8], (w.nearest or "")[:8], "; ".join(w.why)) for w in told]
    print_table(columns, rows)
    if len(told) < n_to_run:
        console.print(f"… and {n_to_run - len(told)} more; --all lists every stage")


def _open_if_there(store: str) -> "Store | None":
    from mfscale.results import Store, is_there

    return Store(store) if is_there(store) else None


def _described(
    stage: "Stage", graph: "StudyGraph", statuses: Mapping[str, str], rates: "Rates"
) -> dict[str, Any]:
    status = statuses.get(stage.id)
    kind = "" if stage.model.fidelity == "readout" else f", fidelity {stage.model.fidelity}"
    return {
        "stage_id": stage.id,
        "parent_id": stage.parent_id,
        "labels": " & ".join(
            f"{h.method}{f'-{h.minus}' if h.minus else ''}:{h.subset}:{h.size}"
            f"{'+forces' if h.forces else ''}"
            for h in stage.heads.values()
        ),
        "trainable": stage.trainable,
        "model": f"{stage.model.architecture} {stage.model.size}{kind}",
        "seed": stage.seed,
        "used_by": list(graph.uses[stage.id]),
        "status": "cached" if status == "finished" else status or "to run",
        "estimate_s": rates.seconds(stage),
    }
