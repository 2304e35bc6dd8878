"""Options that several commands share, each described once."""

from pathlib import Path
from typing import Annotated

import typer

StoreOption = Annotated[
    str,
    typer.Option(
        "--store",
        envvar="MFSCALE_STORE",
        help="Results store: a folder, s3://BUCKET/PREFIX or gs://BUCKET/PREFIX.",
        show_default=True,
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")]
StudyArgument = Annotated[Path, typer.Argument(help="A study file (YAML).", show_default=False)]
StudyOption = Annotated[
    Path | None, typer.Option("--study", help="Only the stages of this study file.")
]
DEFAULT_STORE = "mfscale-store"
