"""``fit`` and ``plot``: the laws behind the rows."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mfscale.cli import _analysis
from mfscale.cli._analysis import Question
from mfscale.cli._asked import Asked, LevelOption, TargetOption, add_question
from mfscale.cli._groups import named, print_groups, telling
from mfscale.cli._options import DEFAULT_STORE, JsonOption, StoreOption, StudyOption
from mfscale.cli._output import console, print_json, stderr

if TYPE_CHECKING:
    from mfscale.scaling import Fit, Intervals


class Law(StrEnum):
    """A law that can be drawn."""

    power = "power"
    line = "line"


class LawOfOne(StrEnum):
    """A law of one predictor."""

    power = "power"
    saturating_power = "saturating power"
    line = "line"
    shifted_line = "shifted line"


class How(StrEnum):
    """How intervals are found; the straight lines alone have ``wild``."""

    auto = "auto"
    t = "t"
    wild = "wild"
    percentile = "percentile"
    bca = "bca"

    @property
    def kind(self) -> "Intervals":
        """As a fit takes it."""
        return self.value


LawOption = Annotated[
    Law | None,
    typer.Option(
        "--law", help="power: error against labels; line: fine-tuned against pre-trained."
    ),
]
LawOfOneOption = Annotated[
    LawOfOne | None,
    typer.Option("--law", help="Of error against labels, or of fine-tuned against pre-trained."),
]
IntervalsOption = Annotated[
    How,
    typer.Option(
        "--intervals",
        help="wild: of a power or line law from few clusters, by the wild cluster bootstrap.",
    ),
]


_SUMMARISED = {
    _analysis.POWER: ("exponent", "exponent_low", "exponent_high", "amplitude", "reference"),
    _analysis.LINE: ("slope", "slope_low", "slope_high", "intercept", "r_squared"),
}
"""Columns of the summary that fit on a screen; --json has all."""


def add_to(app: typer.Typer) -> None:
    """Add these commands."""
    add_question(app, fit)
    app.command()(plot)


def fit(
    asked: Asked,
    law: LawOfOneOption = None,
    intervals: IntervalsOption = How.auto,
    json: JsonOption = False,
) -> None:
    """Fit laws to a store, or to any table, and report them with their uncertainty.

    Try: mfscale fit --law line --x parent_dft_t_energy_mae_mev
    """
    answers = answers_to(asked, law, intervals)
    if json:
        print_json([found.to_dict() for _, fits in answers for found in fits])
        return
    for question, fits in answers:
        _print_fits(question, fits)


def plot(
    store: StoreOption = DEFAULT_STORE,
    study: StudyOption = None,
    law: LawOption = None,
    target: TargetOption = "cc",
    out: Annotated[Path, typer.Option("--out", help="Folder of the figures.")] = Path("figures"),
    forest: Annotated[
        bool,
        typer.Option("--forest", help="Exponents and slopes of all groups with their intervals."),
    ] = False,
    hold_out: Annotated[
        bool,
        typer.Option(
            "--hold-out", help="Power laws without the most labels of each group, and those runs."
        ),
    ] = False,
    mixes: Annotated[
        bool,
        typer.Option("--mixes", help="Cost against error of mixes, and error over two methods."),
    ] = False,
    cost: Annotated[
        list[str] | None,
        typer.Option("--cost", metavar="NAME=COST", help="With --mixes: cost of a label."),
    ] = None,
    level: LevelOption = 0.95,
    json: JsonOption = False,
) -> None:
    """Draw error against labels, and fine-tuned against pre-trained error, as PNG and PDF.

    With --forest, draw their exponents and slopes group by group instead; with --hold-out, power
    laws and the runs of most labels, which they were not fitted to; with --mixes, what the labels
    for an error cost, and the error over the numbers of labels of two methods.
    """
    if cost and not mixes:
        raise typer.BadParameter("--cost goes with --mixes")
    if hold_out:
        written = _draw_held_out(store, study, target, level, out)
    elif mixes:
        from mfscale.cli import _mix_figures, _mixing

        costs = _mixing.read_pairs("--cost", cost or [])
        written = _mix_figures.draw_mixes(store, study, target, costs, level, out)
    else:
        written = _draw_laws(answers_of(law, store, study, target, level), out, forest=forest)
    if json:
        print_json([str(path) for path in written])
        return
    for path in written:
        console.print(str(path), soft_wrap=True)


def answers_of(
    law: Law | None, store: Path, study: Path | None, target: str, level: float
) -> "list[tuple[Question, list[Fit]]]":
    """Fit the law of a store that is asked for, or all that it can answer."""
    return answers_to(Asked(store=store, study=study, target=target, level=level), law)


def answers_to(
    asked: Asked, law: StrEnum | None, intervals: How = How.auto
) -> "list[tuple[Question, list[Fit]]]":
    """Fit one law of a table, or of a store the one asked for or all that it can answer."""
    if (table := asked.of_table()) is not None:
        question = _analysis.of_table(table, (law or Law.power).value)
        return [(question, question.fit(asked.level, intervals.kind))]
    from mfscale.scaling import FitError

    if law is None and asked.x is not None:
        law = Law.line
    frame = asked.rows()
    found, reasons = [], []
    for each in (law,) if law else Law:
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


def _print_fits(question: Question, fits: "list[Fit]") -> None:
    from mfscale.report import column_label
    from mfscale.scaling import summary

    groups = [found.group for found in fits]
    columns = telling(groups)
    for found in fits:
        console.print(
            found.report(
                x_name=column_label(found.x),
                y_name=column_label(found.y),
                group_name=named(found.group, columns),
            ),
            soft_wrap=True,
            markup=False,
        )
        console.print()
    if len(fits) > 1:
        table = summary(fits)
        own = _SUMMARISED.get(question.law, tuple(fits[0].parameters))
        kept = (*question.group, *own, "n_rows", "n_clusters", "warnings")
        title = f"{question.law} laws of {question.y} against {question.x}"
        print_groups(table[list(kept)], groups, title=title)
        console.print()


def _draw_laws(
    answers: "list[tuple[Question, list[Fit]]]", out: Path, *, forest: bool
) -> list[Path]:
    from mfscale.report import (
        error_against_labels,
        fine_tuned_against_pretrained,
        parameters_by_group,
        save,
    )

    draw = {_analysis.POWER: error_against_labels, _analysis.LINE: fine_tuned_against_pretrained}
    names = {
        _analysis.POWER: "error-against-labels",
        _analysis.LINE: "fine-tuned-against-pretrained",
    }
    written: list[Path] = []
    for question, fits in answers:
        if forest:
            written += save(parameters_by_group(fits), out / f"forest-{names[question.law]}")
            continue
        figure = draw[question.law](
            question.frame,
            fits,
            x=question.x,
            y=question.y,
            group=list(question.group),
            panel="architecture" if "architecture" in question.group else None,
        )
        written += save(figure, out / names[question.law])
    return written


def _draw_held_out(
    store: Path, study: Path | None, target: str, level: float, out: Path
) -> list[Path]:
    """Draw power laws of all but the most labels of each group, and the runs of these."""
    from mfscale.cli._held_out import hold_out
    from mfscale.cli._tuned import law_rows
    from mfscale.report import error_against_labels, save
    from mfscale.results import Store

    asked = _analysis.of_store(law_rows(Store(store), study), _analysis.POWER, target)
    rest, held_out, note = hold_out(asked)
    figure = error_against_labels(
        rest.frame,
        rest.fit(level),
        x=asked.x,
        y=asked.y,
        group=list(asked.group),
        panel="architecture" if "architecture" in asked.group else None,
        held_out=held_out,
    )
    if note:
        stderr.print(f"left out: {note}", soft_wrap=True)
    return list(save(figure, out / "held-out"))
