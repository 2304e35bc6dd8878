"""A forest plot of exponents or slopes: a row per group with its interval, runs and clusters."""

import textwrap
from collections.abc import Sequence
from math import isnan
from typing import TYPE_CHECKING

import numpy as np

from mfscale.report.errors import ReportError
from mfscale.report.interval import draw_interval
from mfscale.report.naming import (
    column_label,
    is_direct,
    names_of_groups,
    shared_by_groups,
    title_of_groups,
)
from mfscale.report.panel import with_interval
from mfscale.report.style import NEUTRAL, SETTINGS, ordered_colours
from mfscale.scaling import Fit, Parameter, format_percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH_IN = 7.0  # two columns of a journal
_ROW_IN, _TOP_IN, _BOTTOM_IN = 0.17, 0.3, 0.45
_LEFT_IN, _PLOT_IN = 2.6, 2.2
_INTERVAL_IN, _RUNS_IN, _CLUSTERS_IN = _PLOT_IN + 0.08, _PLOT_IN + 1.5, WIDTH_IN - _LEFT_IN - 0.05
_NAME_CHARACTERS = 52
_WIDEST = 3.0  # the axis reaches no farther than so many widths of the middle half beyond it
_PARAMETERS = {"power": ("exponent", "exponent β"), "line": ("slope", "slope b")}


def parameters_by_group(fits: Sequence[Fit]) -> "Figure":
    """Draw the exponents of ``power`` laws, or the slopes of ``line`` ones, group by group.

    Parameters
    ----------
    fits
        Of one law and the same columns.

    Returns
    -------
    Figure
        A row per group, in the order given, those without pre-training first and in grey: the
        estimate with its interval, which ends in an arrow where it leaves the axis, the numbers,
        runs and independent clusters. A group whose rows determine no law has its name and
        numbers alone.

    Raises
    ------
    ReportError
        If there is nothing to draw, or the fits are of several laws or of another one.
    """
    kinds = {(fit.law, fit.x, fit.y, tuple(fit.group)) for fit in fits}
    if len(kinds) != 1 or not {fit.law for fit in fits} <= _PARAMETERS.keys():
        raise ReportError("a forest plot is of fits of one power or line law, by the same groups")
    name, heading = _PARAMETERS[fits[0].law]
    found = {id(fit): fit.parameters[name] for fit in fits}
    if all(isnan(parameter.estimate) for parameter in found.values()):
        raise ReportError(f"no group determines its {name}; there is nothing to draw")
    import matplotlib as mpl  # noqa: PLC0415 - drawing alone needs it
    from matplotlib.figure import Figure  # noqa: PLC0415 - likewise

    ordered = sorted(fits, key=lambda fit: not is_direct(fit.group))
    names = [
        textwrap.wrap(group, _NAME_CHARACTERS) or [group]
        for group in names_of_groups([fit.group for fit in ordered])
    ]
    heights = np.array([max(1, 0.4 + 0.6 * len(lines)) for lines in names])
    places = np.cumsum(heights) - heights / 2
    colours = [NEUTRAL if is_direct(fit.group) else ordered_colours(1)[0] for fit in ordered]
    with mpl.rc_context(SETTINGS):
        columns = title_of_groups([fit.group for fit in ordered])
        title = textwrap.wrap(columns, _NAME_CHARACTERS - 6) or ["law"]
        top_in = _TOP_IN + (len(title) - 1) * _ROW_IN / 2
        height = top_in + heights.sum() * _ROW_IN + _BOTTOM_IN
        figure = Figure(figsize=(WIDTH_IN, height))
        axes = figure.add_axes(
            (
                _LEFT_IN / WIDTH_IN,
                _BOTTOM_IN / height,
                _PLOT_IN / WIDTH_IN,
                heights.sum() * _ROW_IN / height,
            )
        )
        low, high = _limits(list(found.values()))
        axes.set(xlim=(low, high), ylim=(heights.sum(), 0), yticks=[])
        axes.spines["left"].set_visible(False)
        if low <= 0 <= high:
            axes.axvline(0, color=NEUTRAL, linewidth=0.6, zorder=1)
        for fit, place, lines, colour in zip(ordered, places, names, colours, strict=True):
            _draw(axes, float(place), found[id(fit)], colour, lines)
            cells = (with_interval(found[id(fit)]), str(fit.n_rows), str(fit.n_clusters))
            _write(axes, float(place), lines, cells)
        level = format_percent(ordered[0].level)
        shared = shared_by_groups([fit.group for fit in ordered])
        of_all = f" ({shared})" if shared and len(ordered) > 1 else ""
        header = (f"{heading} ({level})", "runs", "independent")
        _write(axes, -top_in / _ROW_IN / 2, title, header, weight="bold")
        axes.set_xlabel(
            f"{heading} of {column_label(ordered[0].y)} against "
            f"{column_label(ordered[0].x)}{of_all}",
            labelpad=2,
            fontsize=7,
        )
    return figure


def _limits(found: Sequence[Parameter]) -> tuple[float, float]:
    """Around the intervals, but no wider than most of the estimates can be told apart."""
    estimates = np.array([p.estimate for p in found if not isnan(p.estimate)])
    ends = np.array([v for p in found for v in (p.low, p.high) if not isnan(v)])
    lower, upper = np.percentile(estimates, (25, 75))
    reach = _WIDEST * max(float(upper - lower), 0.1)
    low = max(min([*estimates, *ends]), float(lower) - reach)
    high = min(max([*estimates, *ends]), float(upper) + reach)
    room = 0.06 * max(high - low, 0.1)
    return low - room, high + room


def _draw(axes: "Axes", place: float, found: Parameter, colour: str, lines: Sequence[str]) -> None:
    draw_interval(
        axes,
        place,
        found.estimate,
        found.low,
        found.high,
        colour=colour,
        name=" ".join(lines),
        filled=not isnan(found.low),
    )


def _write(
    axes: "Axes",
    place: float,
    lines: Sequence[str],
    cells: tuple[str, str, str],
    weight: str = "normal",
) -> None:
    interval, runs, clusters = cells
    for x_in, text, side in (
        (0.1 - _LEFT_IN, "\n".join(lines), "left"),
        (_INTERVAL_IN, interval, "left"),
        (_RUNS_IN, runs, "right"),
        (_CLUSTERS_IN, clusters, "right"),
    ):
        axes.text(
            x_in / _PLOT_IN,
            place,
            text,
            transform=axes.get_yaxis_transform(),
            ha=side,
            va="center",
            fontsize=6,
            linespacing=1.0,
            weight=weight,
        )
