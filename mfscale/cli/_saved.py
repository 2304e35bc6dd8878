"""Fits from a file that ``fit --save`` wrote: answers without the store, and without a refit."""

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from mfscale.cli._asked import Asked
from mfscale.cli._law_options import AnyLaw, How

if TYPE_CHECKING:
    from mfscale.scaling import Fit

_OF_ROWS = ("study", "where", "table", "x", "y", "group", "cluster", "replicate")


def saved_fits(
    path: Path, asked: Asked, law: AnyLaw | None, intervals: How = How.auto
) -> "list[Fit]":
    """The fits of a file, all or those of one law.

    Raises
    ------
    FitError
        For a file that holds no fits, or none of that law.
    """
    from mfscale.scaling import FitError, load_fits

    given = [f"--{name}" for name in _OF_ROWS if getattr(asked, name)]
    given += ["--intervals"] if intervals != How.auto else []
    given += ["--level"] if asked.level != Asked.level else []
    if given:
        raise typer.BadParameter(
            f"--fit answers from the file alone, which has its rows and intervals: leave out "
            f"{', '.join(given)}"
        )
    fits = load_fits(path)
    kept = [found for found in fits if law is None or found.law == law.value]
    if not kept:
        there = ", ".join(dict.fromkeys(found.law for found in fits))
        raise FitError(f"{path} holds no {law.value if law else ''} law; it has {there}")
    return kept


def require_one_predictor(fits: "list[Fit]", option: str) -> None:
    """Refuse a mere number where it could be of one predictor or of another."""
    from mfscale.scaling import FitError

    columns = list(dict.fromkeys(found.x for found in fits))
    if len(columns) > 1 or any(len(found.axes) > 1 for found in fits):
        first = next(iter(fits[0].axes.values())).column
        raise FitError(
            f"the file holds laws of {' and of '.join(columns)}: name what is meant, {option}, for "
            f"instance {first}=…, or one law with --law"
        )
