"""``data``: look at datasets."""

from typing import Annotated

import typer

from mfscale.cli._options import JsonOption
from mfscale.cli._output import console, print_json

app = typer.Typer(help="Look at datasets.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Keep ``data`` a group while it has one command."""


@app.command()
def describe(
    name: Annotated[str, typer.Argument(help="An embedded dataset (chno3) or a directory.")],
    json: JsonOption = False,
) -> None:
    """Show structures, elements, labels per method and subset, and how far methods differ."""
    from mfscale.data import describe as described
    from mfscale.data import open_dataset

    found = described(open_dataset(name))
    if json:
        print_json(found.to_dict())
    else:
        console.print(found.to_text(), soft_wrap=True, markup=False)
