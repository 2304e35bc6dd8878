"""``data merge``: one dataset of the labels of several, joined by structure."""

from pathlib import Path
from typing import Annotated

import typer

from mfscale.cli._options import JsonOption
from mfscale.cli._output import console, print_json
from mfscale.cli.data_import import say, shown, told


def add_to(app: typer.Typer) -> None:
    """Add this command."""
    app.command("merge")(merge)


def merge(
    datasets: Annotated[
        list[str],
        typer.Argument(
            help="Datasets: folders, or the embedded one by its name.",
            metavar="DATASET...",
            show_default=False,
        ),
    ],
    name: Annotated[str, typer.Option("--name", help="Name of the dataset.", show_default=False)],
    out: Annotated[
        Path | None, typer.Option("--out", help="Its folder, a new one.", show_default="./NAME")
    ] = None,
    tolerance: Annotated[
        float,
        typer.Option("--tolerance", help="Coordinates of equal structures agree within this, Å."),
    ] = 1e-4,
    only_with: Annotated[
        list[str] | None,
        typer.Option("--only-with", help="Keep structures with a label of this method alone."),
    ] = None,
    subset: Annotated[
        list[str] | None,
        typer.Option(
            "--subset",
            help="Sizes of subsets of the new random split.",
            show_default="a=0.2,b=0.4,c=0.2,t=0.2",
        ),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Draws the subsets.")] = 0,
    split_key: Annotated[
        str | None,
        typer.Option(
            "--split-key",
            help="The datasets' split that is kept, as split `source`.",
            show_default="source if a dataset has it, else random",
        ),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Join the labels of several datasets structure by structure; they stay as they are.

    Structures with the same atoms in the same order and the same coordinates are one.
    """
    from mfscale.data import open_dataset
    from mfscale.data.imports import import_dataset, parse_subsets

    opened = [open_dataset(dataset) for dataset in datasets]
    destination = out or Path(name)
    with told(destination), shown(quiet=json) as progress:
        report = import_dataset(
            [dataset.path for dataset in opened],
            destination,
            name=name,
            only_with=only_with or [],
            subsets=parse_subsets(subset or []),
            seed=seed,
            split_key=split_key,
            tolerance_a=tolerance,
            trust_units=True,
            description=f"merged from {', '.join(dataset.name for dataset in opened)}",
            licence="; ".join(dict.fromkeys(dataset.licence for dataset in opened)),
            progress=progress,
            say=say,
        )
    if json:
        print_json(report.to_dict())
    else:
        console.print(report.to_text(), soft_wrap=True, markup=False)
