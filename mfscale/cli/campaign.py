"""``retry``, ``triage``, ``verify`` and ``gc``: keep a campaign in order."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mfscale.cli._options import (
    DEFAULT_STORE,
    JsonOption,
    StoreOption,
    StudyArgument,
    StudyOption,
)
from mfscale.cli._output import console, print_json, print_table, size, stderr
from mfscale.cli._running import (
    LOCAL_RAY,
    CompileOption,
    CpusOption,
    GpuShareOption,
    GpusOption,
    KernelsOption,
    RayOption,
    run_and_report,
)
from mfscale.cli._tracking import TrackOption
from mfscale.cli.study import expand_file, expand_to_run

if TYPE_CHECKING:
    from mfscale.orchestration import Garbage
    from mfscale.results import Cause, Finding, Store

MaybeStudy = Annotated[Path | None, typer.Argument(help="A study file (YAML).", show_default=False)]


def add_to(app: typer.Typer) -> None:
    """Add these commands."""
    app.command()(retry)
    app.command()(triage)
    app.command()(verify)
    app.command()(gc)


def retry(
    study: StudyArgument,
    failed: Annotated[  # noqa: ARG001 - said for clearness: nothing else can be retried
        bool, typer.Option("--failed", help="The failed stages; no others can be retried.")
    ] = True,
    reason: Annotated[
        str, typer.Option("--reason", help="Only stages whose reason contains this text.")
    ] = "",
    store: StoreOption = DEFAULT_STORE,
    cpus: CpusOption = None,
    gpus: GpusOption = 0,
    gpu_share: GpuShareOption = None,
    ray_address: RayOption = LOCAL_RAY,
    compile_mode: CompileOption = "auto",
    kernels: KernelsOption = "e3nn",
    track: TrackOption = None,
    json: JsonOption = False,
) -> None:
    """Run the failed stages of a study again, and what they block.

    As run does, but without starting what has never been tried for other reasons. Diverged stages
    are results and stay. Exit status as that of run.
    """
    from mfscale.orchestration import failures, missing, retried, without_model
    from mfscale.results import Store

    graph = expand_to_run(study, store)
    opened = Store(store)
    rows = {row["stage_id"]: row for row in opened.table().to_pylist()}
    chosen = failures(graph, rows, reason)
    if not chosen:
        others = len(failures(graph, rows))
        said = f" for a reason with {reason!r}" if reason else ""
        left = f"; {others} failed for other reasons (mfscale triage)" if others else ""
        console.print(f"no stage of {graph.name} failed{said} in {store}{left}", soft_wrap=True)
        return
    part = retried(graph, chosen)
    statuses = {stage: row["status"] for stage, row in rows.items()}
    to_run = missing(part, statuses, without_model(part, statuses, opened))
    stderr.print(
        f"Retrying {len(chosen)} failed stages of {graph.name} and {len(to_run) - len(chosen)} "
        f"that they block or need: {', '.join(stage.id[:8] for stage in to_run)}",
        soft_wrap=True,
    )
    run_and_report(
        part,
        opened,
        cpus=cpus,
        gpus=gpus,
        gpu_share=gpu_share,
        address=ray_address,
        compile_mode=compile_mode,
        kernels=kernels,
        json=json,
        track=track,
    )


def triage(
    study: MaybeStudy = None, store: StoreOption = DEFAULT_STORE, json: JsonOption = False
) -> None:
    """Group failed and diverged stages by cause: how many, how many they block, where the log is.

    Of one study, or of the whole store.
    """
    from mfscale.results import Store, causes

    opened = Store(store)
    stages = expand_file(study, store).stages.values() if study else None
    rows = opened.table().select(["stage_id", "parent_id", "status", "reason", "log_file"])
    parents = {stage.id: stage.parent_id for stage in stages} if stages is not None else None
    found = causes(rows.to_pylist(), parents)
    if json:
        print_json([{**vars(c), "log_file": _log(opened, c)} for c in found])
        return
    if not found:
        where = f"{study} in {store}" if study else str(store)
        console.print(f"no stage of {where} failed or diverged", soft_wrap=True)
        return
    columns = ("stages", "blocked", "status", "cause", "for example")
    print_table(
        columns,
        [(len(c.stages), len(c.blocked), c.status, c.cause, c.stages[0]) for c in found],
    )
    for cause in found:
        log = _log(opened, cause) or "none was left"
        console.print(f"\n{cause.stages[0]}: {cause.reason}\n  log: {log}", soft_wrap=True)
    if any(cause.status == "failed" for cause in found):
        console.print(
            f"\nOnce put right: mfscale retry {study or 'STUDY'} --failed --store {store}"
        )


def verify(
    study: MaybeStudy = None, store: StoreOption = DEFAULT_STORE, json: JsonOption = False
) -> None:
    """Check a store, changing nothing: rows, curves, models, and what is missing of a study.

    Exit status: 0 if all is well, 1 if anything was found.
    """
    from mfscale.orchestration import verify as check
    from mfscale.results import Store

    opened = Store(store)
    found = check(opened, expand_file(study, store) if study else None)
    if opened.is_used():
        stderr.print(
            f"A run is using {store}: files that have no row yet were not looked at.",
            soft_wrap=True,
        )
    if json:
        print_json([vars(finding) for finding in found])
    elif found:
        _print_findings(found)
    else:
        console.print(f"{store}: {len(opened.statuses())} stages, nothing wrong", soft_wrap=True)
    if found:
        sys.exit(1)


def gc(
    store: StoreOption = DEFAULT_STORE,
    study: StudyOption = None,
    leaves: Annotated[
        bool,
        typer.Option(
            "--leaves",
            help="Also the final models of finished stages from which no other starts: they can "
            "then neither be exported nor extended without being trained again.",
        ),
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Delete without asking.")] = False,
    json: JsonOption = False,
) -> None:
    """Delete checkpoints that nothing needs: show them, then ask.

    Those are temporary files that died writers left, progress of settled stages, and checkpoints
    of stages without a row, which a run would otherwise resume. Rows, curves, errors and logs stay.
    With --json nothing is deleted unless --yes is given.
    """
    from mfscale.orchestration import collect, garbage
    from mfscale.results import Store

    opened = Store(store)
    graph = expand_file(study, store) if study else None
    with opened.alone():  # what a run is writing has no row yet
        found = garbage(opened, study=graph, leaves=leaves)
    if not json:
        _print_garbage(found, store)
    ask = bool(found) and not (yes or json)
    agreed = yes or (ask and typer.confirm(f"Delete these {len(found)} files?"))
    deleted = collect(opened, found, study=graph, leaves=leaves) if agreed else []
    if json:
        gone = {item.path for item in deleted}
        print_json([{**vars(item), "deleted": item.path in gone} for item in found])
    elif found:
        console.print(f"{len(deleted)} files deleted, {_size(deleted)} freed")


def _log(store: "Store", cause: "Cause") -> str | None:
    if cause.log_file is None or not store.place.exists(cause.log_file):
        return None
    return store.place.of(cause.log_file)


EXAMPLES = 3
"""Findings of a kind that are shown; --json has all."""


def _print_findings(found: "Sequence[Finding]") -> None:
    kinds: dict[str, list[Finding]] = {}
    for finding in found:
        kinds.setdefault(finding.kind, []).append(finding)
    rows: list[Sequence[object]] = []
    for kind, findings in kinds.items():
        for first, finding in zip([True] + [False] * EXAMPLES, findings[:EXAMPLES], strict=False):
            rows.append((kind if first else "", len(findings) if first else None, finding.place,
                         finding.problem, finding.remedy if first else ""))  # fmt: skip
        if len(findings) > EXAMPLES:
            rows.append(("", None, f"… and {len(findings) - EXAMPLES} more", "", ""))
    print_table(("found", "how many", "where", "what", "remedy"), rows)


def _print_garbage(found: "Sequence[Garbage]", store: str) -> None:
    if not found:
        console.print(f"{store}: nothing to delete", soft_wrap=True)
        return
    columns = ("size", "file", "what it is", "what is lost")
    shown = [(_size([item]), item.path, item.what, item.lost) for item in found]
    print_table(columns, shown, title=f"{len(found)} files, {_size(found)}")


def _size(found: "Sequence[Garbage]") -> str:
    return size(sum(item.size_bytes for item in found))
