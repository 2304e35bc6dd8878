"""``data``: look at datasets, and make one of your own labels."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mfscale.cli import data_import, data_label, data_merge, data_sample, data_split
from mfscale.cli._options import JsonOption
from mfscale.cli._output import console, print_json, print_table

if TYPE_CHECKING:
    from mfscale.data import Counts, Dataset

app = typer.Typer(
    help="Look at datasets; import, sample and label your own, divide and join them.",
    no_args_is_help=True,
)
for command in (data_import, data_merge, data_split, data_sample, data_label):
    command.add_to(app)


@app.command()
def describe(
    name: Annotated[
        str,
        typer.Argument(
            help="An embedded dataset (chno3), a directory, or a dataset known by its counts "
            "(ani1ccx)."
        ),
    ],
    plot: Annotated[
        Path | None,
        typer.Option(
            "--plot", help="Draw coverage into this file, as PNG and PDF.", show_default=False
        ),
    ] = None,
    split: Annotated[str, typer.Option("--split", help="The split that is drawn.")] = "random",
    json: JsonOption = False,
) -> None:
    """Show structures, elements, labels per method and subset, and how far methods differ."""
    from mfscale.data import DatasetError, counts_of, open_dataset
    from mfscale.data import describe as described

    if counts := counts_of(name):
        if plot:
            raise DatasetError(f"{name}: known by its counts alone; there is nothing to draw")
        print_json(counts.to_dict()) if json else _print_counts(counts)
        return
    dataset = open_dataset(name)
    written = _draw(dataset, split, plot) if plot else ()
    found = described(dataset)
    if json:
        print_json(found.to_dict())
    else:
        console.print(found.to_text(), soft_wrap=True, markup=False)
        for file in written:
            console.print(f"wrote {file}", soft_wrap=True, markup=False)


def _draw(dataset: "Dataset", split: str, out: Path) -> tuple[Path, Path]:
    from mfscale.data.coverage import coverage
    from mfscale.report.coverage import coverage as drawn
    from mfscale.report.save import save

    stem = out.with_suffix("") if out.suffix in {".png", ".pdf"} else out
    return save(drawn(coverage(dataset, split)), stem)


def _print_counts(counts: "Counts") -> None:
    from mfscale.data import SUBSETS, TRAINING_SUBSETS, no_data

    console.print(f"{counts.name}: {counts.description}", soft_wrap=True)
    console.print(f"No data are here: {no_data(counts.name)}.", soft_wrap=True)
    console.print(f"source: {counts.source}", soft_wrap=True)
    console.print(
        f"about {counts.n_structures} structures, elements: {' '.join(counts.elements)}\n"
    )
    print_table(
        ("method", "forces", "cost (cc = 1000)", "labels", "forces are", "cost is"),
        (
            (m.name, m.has_forces, m.cost.value, m.description, m.forces_basis, m.cost.basis)
            for m in counts.methods
        ),
    )
    console.print("\nlabels of each method: training + validation, t: test")
    print_table(
        ("subset", "labels", "which is"),
        (
            (
                subset,
                " + ".join(map(str, counts.n_labels(subset)))
                if subset in TRAINING_SUBSETS
                else str(counts.n_in(subset)),
                counts.subsets[subset].basis,
            )
            for subset in SUBSETS
        ),
    )
    console.print()
    for what, stated in (
        ("atoms per structure", counts.mean_atoms),
        ("reserved for validation", counts.validation_share),
    ):
        console.print(f"{what}: {stated.value:g} ({stated.basis})", soft_wrap=True)
