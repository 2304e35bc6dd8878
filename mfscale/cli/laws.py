"""``fit``, ``predict`` and ``plot``: the laws behind the rows."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mfscale.cli import _analysis
from mfscale.cli._analysis import Question, Table
from mfscale.cli._options import DEFAULT_STORE, JsonOption, StoreOption, StudyOption
from mfscale.cli._output import console, print_frame, print_json, stderr
from mfscale.cli._warned import gathered, print_warnings

if TYPE_CHECKING:
    from mfscale.scaling import Fit


class Law(StrEnum):
    """A law that can be asked for."""

    power = "power"
    line = "line"


LawOption = Annotated[
    Law | None,
    typer.Option(
        "--law", help="power: error against labels; line: fine-tuned against pre-trained."
    ),
]
TargetOption = Annotated[str, typer.Option("--target", help="Head whose test error is meant.")]
TableOption = Annotated[
    Path | None, typer.Option("--table", help="A CSV or Parquet file instead of the store.")
]
XOption = Annotated[str | None, typer.Option("--x", help="Column of the table.")]
YOption = Annotated[str | None, typer.Option("--y", help="Column of the table.")]
GroupOption = Annotated[
    str | None, typer.Option("--group", help="Column or columns: a law for each group.")
]
ClusterOption = Annotated[
    str | None,
    typer.Option("--cluster", help="Column of the unit of replication, e.g. the checkpoint."),
]
LevelOption = Annotated[float, typer.Option("--level", help="Of the intervals.")]


_SUMMARISED = {
    _analysis.POWER: ("exponent", "exponent_low", "exponent_high", "amplitude", "reference"),
    _analysis.LINE: ("slope", "slope_low", "slope_high", "intercept", "r_squared"),
}
"""Columns of the summary that fit on a screen; --json has all."""


def add_to(app: typer.Typer) -> None:
    """Add these commands."""
    app.command()(fit)
    app.command()(predict)
    app.command()(plot)


def fit(
    store: StoreOption = DEFAULT_STORE,
    study: StudyOption = None,
    law: LawOption = None,
    target: TargetOption = "cc",
    table: TableOption = None,
    x: XOption = None,
    y: YOption = None,
    group: GroupOption = None,
    cluster: ClusterOption = None,
    level: LevelOption = 0.95,
    json: JsonOption = False,
) -> None:
    """Fit laws to a store, or to any table, and report them with their uncertainty."""
    asked = table_asked(table, x, y, group, cluster)
    answers = answers_of(law, store, study, target, level, asked)
    if json:
        print_json([found.to_dict() for _, fits in answers for found in fits])
        return
    for question, fits in answers:
        _print_fits(question, fits)


def predict(
    at: Annotated[list[float], typer.Option("--at", help="Where to predict; may be repeated.")],
    store: StoreOption = DEFAULT_STORE,
    study: StudyOption = None,
    law: LawOption = None,
    target: TargetOption = "cc",
    table: TableOption = None,
    x: XOption = None,
    y: YOption = None,
    group: GroupOption = None,
    cluster: ClusterOption = None,
    level: LevelOption = 0.95,
    json: JsonOption = False,
) -> None:
    """Predict the error at given labels (power) or pre-trained error (line), with intervals.

    Try: mfscale predict --at 1000
    """
    asked = table_asked(table, x, y, group, cluster)
    ((question, fits),) = answers_of(law or Law.power, store, study, target, level, asked)
    import pandas as pd

    parts, warned = [], []
    for found in fits:
        if not found.determined:
            warned.append((found.group, found.warnings))
            continue
        predicted = found.predict(at)
        for position, (name, value) in enumerate(found.group.items()):
            predicted.insert(position, name, value)
        parts.append(predicted)
        warned.append((found.group, found.warnings_at(at)))
    frame = pd.concat(parts, ignore_index=True)
    if json:
        print_json({"predictions": frame.to_dict(orient="records"), "warnings": gathered(warned)})
        return
    print_frame(frame.rename(columns={"x": question.x}), title=question.y)
    print_warnings(warned)


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


def table_asked(
    path: Path | None, x: str | None, y: str | None, group: str | None, cluster: str | None
) -> Table | None:
    """The table asked for; None for a store, whose columns are not for choosing."""
    if path is not None:
        return Table(path, x, y, group, cluster)
    if any((x, y, group, cluster)):
        raise typer.BadParameter("--x, --y, --group and --cluster go with --table")
    return None


def answers_of(
    law: StrEnum | None,
    store: Path,
    study: Path | None,
    target: str,
    level: float,
    table: Table | None = None,
) -> "list[tuple[Question, list[Fit]]]":
    """Fit one law of a table, or of a store the one asked for or all that it can answer."""
    if table is not None:
        question = _analysis.of_table(table, (law or Law.power).value)
        return [(question, question.fit(level))]
    from mfscale.cli.results import study_rows
    from mfscale.results import Store
    from mfscale.scaling import FitError

    frame = study_rows(Store(store), study)
    found, reasons = [], []
    for each in (law,) if law else Law:
        try:
            question = _analysis.of_store(frame, each.value, target)
            found.append((question, question.fit(level)))
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

    for found in fits:
        console.print(
            found.report(x_name=column_label(found.x), y_name=column_label(found.y)),
            soft_wrap=True,
            markup=False,
        )
        console.print()
    if len(fits) > 1:
        table = summary(fits)
        kept = (*question.group, *_SUMMARISED[question.law], "n_rows", "n_clusters", "warnings")
        title = f"{question.law} laws of {question.y} against {question.x}"
        print_frame(table[list(kept)], title=title)
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
    from dataclasses import replace

    from mfscale.cli.results import study_rows
    from mfscale.report import ReportError, error_against_labels, save
    from mfscale.results import Store

    asked = _analysis.of_store(study_rows(Store(store), study), _analysis.POWER, target)
    sizes = asked.frame.groupby(list(asked.group), dropna=False)[asked.x]
    enough = sizes.transform("nunique") > 2
    held_out = enough & (asked.frame[asked.x] == sizes.transform("max"))
    if not held_out.any():
        raise ReportError("no group has three numbers of labels, of which one can be held out")
    rest = replace(asked, frame=asked.frame[enough & ~held_out])
    figure = error_against_labels(
        rest.frame,
        rest.fit(level),
        x=asked.x,
        y=asked.y,
        group=list(asked.group),
        panel="architecture" if "architecture" in asked.group else None,
        held_out=asked.frame[held_out],
    )
    return list(save(figure, out / "held-out"))
