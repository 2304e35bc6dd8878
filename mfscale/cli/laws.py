"""``fit``: the laws behind the rows, and which of them to believe."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mfscale.cli import _analysis, _choosing, _york
from mfscale.cli._analysis import Question
from mfscale.cli._asked import Asked, add_question
from mfscale.cli._groups import named, print_groups, telling
from mfscale.cli._law_options import AnyLaw, How, IntervalsOption, LawOfOne
from mfscale.cli._options import JsonOption
from mfscale.cli._output import console, print_json, stderr
from mfscale.cli._several import SEVERAL, fits_of_several

if TYPE_CHECKING:
    from mfscale.scaling import Fit

LawOption = Annotated[
    AnyLaw | None,
    typer.Option(
        "--law",
        help="power, saturating power: error against labels; line, shifted line: fine-tuned "
        "against pre-trained; the others against labels of several methods, or model size too.",
    ),
]

_SUMMARISED = {
    _analysis.POWER: ("exponent", "exponent_low", "exponent_high", "amplitude", "reference"),
    _analysis.LINE: ("slope", "slope_low", "slope_high", "intercept", "r_squared"),
}
"""Columns of the summary that fit on a screen; --json has all."""


def add_to(app: typer.Typer) -> None:
    """Add this command."""
    add_question(app, fit)


def fit(
    asked: Asked,
    law: LawOption = None,
    intervals: IntervalsOption = How.auto,
    york: Annotated[
        bool,
        typer.Option(
            "--york", help="The line for noise in both errors, known from replicates (York's)."
        ),
    ] = False,
    choose: Annotated[
        bool,
        typer.Option(
            "--choose", help="Compare laws of the same columns: AICc, and larger sizes foretold."
        ),
    ] = False,
    save: Annotated[
        Path | None,
        typer.Option("--save", help="A file of these fits, for predict and invert --fit."),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Fit laws to a store, or to any table, and report them with their uncertainty.

    Try: mfscale fit --law line --x parent_dft_t_energy_mae_mev
    """
    if york or choose:
        _refuse_beside("--york" if york else "--choose", intervals, save, both=york and choose)
        if york:
            _york.print_lines(asked, law.value if law else None, json=json)
        else:
            _choosing.print_choices(asked, law.value if law else None, json=json)
        return
    answers = _fits(asked, law, intervals)
    if save is not None:
        from mfscale.scaling import save_fits

        save_fits([found for fits in answers for found in fits], save)
    if json:
        print_json([found.to_dict() for fits in answers for found in fits])
        return
    for fits in answers:
        _print_fits(fits)


def _refuse_beside(option: str, intervals: How, save: Path | None, *, both: bool) -> None:
    others = {
        "--choose": both,
        "--intervals": intervals != How.auto,
        "--save": save is not None,
    }
    for other, given in others.items():
        if given:
            raise typer.BadParameter(f"{other} does not go with {option}")


def _fits(asked: Asked, law: AnyLaw | None, intervals: How) -> "list[list[Fit]]":
    """The fits of each law asked for."""
    if law is None or law.value not in SEVERAL:
        chosen = None if law is None else LawOfOne(law.value)
        return [fits for _, fits in answers_to(asked, chosen, intervals)]
    return [fits_of_several(asked, law.value, (), intervals)]


def answers_to(
    asked: Asked, law: StrEnum | None, intervals: How = How.auto
) -> "list[tuple[Question, list[Fit]]]":
    """Fit one law of a table, or of a store the one asked for or all that it can answer."""
    if (table := asked.of_table()) is not None:
        question = _analysis.of_table(table, (law or LawOfOne.power).value)
        return [(question, question.fit(asked.level, intervals.kind))]
    from mfscale.scaling import FitError

    if law is None and asked.x is not None:
        law = LawOfOne.line
    frame = asked.rows()
    found, reasons = [], []
    for each in (law,) if law else (LawOfOne.power, LawOfOne.line):
        try:
            question = _analysis.of_store(frame, each.value, asked.target, asked.x)
            found.append((question, question.fit(asked.level, intervals.kind)))
        except FitError as error:
            reasons.append(error)
    if not found:
        raise reasons[0]
    for reason in reasons:
        stderr.print(f"left out: {reason}", soft_wrap=True)
    return found


def _print_fits(fits: "list[Fit]") -> None:
    from mfscale.report import column_label
    from mfscale.scaling import summary

    groups = [found.group for found in fits]
    columns = telling(groups)
    for found in fits:
        one = len(found.axes) == 1
        console.print(
            found.report(
                x_name=column_label(found.x) if one else None,
                y_name=column_label(found.y),
                group_name=named(found.group, columns),
            ),
            soft_wrap=True,
            markup=False,
        )
        console.print()
    if len(fits) > 1:
        table = summary(fits)
        grouped = dict.fromkeys(column for group in groups for column in group)
        own = _SUMMARISED.get(
            fits[0].law, tuple(dict.fromkeys(name for f in fits for name in f.parameters))
        )
        kept = (*grouped, *own, "n_rows", "n_clusters", "warnings")
        title = f"{fits[0].law} laws of {fits[0].y} against {fits[0].x}"
        print_groups(table[list(kept)], groups, title=title)
        console.print()
