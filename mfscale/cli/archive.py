"""``archive``: the rows and test errors of a store in two files, to ship."""

from pathlib import Path
from typing import Annotated

import typer

from mfscale.cli._options import DEFAULT_STORE, JsonOption, StoreOption
from mfscale.cli._output import console, print_json, print_table, size
from mfscale.cli.study import expand_file


def add_to(app: typer.Typer) -> None:
    """Add this command."""
    app.command()(archive)


def archive(
    destination: Annotated[
        str,
        typer.Argument(
            help="A new or empty folder, or s3://BUCKET/PREFIX.", metavar="DEST", show_default=False
        ),
    ],
    store: StoreOption = DEFAULT_STORE,
    study: Annotated[
        list[Path] | None,
        typer.Option("--study", help="Only the stages of this study file; may be repeated."),
    ] = None,
    target: Annotated[
        str | None,
        typer.Option("--target", help="Only the test errors of this head; rows stay whole."),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Write the results of a store, without models, curves and logs, as one that is only read.

    It holds every row, and the error of every head on every test structure against its own method,
    to seven digits. Whatever reads a store reads an archive.
    """
    from mfscale.results import Store, write_archive

    wanted = None if not study else {s for path in study for s in expand_file(path, store).stages}
    written = write_archive(Store(store), destination, stages=wanted, head=target)
    if json:
        print_json({"archive": str(destination), **vars(written)})
        return
    console.print(
        f"{destination}: {written.stages} stages, {written.n_errors} test errors of "
        f"{written.with_errors} of them, {size(sum(written.sizes.values()))}",
        soft_wrap=True,
    )
    print_table(("file", "size"), ((name, size(n)) for name, n in written.sizes.items()))
