"""The command line: ``mfscale plan|run|status|results|fit|plot|…``; ``mfscale --help`` has all."""

import signal
import sys

import typer
from rich.text import Text

from mfscale.cli import (
    adopt,
    archive,
    campaign,
    choices,
    claims,
    compare,
    comparisons,
    data,
    export,
    inversions,
    laws,
    mixes,
    models,
    plan,
    plots,
    predictions,
    report,
    results,
    study,
    suggestions,
    track,
    worths,
)
from mfscale.cli._output import stderr

app = typer.Typer(
    name="mfscale",
    help="How many labels of which quantum-chemical method to buy for a machine-learned force "
    "field, which training strategy to use, what error to expect, and how sure to be.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for room in (
    plan,
    study,
    campaign,
    choices,
    adopt,
    compare,
    results,
    laws,
    plots,
    predictions,
    comparisons,
    inversions,
    mixes,
    worths,
    suggestions,
    claims,
    report,
    export,
    archive,
    track,
    models,
):
    room.add_to(app)
app.add_typer(data.app, name="data")


def main() -> None:
    """Run the command line; a wrong input ends in one message and exit status 2."""
    try:
        app()
    except ValueError as error:
        if not _is_ours(error):
            raise
        stderr.print(Text("error:", "bold red"), str(error), soft_wrap=True)
        sys.exit(2)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(0)
    finally:
        # All is done and said; Ctrl-C while Python takes itself down would end it without status.
        signal.signal(signal.SIGINT, signal.SIG_IGN)


def _is_ours(error: ValueError) -> bool:
    """Whether a room of this package raised the error for its user to read.

    By the class's home rather than by a list of classes, which would import torch and statsmodels
    to print a help page.
    """
    return type(error).__module__.startswith("mfscale.")
