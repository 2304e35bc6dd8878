"""``invert``: how many labels, or what size of model, an error takes."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from mfscale.cli._analysis import POWER
from mfscale.cli._asked import Asked, add_question
from mfscale.cli._groups import print_groups
from mfscale.cli._law_options import AnyLawOption, FitOption
from mfscale.cli._options import JsonOption
from mfscale.cli._output import console, print_json, show
from mfscale.cli._questions import (
    ErrorOption,
    NewRunOption,
    ProbabilityOption,
    refuse_if_none,
    states,
)
from mfscale.cli._saved import require_one_predictor, saved_fits
from mfscale.cli._several import SEVERAL, asked_of, fits_of_several, law_for, read_points
from mfscale.cli._warned import gathered, print_warnings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mfscale.scaling import Fit, FitWarning, Inverse, Scalar

    Group = dict[str, Scalar]

OfOption = Annotated[
    str | None,
    typer.Option("--of", help="Of a law in several: the predictor asked for, e.g. n_parameters."),
]
AtOption = Annotated[
    str | None,
    typer.Option("--at", help="Of a law in several: the other predictors, e.g. cc=200,dft=1000."),
]


def add_to(app: typer.Typer) -> None:
    """Add this command."""
    add_question(app, invert)


def invert(
    error: ErrorOption,
    asked: Asked,
    law: AnyLawOption = None,
    of: OfOption = None,
    at: AtOption = None,
    fit: FitOption = None,
    probability: ProbabilityOption = 0.9,
    new_run: NewRunOption = False,
    json: JsonOption = False,
) -> None:
    """Ask how many labels (or what x) an error takes, and how many suffice with a probability.

    Of a law in several numbers, the one that --at does not give.

    Try: mfscale invert --error 30
    """
    others = _others(at)
    if fit is not None:
        fits = saved_fits(fit, asked, law)
        if of is None and not others:
            require_one_predictor(fits, "--of NAME")
    else:
        fits = _fits(asked, law.value if law else None, of, others)
    answers, left_out = _answers(
        fits, error, of, others, asked.target, probability, new_run=new_run
    )
    refuse_if_none(answers)
    warned: list[tuple[Group, Sequence[FitWarning]]] = [*left_out]
    warned += [(f.group, f.warnings) for f in fits if not f.determined]
    warned += [(answer.group, answer.warnings) for answer in answers]
    if json:
        plain = [{**asdict(a), "found": a.found} for a in answers]
        for each in plain:
            del each["warnings"]
        print_json({"answers": plain, "warnings": gathered(warned)})
        return
    _print(answers)
    told = states(probability, new_run=new_run, level=fits[0].level)
    console.print(told, soft_wrap=True)
    print_warnings(warned)


def _others(at: str | None) -> dict[str, float]:
    from mfscale.scaling import FitError

    if at is None:
        return {}
    (point,) = read_points("--at", [at])
    if not isinstance(point, dict):
        raise FitError(f"--at {at}: name the other predictors with their numbers, such as cc=200")
    return point


def _fits(asked: Asked, law: str | None, of: str | None, others: dict[str, float]) -> "list[Fit]":
    from mfscale.scaling import FitError

    if of is None and not others:
        if law in SEVERAL:
            raise FitError(
                f"the {law} law is of several numbers: give all but one, such as --at cc=200, and "
                "name the one that is asked for, such as --of n_parameters"
            )
        return asked.question(law or POWER).fit(asked.level)
    if law is not None and law not in SEVERAL:
        if others:
            raise FitError(f"the {law} law is of one number: leave --at out, or name another --law")
        return asked.question(law).fit(asked.level)
    names = [*others, *([of] if of is not None else [])]
    return fits_of_several(asked, law_for(law, [dict.fromkeys(names, 0.0)]), names)


def _answers(
    fits: "list[Fit]",
    error: float,
    of: str | None,
    others: dict[str, float],
    target: str,
    probability: float,
    *,
    new_run: bool,
) -> "tuple[list[Inverse], list[tuple[Group, list[FitWarning]]]]":
    """The answer of each fit, and why some have none."""
    from mfscale.scaling import FitError, FitWarning
    from mfscale.scaling import invert as ask

    answers, left_out = [], []
    for found in fits:
        if not found.determined:
            continue
        known = asked_of(found, of, others, target)
        if known is None:
            continue
        wanted, at = known
        try:
            answers.append(
                ask(found, error, of=wanted, at=at, probability=probability, new_run=new_run)
            )
        except FitError as reason:
            left_out.append((found.group, [FitWarning("left-out", f"{found.law}: {reason}")]))
    if not answers and left_out:
        raise FitError(left_out[0][1][0].message)
    if not answers:
        laws = "; ".join(dict.fromkeys(f"{f.law} of {f.x}" for f in fits))
        names = ", ".join([*([of] if of else []), *others])
        raise FitError(f"{names}: no law is of these; there are {laws}")
    return answers, left_out


def _print(answers: "list[Inverse]") -> None:
    import pandas as pd

    columns = ("estimate", "low", "high", "suffices", "reachable", "decades_from_data")
    rows = [{**a.group, **a.at, **{c: getattr(a, c) for c in columns}} for a in answers]
    wanted = dict.fromkeys(a.column for a in answers)
    places = dict.fromkeys(
        ", ".join(f"{column} = {show(value)}" for column, value in a.at.items()) for a in answers
    )
    one = next(iter(places)) if len(places) == 1 else ""
    title = f"{', '.join(wanted)} for {answers[0].y} = {answers[0].error:g}"
    frame = pd.DataFrame(rows)
    if len(wanted) == 1:
        frame = frame.rename(columns={"estimate": next(iter(wanted))})
    print_groups(frame, [a.group for a in answers], title=f"{title}, at {one}" if one else title)
