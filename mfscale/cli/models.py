"""``models``: the architectures and sizes that a study can name."""

import typer

from mfscale.cli._options import JsonOption
from mfscale.cli._output import console, print_json, print_table


def add_to(app: typer.Typer) -> None:
    """Add this command."""
    app.command()(models)


def models(json: JsonOption = False) -> None:
    """List every model: parameters, cutoff, and how fast it trains.

    Speeds are of one core of a 2026 x86 server on molecules of seven atoms, in batches of 32.
    """
    from mfscale.models import LADDER, how_to_install
    from mfscale.study import ModelSpec

    cutoff_a = ModelSpec().cutoff_a
    rows = [
        {
            "architecture": architecture,
            "size": name,
            "n_parameters": size.n_parameters,
            "cutoff_a": cutoff_a,
            "structures_per_second_energies": size.structures_per_second.energies,
            "structures_per_second_forces": size.structures_per_second.forces,
            "settings": size.settings,
            "install": how_to_install(architecture),
        }
        for architecture, sizes in LADDER.items()
        for name, size in sizes.items()
    ]
    if json:
        print_json(rows)
        return
    columns = ("architecture", "size", "parameters", "cutoff (Å)", "energies only", "with forces")
    print_table(
        columns,
        [
            (
                row["architecture"],
                row["size"],
                f"{row['n_parameters']:>10,}",
                row["cutoff_a"],
                row["structures_per_second_energies"],
                row["structures_per_second_forces"],
            )
            for row in rows
        ],
        title="Models; the last two columns are structures trained a second on one processor core",
    )
    console.print("The cutoff is a default: model.cutoff_a of a study sets it.")
    for architecture in LADDER:
        if command := how_to_install(architecture):
            console.print(f"{architecture} is not installed here; type: {command}", soft_wrap=True)
