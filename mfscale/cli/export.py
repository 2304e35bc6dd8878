"""``export``: take a trained model out of a store."""

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mfscale.cli._options import DEFAULT_STORE, StoreOption
from mfscale.cli._output import console

if TYPE_CHECKING:
    from mfscale.training import Potential


def add_to(app: typer.Typer) -> None:
    """Add this command."""
    app.command()(export)


def export(
    stage: Annotated[str, typer.Argument(help="Stage id, or its first characters.")],
    store: StoreOption = DEFAULT_STORE,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="File to write; named after the stage if not given."),
    ] = None,
    native: Annotated[
        bool,
        typer.Option(
            "--native",
            help="In the format of the model's own package: .nequip.zip (NequIP, Allegro), which "
            "holds one head, or .model (MACE), which holds all.",
        ),
    ] = False,
    head: Annotated[
        str | None, typer.Option("--head", help="Which head a .nequip.zip holds.")
    ] = None,
) -> None:
    """Write a stage's model to one file, which mfscale.load turns into an ASE calculator."""
    if head and not native:
        raise typer.BadParameter("--head goes with --native: other files hold all heads")
    from mfscale.results import Store, checkpoint

    opened = Store(store)
    stage_id = opened.resolve(stage)
    from mfscale.models import NATIVE_SUFFIX
    from mfscale.training import POTENTIAL, TrainingError, load_potential

    name = checkpoint(stage_id, POTENTIAL)
    with opened.local(name) as files:
        source = files.path(name)
        if not source.exists():
            status = opened.statuses().get(stage_id)
            raise TrainingError(f"stage {stage_id} is {status} and left no model in {store}")
        potential, history = load_potential(source, own_network=True)
        if history.stage_id != stage_id:
            raise TrainingError(
                f"{opened.place.of(name)} is the model of stage {history.stage_id}; put the right "
                "file there: mfscale verify tells which others are wrong"
            )
        architecture = potential.spec.architecture
        suffix = NATIVE_SUFFIX[architecture] if native else ".safetensors"
        target = out or Path(stage_id + suffix)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            if native:
                _write_native(potential, target, head)
            else:
                shutil.copyfile(source, target)
        except OSError as error:
            raise TrainingError(
                f"--out {target} cannot be written ({error.strerror}); name another file"
            ) from None
    console.print(
        f"{target}: {architecture} {potential.spec.size}, heads: "
        f"{', '.join(potential.heads)}, elements: {' '.join(potential.elements)}",
        soft_wrap=True,
    )
    if not native:
        for name, scale in potential.heads.items():
            low = f", low=<ASE calculator of {scale.minus}>" if scale.minus else ""
            console.print(
                f'use it: mfscale.load("{target}", head="{name}"{low})',
                soft_wrap=True,
                markup=False,
            )


def _write_native(potential: "Potential", target: Path, head: str | None) -> None:
    from mfscale.models import HOLDS_ONE_HEAD
    from mfscale.training import TrainingError, export_native

    heads = tuple(potential.heads)
    if head is None and len(heads) > 1 and potential.spec.architecture in HOLDS_ONE_HEAD:
        raise TrainingError(
            f"a file of {potential.spec.architecture} holds one head; name it, --head "
            + " or --head ".join(heads)
        )
    export_native(potential, target, head or heads[0])
