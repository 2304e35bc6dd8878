"""``data import``: make a dataset of labels from other programmes' files."""

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from mfscale.cli._options import JsonOption
from mfscale.cli._output import console, print_json, stderr
from mfscale.cli._running import BY_SIGNAL


def add_to(app: typer.Typer) -> None:
    """Add this command."""
    app.command("import")(import_)


def import_(
    sources: Annotated[
        list[Path],
        typer.Argument(
            help="Extended XYZ (.xyz, .extxyz), ASE databases (.db), HDF5 as of ANI-1x (.h5, "
            ".hdf5), LMDB (.lmdb, .aselmdb, or a folder); structures that several hold are "
            "matched.",
            metavar="SOURCE...",
            show_default=False,
        ),
    ],
    name: Annotated[str, typer.Option("--name", help="Name of the dataset.", show_default=False)],
    out: Annotated[
        Path | None, typer.Option("--out", help="Its folder, a new one.", show_default="./NAME")
    ] = None,
    method: Annotated[
        list[str] | None,
        typer.Option(
            "--method",
            help="Keys of a method's labels: dft:energy=dft_energy,forces=dft_forces; also unit=, "
            "forces_unit=, cost= (cc = 1000), level=, file=. Repeat for each method.",
            show_default="for HDF5 the keys of ANI-1x, for an LMDB the methods of its table",
        ),
    ] = None,
    unit: Annotated[
        str,
        typer.Option(
            "--unit",
            help="Unit of energies whose method names none, and per Å of forces: eV, Ha, "
            "kcal/mol or kJ/mol.",
        ),
    ] = "eV",
    only_with: Annotated[
        list[str] | None,
        typer.Option("--only-with", help="Keep structures with a label of this method alone."),
    ] = None,
    subset: Annotated[
        list[str] | None,
        typer.Option(
            "--subset",
            help="Sizes of subsets: a=1000,b=0.5 (structures, or a share); the others share the "
            "rest.",
            show_default="a=0.2,b=0.4,c=0.2,t=0.2",
        ),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Draws the subsets.")] = 0,
    split_key: Annotated[
        str | None,
        typer.Option(
            "--split-key",
            help="Key of a structure that names its subset (a, b, c, t or train, validation, "
            "test): kept as split `source`.",
            show_default=False,
        ),
    ] = None,
    tolerance: Annotated[
        float,
        typer.Option("--tolerance", help="Coordinates of equal structures agree within this, Å."),
    ] = 1e-4,
    drop_bad: Annotated[
        bool,
        typer.Option("--drop-bad", help="Leave out structures that cannot be taken."),
    ] = False,
    trust_units: Annotated[
        bool,
        typer.Option("--trust-units", help="Take labels that look like another unit."),
    ] = False,
    description: Annotated[
        str, typer.Option("--description", help="What the structures are.", show_default=False)
    ] = "",
    licence: Annotated[
        str, typer.Option("--licence", help="Terms of the data's use.")
    ] = "not stated",
    restart: Annotated[
        bool,
        typer.Option("--restart", help="Begin anew, even if an interrupted import can go on."),
    ] = False,
    json: JsonOption = False,
) -> None:
    """Make a dataset of structures and labels of several methods.

    Sources are read once and never changed. A bad one ends in one message, and nothing is imported.
    After Ctrl-C (exit status 130) or a kill the same command goes on.
    """
    from mfscale.data.imports import import_dataset, parse_method, parse_subsets

    destination = out or Path(name)
    with told(destination), shown(quiet=json) as progress:
        report = import_dataset(
            sources,
            destination,
            name=name,
            methods=[parse_method(text, unit) for text in method or []],
            only_with=only_with or [],
            subsets=parse_subsets(subset or []),
            seed=seed,
            split_key=split_key,
            tolerance_a=tolerance,
            drop_bad=drop_bad,
            trust_units=trust_units,
            description=description,
            licence=licence,
            restart=restart,
            progress=progress,
            say=say,
        )
    if json:
        print_json(report.to_dict())
    else:
        console.print(report.to_text(), soft_wrap=True, markup=False)


def say(sentence: str) -> None:
    """A line on standard error."""
    stderr.print(sentence, soft_wrap=True)


@contextmanager
def told(destination: Path) -> Iterator[None]:
    """Ctrl-C ends an import with a word on what is kept of it."""
    from mfscale.data.imports import structures_kept

    try:
        yield
    except KeyboardInterrupt:
        kept = structures_kept(destination)
        say(
            f"Interrupted: {kept} structures are read and kept, and the same command goes on."
            if kept
            else "Interrupted; nothing was imported."
        )
        sys.exit(BY_SIGNAL + signal.SIGINT)


@contextmanager
def shown(*, quiet: bool) -> Iterator[Callable[[Path, int, int], None]]:
    """A bar for each source on standard error, in a terminal."""
    if quiet or not stderr.is_terminal:
        yield lambda _source, _done, _total: None
        return
    from rich.progress import Progress

    with Progress(console=stderr, transient=True) as bar:
        tasks = {}

        def update(source: Path, done: int, total: int) -> None:
            if source not in tasks:
                tasks[source] = bar.add_task(source.name, total=total)
            bar.update(tasks[source], completed=done)

        yield update
