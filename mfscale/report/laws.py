"""Figures of fitted laws: every run a point, each law a line with its band, a table of slopes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from mfscale.report.errors import ReportError
from mfscale.report.naming import column_name, group_names
from mfscale.report.panel import Entry, draw_table, table_height_in
from mfscale.report.style import (
    MARKERS,
    NEUTRAL,
    SETTINGS,
    WIDTH_IN,
    log_ticks,
    ordered_colours,
    tick_labels,
)
from mfscale.scaling import Fit

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_AXES_HEIGHT_IN, _TOP_IN, _BOTTOM_IN, _LEFT_IN, _RIGHT_IN = 2.3, 0.08, 0.45, 0.55, 0.1
_BEYOND_DECADES = 0.12  # how far a law is drawn, dashed, beyond its data


class _Style(NamedTuple):
    colour: str
    marker: str


def error_against_labels(
    frame: pd.DataFrame,
    fits: Sequence[Fit],
    *,
    x: str,
    y: str,
    group: str,
    x_label: str | None = None,
    y_label: str | None = None,
) -> "Figure":
    """Draw the error against the number of fine-tuning labels, one line per pre-training.

    Parameters
    ----------
    frame, fits
        The table, and the power laws fitted to it by group.
    x, y, group
        Columns: labels, error, pre-training.
    x_label, y_label
        Instead of the names that the columns suggest.

    Returns
    -------
    Figure
        Both axes logarithmic. Solid lines lie inside the data, dashed ones beyond; bands are the
        interval of the law, and with a single law the lighter band is that of a new run. Below
        are the exponents with intervals, numbers of runs and checkpoints, and all warnings.

    Raises
    ------
    ReportError
        If there is nothing to draw, or the laws were fitted to something else.
    """
    return _laws(_Request(frame, fits, x, y, group), "exponent β", "exponent", x_label, y_label)


def fine_tuned_against_pretrained(
    frame: pd.DataFrame,
    fits: Sequence[Fit],
    *,
    x: str,
    y: str,
    group: str,
    x_label: str | None = None,
    y_label: str | None = None,
) -> "Figure":
    """Draw the fine-tuned against the pre-trained error, one line per fine-tuning size.

    Like `error_against_labels`, for the log-log lines of the law ``line``.
    """
    return _laws(_Request(frame, fits, x, y, group), "slope b", "slope", x_label, y_label)


@dataclass(frozen=True)
class _Request:
    """What to draw, checked: fits of these columns, in the order and under the names shown."""

    frame: pd.DataFrame
    fits: Sequence[Fit]
    x: str
    y: str
    group: str

    def __post_init__(self) -> None:
        if not self.fits:
            raise ReportError("there is no fitted law to draw; fit one first")
        for column in (self.x, self.y, self.group):
            if column not in self.frame.columns:
                raise ReportError(f"the table has no column {column!r}")
        for fit in self.fits:
            if (fit.x, fit.y, tuple(fit.group)) != (self.x, self.y, (self.group,)):
                raise ReportError(
                    f"the laws are of {fit.y} against {fit.x} by {', '.join(fit.group) or 'nothing'}, "
                    f"the figure of {self.y} against {self.x} by {self.group}; fit those columns"
                )

    def ordered(self) -> list[Fit]:
        """Fits in the order shown: the group without pre-training first."""
        return sorted(self.fits, key=lambda fit: fit.group[self.group] != "none")

    def points(self, fit: Fit) -> pd.DataFrame:
        """The rows that `fit` rests on, as columns x and y."""
        value = fit.group[self.group]
        column = self.frame[self.group]
        rows = self.frame[column.isna() if value is None else column == value]
        points = pd.DataFrame({"x": rows[self.x], "y": rows[self.y]}).astype(float)
        usable = (np.isfinite(points) & (points > 0)).all(axis=1)
        if fit.cluster is not None:
            usable &= rows[fit.cluster].notna()
        if int(usable.sum()) != fit.n_rows:
            raise ReportError(
                f"the law of {self.group} = {value} rests on {fit.n_rows} rows, the table has "
                f"{int(usable.sum())}; fit the table that is drawn"
            )
        return points[usable]


def _laws(
    request: _Request, heading: str, parameter: str, x_label: str | None, y_label: str | None
) -> "Figure":
    import matplotlib as mpl  # noqa: PLC0415 - drawing alone needs it
    from matplotlib.figure import Figure  # noqa: PLC0415

    fits = request.ordered()
    names = group_names(request.group, [fit.group[request.group] for fit in fits])
    styles = _styles(fits, request.group)
    entries = [
        Entry.of(fit, name, parameter, style.colour, style.marker)
        for fit, name, style in zip(fits, names, styles, strict=True)
    ]
    with mpl.rc_context(SETTINGS):
        table_in = table_height_in(entries, fits)
        height = _TOP_IN + _AXES_HEIGHT_IN + _BOTTOM_IN + table_in
        figure = Figure(figsize=(WIDTH_IN, height))
        axes = figure.add_axes(
            (
                _LEFT_IN / WIDTH_IN,
                (table_in + _BOTTOM_IN) / height,
                1 - (_LEFT_IN + _RIGHT_IN) / WIDTH_IN,
                _AXES_HEIGHT_IN / height,
            )
        )
        axes.set(xscale="log", yscale="log")
        for fit, name, style in zip(fits, names, styles, strict=True):
            _draw(axes, fit, request.points(fit), name, style, alone=len(fits) == 1)
        _finish(axes, [request.points(fit) for fit in fits])
        axes.set_xlabel(x_label or column_name(request.x), labelpad=2)
        axes.set_ylabel(y_label or column_name(request.y), labelpad=2)
        titles = (column_name(request.group), heading)
        draw_table(figure, table_in, titles, entries, fits)
    return figure


def _styles(fits: Sequence[Fit], group: str) -> list[_Style]:
    colours = iter(ordered_colours(sum(fit.group[group] != "none" for fit in fits)))
    return [
        _Style(NEUTRAL if fit.group[group] == "none" else next(colours), MARKERS[i % len(MARKERS)])
        for i, fit in enumerate(fits)
    ]


def _draw(
    axes: "Axes", fit: Fit, points: pd.DataFrame, name: str, style: _Style, *, alone: bool
) -> None:
    axes.scatter(
        points["x"],
        points["y"],
        s=11,
        marker=style.marker,
        facecolors="white",
        edgecolors=style.colour,
        linewidths=0.8,
        zorder=3,
        label=name,
        gid=f"runs {name}",
    )
    if np.isnan(fit.line.slope):
        return
    low, high = fit.x_range
    reach = 10**_BEYOND_DECADES
    inside = fit.predict(np.geomspace(low, high, 60))
    below, above = fit.predict([low / reach, low]), fit.predict([high, high * reach])
    axes.plot(inside["x"], inside["median"], color=style.colour, gid=f"law {name}")
    for beyond in (below, above):
        axes.plot(
            beyond["x"], beyond["median"], "--", color=style.colour, gid=f"extrapolation {name}"
        )
    whole = fit.predict(np.geomspace(low / reach, high * reach, 90))
    band = {"color": style.colour, "linewidth": 0, "zorder": 1}
    axes.fill_between(whole["x"], whole["mean_low"], whole["mean_high"], alpha=0.16, **band)
    if alone:
        axes.fill_between(
            whole["x"], whole["new_run_low"], whole["new_run_high"], alpha=0.08, **band
        )


def _finish(axes: "Axes", points: list[pd.DataFrame]) -> None:
    """Limits from the runs and lines, so that a wide band cannot squeeze them; plain ticks."""
    drawn = pd.concat(points)
    if drawn.empty:
        raise ReportError("no row has a usable x and y; there is nothing to draw")
    lines = [line.get_ydata() for line in axes.get_lines()]
    heights = np.concatenate([drawn["y"].to_numpy(), *(np.asarray(line, float) for line in lines)])
    low, high = float(np.min(heights)), float(np.max(heights))
    margin = max((high / low) ** 0.06, 1.05)
    axes.set_ylim(low / margin, high * margin)
    widest = 10 ** (_BEYOND_DECADES + 0.03)
    axes.set_xlim(float(drawn["x"].min()) / widest, float(drawn["x"].max()) * widest)
    for axis, limits in ((axes.xaxis, axes.get_xlim()), (axes.yaxis, axes.get_ylim())):
        ticks = log_ticks(*limits)
        axis.set_ticks(ticks, tick_labels(ticks))
        axis.set_ticks([], minor=True)
