"""``export``: take a trained model out of a store."""

import shutil
from pathlib import Path
from typing import Annotated

import typer

from mfscale.cli._options import DEFAULT_STORE, StoreOption
from mfscale.cli._output import console


def add_to(app: typer.Typer) -> None:
    """Add this command."""
    app.command()(export)


def export(
    stage: Annotated[str, typer.Argument(help="Stage id, or its first characters.")],
    store: StoreOption = DEFAULT_STORE,
    out: Annotated[
        Path | None, typer.Option("--out", help="File to write; STAGE.safetensors if not given.")
    ] = None,
) -> None:
    """Write a stage's model to one file, which mfscale.load turns into an ASE calculator."""
    from mfscale.results import Store

    opened = Store(store)
    stage_id = opened.resolve(stage)
    from mfscale.training import POTENTIAL, TrainingError, load_potential

    source = opened.checkpoint_dir(stage_id) / POTENTIAL
    if not source.exists():
        status = opened.statuses().get(stage_id)
        raise TrainingError(f"stage {stage_id} is {status} and left no model in {store}")
    potential, _ = load_potential(source, own_network=True)
    target = out or Path(f"{stage_id}.safetensors")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
    except OSError as error:
        raise TrainingError(
            f"--out {target} cannot be written ({error.strerror}); name another file"
        ) from None
    head = next(iter(potential.heads))
    console.print(
        f"{target}: {potential.spec.architecture} {potential.spec.size}, "
        f"heads: {', '.join(potential.heads)}, elements: {' '.join(potential.elements)}"
    )
    console.print(f'use it: mfscale.load("{target}", head="{head}")', soft_wrap=True)
