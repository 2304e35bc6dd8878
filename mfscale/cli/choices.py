"""``choices``: the hyperparameters that tunings have chosen."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from mfscale.cli._options import DEFAULT_STORE, JsonOption, StoreOption
from mfscale.cli._output import console, print_json, print_table


def add_to(app: typer.Typer) -> None:
    """Add this command."""
    app.command()(choices)


def choices(
    store: StoreOption = DEFAULT_STORE,
    beside: Annotated[
        Path | None, typer.Option("--beside", help="A study: those in its folder too.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Show what tunings have chosen, and the validation error it brings beside the untuned one."""
    from mfscale.results import open_place
    from mfscale.study import read_choices

    named = read_choices(open_place(store), *([beside.parent] if beside else []))
    if json:
        print_json({n: [asdict(choice) for choice in found.values()] for n, found in named.items()})
        return
    if not named:
        console.print(f"no tuning has chosen anything in {store}")
        return
    columns = ("tuning", "for", "chosen", "trials", "pruned", "untuned (meV)", "tuned (meV)")
    print_table(
        columns,
        [
            (
                name,
                choice.where,
                ", ".join(f"{k} {_shown(v)}" for k, v in choice.values.items()),
                choice.trials,
                choice.pruned,
                "" if choice.untuned_mev is None else f"{choice.untuned_mev:.1f}",
                f"{choice.error_mev:.1f}",
            )
            for name, found in named.items()
            for choice in found.values()
        ],
    )
    console.print("Errors are validation MAE of total energies, geometric mean over heads.")


def _shown(value: bool | int | float | str) -> str:  # noqa: PYI041 - as YAML has them
    return f"{value:.3g}" if isinstance(value, float) else str(value)
