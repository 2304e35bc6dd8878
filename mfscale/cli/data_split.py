"""``data split``: divide a dataset's structures into subsets anew."""

from typing import Annotated, Literal

import typer

from mfscale.cli._options import JsonOption
from mfscale.cli._output import console, print_json, print_table


def add_to(app: typer.Typer) -> None:
    """Add this command."""
    app.command("split")(split)


def split(
    dataset: Annotated[str, typer.Argument(help="A dataset's folder.", metavar="DATASET")],
    as_: Annotated[
        str, typer.Option("--as", help="Name of the new split: `split: NAME` in a study.")
    ],
    by: Annotated[
        Literal["structure", "molecule", "formula"],
        typer.Option("--by", help="What goes whole into one subset."),
    ] = "structure",
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
    json: JsonOption = False,
) -> None:
    """Add a split to a dataset; the splits that it has stay as they are."""
    from mfscale.data import SUBSETS, open_dataset
    from mfscale.data.imports import add_split, parse_subsets

    added = add_split(
        open_dataset(dataset), as_, by=by, subsets=parse_subsets(subset or []), seed=seed
    )
    if json:
        print_json(added.to_dict())
        return
    console.print(f"{added.dataset}: split {added.split}, by {added.by}", markup=False)
    rows = {"structures": added.structures} | {f"{m} labels": n for m, n in added.labels.items()}
    print_table(
        ("", *SUBSETS), ((what, *(counts[s] for s in SUBSETS)) for what, counts in rows.items())
    )
