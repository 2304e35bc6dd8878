"""``run`` and ``status``: running a study, and how it stands."""

import os
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mfscale.cli._options import DEFAULT_STORE, JsonOption, StoreOption, StudyArgument
from mfscale.cli._output import console, print_json
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

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mfscale.study import Choice, StudyGraph


def add_to(app: typer.Typer) -> None:
    """Add these commands."""
    app.command()(run)
    app.command()(status)


def run(
    study: StudyArgument,
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
    """Run the stages of a study that the store lacks.

    A finished stage is not run again, whichever study needs it (unless its model was deleted and
    another stage starts from it). Interrupted, the same command goes on from the last checkpoints.
    Exit status: 0, 1 if a stage failed, 130 after Ctrl-C, 143 after SIGTERM.
    """
    from mfscale.results import Store
    from mfscale.study import add_choices

    graph = expand_to_run(study, store)

    def grow(choices: "Sequence[Choice]") -> "StudyGraph":
        add_choices(opened.place, graph.tunings[0].name, choices)
        return expand_file(study, store)

    opened = Store(store, create=True)
    run_and_report(
        graph,
        opened,
        cpus=cpus,
        gpus=gpus,
        gpu_share=gpu_share,
        address=ray_address,
        compile_mode=compile_mode,
        kernels=kernels,
        json=json,
        track=track,
        grow=grow,
    )


def status(
    study: Annotated[Path | None, typer.Argument(help="A study file.")] = None,
    store: StoreOption = DEFAULT_STORE,
    json: JsonOption = False,
) -> None:
    """Count the stages of a store, or of one study, by how they ended."""
    from mfscale.results import Store

    statuses = Store(store).statuses()
    found = list(statuses.values())
    if study is not None:
        graph = expand_file(study, store)
        found = [statuses.get(stage, "missing") for stage in graph.stages]
        found += ["waiting for a choice"] * len(graph.waiting)  # by number: ids come later
    counts = Counter(found)
    if json:
        every = ["finished", "diverged", "failed", "skipped"]
        every += ["missing", "waiting for a choice"] if study else []
        numbers = {name: counts.get(name, 0) for name in every}
        print_json({"store": str(store), "stages": len(found), **numbers})
        return
    what = f"{study} in {store}" if study else str(store)
    counted = ", ".join(f"{n} {name}" for name, n in sorted(counts.items())) or "nothing yet"
    console.print(f"{what}: {len(found)} stages: {counted}", soft_wrap=True)


def expand_file(path: Path, store: str | os.PathLike[str]) -> "StudyGraph":
    """Read and expand a study file with everything this installation offers.

    Choices that tunings have made come from the store, if it is there, and from the folder of the
    study.
    """
    from mfscale.cli._catalogue import catalogue
    from mfscale.results import open_place
    from mfscale.study import expand, load_study, read_choices

    return expand(load_study(path), catalogue(), read_choices(open_place(store), path.parent))


def expand_to_run(path: Path, store: str | os.PathLike[str]) -> "StudyGraph":
    """Read and expand a study file whose data are here; DatasetError if only counts are."""
    from mfscale.cli._catalogue import require_data

    graph = expand_file(path, store)
    require_data(graph)
    return graph
