"""``fit --york``: the line between two errors that are both noisy, beside that of least squares."""

from dataclasses import asdict, replace
from typing import TYPE_CHECKING

from mfscale.cli._analysis import LINE
from mfscale.cli._asked import Asked
from mfscale.cli._groups import named, print_groups, telling
from mfscale.cli._output import console, print_json
from mfscale.cli._warned import gathered, print_warnings

if TYPE_CHECKING:
    from mfscale.cli._warned import Warned
    from mfscale.scaling import Fit, YorkLine

    Pair = tuple[YorkLine, Fit]


def print_lines(asked: Asked, law: str | None, *, json: bool) -> None:
    """York's line of each group of settings, and least squares of its runs."""
    from mfscale.scaling import FitError

    if law not in (None, LINE):
        raise FitError(f"--york is of a line; leave --law {law} out")
    pairs, left_out = _lines(asked)
    warned = [*((line.group, line.warnings) for line, _ in pairs), *left_out]
    if json:
        lines = [_plain(line, fit) for line, fit in pairs]
        print_json({"lines": lines, "warnings": gathered(warned)})
        return
    groups = [line.group for line, _ in pairs]
    columns = telling(groups)
    for line, fit in pairs:
        _print_line(line, fit, columns)
    if len(pairs) > 1:
        _print_summary(pairs)
    print_warnings(warned)


def _lines(asked: Asked) -> "tuple[list[Pair], Warned]":
    from mfscale.scaling import FitError, FitWarning, york_lines

    question = asked.question(LINE)
    if not question.replicate:
        raise FitError(
            "--york takes the noise from replicates: name with --replicate the column of a table "
            "whose equal values differ by chance alone, such as the pre-training"
        )
    pairs, left_out = [], []
    for fit in question.fit(asked.level):
        try:
            (line,) = york_lines(
                question.rows_of(fit),
                x=question.x,
                y=question.y,
                replicate=question.replicate,
                cluster=question.cluster,
                level=asked.level,
            )
        except FitError as error:
            left_out.append((fit.group, [FitWarning("left-out", str(error))]))
            continue
        extra = [w for w in fit.warnings if w.code in _OF_ROWS]
        warnings = (*line.warnings, *extra)
        pairs.append((replace(line, group=fit.group, warnings=warnings), fit))
    if not pairs:
        reasons = dict.fromkeys(w.message for _, warnings in left_out for w in warnings)
        raise FitError("no group has York's line: " + next(iter(reasons)))
    return pairs, left_out


_OF_ROWS = ("one-draw", "unconverged")
"""Warnings of the rows, whatever is fitted to them."""


def _plain(line: "YorkLine", fit: "Fit") -> dict[str, object]:
    slope = fit.parameters["slope"]
    runs = {"slope": slope.estimate, "low": slope.low, "high": slope.high, "n_rows": fit.n_rows}
    return {**asdict(line), "least_squares_of_runs": runs}


def _print_line(line: "YorkLine", fit: "Fit", columns: list[str]) -> None:
    from mfscale.scaling import format_interval, format_number

    slope = fit.parameters["slope"]
    told = replace(line, group={}, warnings=())
    heading = f"{named(line.group, columns)}:\n" if line.group else ""
    console.print(f"{heading}{told}", soft_wrap=True)
    console.print(
        f"  runs         least squares of the {fit.n_rows} runs themselves has slope "
        f"{format_number(slope.estimate, 4)} ({format_interval(slope.low, slope.high)}): to "
        "foretell y from an observed x\n",
        soft_wrap=True,
    )


def _print_summary(pairs: "list[Pair]") -> None:
    import pandas as pd

    columns = ("slope", "low", "high", "reliability", "ols_slope", "p_value", "n_points")
    rows = [
        {
            **line.group,
            **{column: getattr(line, column) for column in columns},
            "slope_of_runs": fit.parameters["slope"].estimate,
        }
        for line, fit in pairs
    ]
    first = pairs[0][0]
    title = f"York's lines of {first.y} against {first.x}"
    print_groups(pd.DataFrame(rows), [line.group for line, _ in pairs], title=title)
    console.print()
