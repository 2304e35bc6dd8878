"""``data sample``: draw structures of small molecules along their normal modes."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from mfscale.cli._options import JsonOption
from mfscale.cli._output import console, print_json, stderr


def add_to(app: typer.Typer) -> None:
    """Add this command."""
    app.command()(sample)


def sample(
    sources: Annotated[
        list[str],
        typer.Argument(
            help="SMILES, files of SMILES (.smi) or of structures to relax (.xyz, .extxyz), "
            "datasets whose molecules are meant (chno3).",
            metavar="SOURCE...",
            show_default=False,
        ),
    ],
    name: Annotated[str, typer.Option("--name", help="Name of the dataset.", show_default=False)],
    structures: Annotated[
        int, typer.Option("--structures", min=1, help="Structures to draw.", show_default=False)
    ],
    out: Annotated[
        Path | None, typer.Option("--out", help="Its folder, a new one.", show_default="./NAME")
    ] = None,
    temperature: Annotated[
        str, typer.Option("--temperature", help="Kelvins, LOW:HIGH or one.")
    ] = "300:1500",
    amplitudes: Annotated[
        str,
        typer.Option(
            "--amplitudes",
            help="As ANI-1 draws them (ani1), or of classical harmonic vibrations (thermal).",
        ),
    ] = "ani1",
    conformers: Annotated[
        int, typer.Option("--conformers", min=1, help="Embeddings of each SMILES to relax.")
    ] = 10,
    subset: Annotated[
        list[str] | None,
        typer.Option(
            "--subset",
            help="Sizes of subsets: a=1000,b=0.5 (structures, or a share); the others share the "
            "rest.",
            show_default="a=0.2,b=0.4,c=0.2,t=0.2",
        ),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of all draws.")] = 0,
    json: JsonOption = False,
) -> None:
    """Draw structures of molecules by normal-mode sampling; a dataset with GFN2-xTB labels.

    Molecules are relaxed with GFN2-xTB; those that cannot be are left out and named.
    """
    from mfscale.data.imports import parse_subsets
    from mfscale.data.sampling import parse_temperatures, rough_structures, sample_dataset

    temperatures = parse_temperatures(temperature)
    rough = rough_structures(sources, conformers=conformers, seed=seed)
    with _shown(quiet=json) as progress:
        report = sample_dataset(
            rough,
            out or Path(name),
            name=name,
            n_structures=structures,
            kelvins=temperatures,
            amplitudes=amplitudes,
            subsets=parse_subsets(subset or []),
            seed=seed,
            progress=progress,
        )
    if json:
        print_json(report.to_dict())
    else:
        console.print(report.to_text(), soft_wrap=True)


@contextmanager
def _shown(*, quiet: bool) -> Iterator[Callable[[str, int, int], None]]:
    """A bar on standard error for each thing that is done, in a terminal."""
    if quiet or not stderr.is_terminal:
        yield lambda _what, _done, _total: None
        return
    from rich.progress import MofNCompleteColumn, Progress

    columns = (*Progress.get_default_columns(), MofNCompleteColumn())
    with Progress(*columns, console=stderr, transient=True) as bar:
        tasks = {}

        def update(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(what, total=total)
            bar.update(tasks[what], completed=done)

        yield update
