"""``plot``: the laws behind the rows, as figures for print."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mfscale.cli import _analysis
from mfscale.cli._analysis import Question
from mfscale.cli._asked import Asked, add_question
from mfscale.cli._options import JsonOption
from mfscale.cli._output import console, print_json, stderr
from mfscale.cli.laws import answers_to

if TYPE_CHECKING:
    from mfscale.scaling import Fit


class Law(StrEnum):
    """A law that can be drawn."""

    power = "power"
    line = "line"


LawOption = Annotated[
    Law | None,
    typer.Option(
        "--law", help="power: error against labels; line: fine-tuned against pre-trained."
    ),
]


def add_to(app: typer.Typer) -> None:
    """Add this command."""
    add_question(app, plot)


def plot(
    asked: Asked,
    law: LawOption = None,
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
    json: JsonOption = False,
) -> None:
    """Draw error against labels, and fine-tuned against pre-trained error, as PNG and PDF.

    With --forest, draw their exponents and slopes group by group instead; with --hold-out, power
    laws and the runs of most labels, which they were not fitted to; with --mixes, what the labels
    for an error cost, and the error over the numbers of labels of two methods.

    Try: mfscale plot --where architecture=nequip
    """
    if cost and not mixes:
        raise typer.BadParameter("--cost goes with --mixes")
    if hold_out:
        written = _draw_held_out(asked, out)
    elif mixes:
        from mfscale.cli import _mix_figures, _mixing

        costs = _mixing.read_pairs("--cost", cost or [])
        written = _mix_figures.draw_mixes(_mixing.asked_for(asked), costs, asked.level, out)
    else:
        written = _draw_laws(answers_to(asked, law), out, forest=forest)
    if json:
        print_json([str(path) for path in written])
        return
    for path in written:
        console.print(str(path), soft_wrap=True)


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


def _draw_held_out(asked: Asked, out: Path) -> list[Path]:
    """Draw power laws of all but the most labels of each group, and the runs of these."""
    from mfscale.cli._held_out import hold_out
    from mfscale.report import ReportError, error_against_labels, save

    question = asked.question(_analysis.POWER)
    if not question.group:
        raise ReportError("--hold-out takes groups: name their columns with --group")
    rest, held_out, note = hold_out(question)
    figure = error_against_labels(
        rest.frame,
        rest.fit(asked.level),
        x=question.x,
        y=question.y,
        group=list(question.group),
        panel="architecture" if "architecture" in question.group else None,
        held_out=held_out,
    )
    if note:
        stderr.print(f"left out: {note}", soft_wrap=True)
    return list(save(figure, out / "held-out"))
