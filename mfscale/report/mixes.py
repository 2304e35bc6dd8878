"""Figures of mixes of labels: what an error costs, and the error over the numbers of labels."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mfscale.report.errors import ReportError
from mfscale.report.naming import column_label, names_of_groups, shared_by_groups
from mfscale.report.style import (
    MARKERS,
    SETTINGS,
    WIDTH_IN,
    log_ticks,
    minor_log_ticks,
    ordered_colours,
    tick_labels,
)
from mfscale.scaling import Fit, Mix, format_percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_HEIGHT_IN, _LEFT_IN, _BOTTOM_IN, _TOP_IN, _RIGHT_IN = 2.3, 0.55, 0.42, 0.08, 0.25
_ROW_IN, _NOTE_IN = 0.135, 0.11
_ROOM = 1.5  # the factor by which errors are shown beyond those of runs
MARKER_SIGNS = {"o": "●", "s": "■", "D": "◆", "^": "▲", "v": "▼", "P": "✚", "X": "✖"}


@dataclass(frozen=True, kw_only=True)
class MixedLabels:
    """The law of a mix of methods, and the cheapest mixes that follow from it.

    Attributes
    ----------
    fit
        A law in several numbers of labels.
    rows
        The rows that it was fitted to.
    costs
        Column → cost of a label.
    mixes
        Probability → answer, whose frontier holds with it; three of them, in rising order: the
        middle one is drawn as the line, the outer ones as its band.
    """

    fit: Fit
    rows: pd.DataFrame = field(repr=False)
    costs: Mapping[str, float]
    mixes: Mapping[float, Mix] = field(repr=False)

    @property
    def columns(self) -> list[str]:
        """Columns of the numbers of labels, in the order of the law's predictors."""
        return [axis.column for axis in self.fit.axes.values()]

    def spent(self) -> NDArray[np.float64]:
        """What the labels of each run cost, shape ``(n,)``."""
        parts = [self.costs[c] * _numbers(self.rows, c) for c in self.columns]
        return np.asarray(np.sum(parts, axis=0))


def cost_against_error(mixed: Sequence[MixedLabels]) -> "Figure":
    """Draw what the labels for an error cost, with the cheapest mix at each error.

    Parameters
    ----------
    mixed
        One for each group of runs.

    Returns
    -------
    Figure
        Every run a point at the cost of its labels; for each group the frontier that is reached
        with the middle probability, solid inside the data and dashed beyond, and a band between
        those of the lowest and of the highest: mixes to the right of the band are the safe ones.

    Raises
    ------
    ReportError
        If no group has a frontier.
    """
    shown = [each for each in mixed if all(len(m.frontier) > 1 for m in each.mixes.values())]
    if not shown:
        raise ReportError("no group of runs has a frontier of cost against error to draw")
    import matplotlib as mpl  # noqa: PLC0415 - drawing alone needs it
    from matplotlib.figure import Figure  # noqa: PLC0415 - likewise

    names = names_of_groups([each.fit.group for each in shown])
    colours = ordered_colours(len(shown))
    with mpl.rc_context(SETTINGS):
        list_in = (len(shown) + 1) * _ROW_IN + 3 * _NOTE_IN
        height = _HEIGHT_IN + _TOP_IN + _BOTTOM_IN + list_in
        figure = Figure(figsize=(WIDTH_IN, height))
        axes = figure.add_axes(
            (
                _LEFT_IN / WIDTH_IN,
                (list_in + _BOTTOM_IN) / height,
                1 - (_LEFT_IN + _RIGHT_IN) / WIDTH_IN,
                _HEIGHT_IN / height,
            )
        )
        axes.set(xscale="log", yscale="log")
        for i, (each, name, colour) in enumerate(zip(shown, names, colours, strict=True)):
            _draw_frontier(axes, each, name, colour, MARKERS[i % len(MARKERS)])
        _set_limits(axes, shown)
        _ticks(axes)
        axes.set_xlabel("cost of all labels (relative)", labelpad=2)
        axes.set_ylabel(column_label(shown[0].fit.y), labelpad=2)
        low, _, high = (format_percent(p) for p in shown[0].mixes)
        y = list_in / height
        for i, (name, colour) in enumerate(zip(names, colours, strict=True)):
            y = (list_in - (i + 0.6) * _ROW_IN) / height
            figure.text(0.03, y, MARKER_SIGNS[MARKERS[i % len(MARKERS)]], color=colour, va="center")
            figure.text(0.09, y, name, fontsize=6.5, va="center")
        note = (
            "Lines: the cheapest mixes by the law, dashed beyond the data. Bands: from\n"
            f"{low} to {high} probability that the median of runs lies below the error."
        )
        shared = shared_by_groups([each.fit.group for each in shown]) if len(shown) > 1 else ""
        note += f"\nAll runs: {shared}." if shared else ""
        figure.text(0.03, y - _ROW_IN / height, note, fontsize=5.5, color="#333333", va="top")
    return figure


def _draw_frontier(axes: "Axes", mixed: MixedLabels, name: str, colour: str, marker: str) -> None:
    error = _numbers(mixed.rows, mixed.fit.y)
    axes.scatter(
        mixed.spent(),
        error,
        s=7,
        marker=marker,
        facecolors="none",
        edgecolors=colour,
        linewidths=0.5,
        alpha=0.6,
        zorder=2,
        gid=f"runs: {name}",
    )
    likely, best, sure = (mix.frontier for mix in mixed.mixes.values())
    draw_parts(
        axes, best["cost"], best["error"], inside_data(mixed, best), colour, f"frontier: {name}"
    )
    # The band between two curves of cost over error, where both are known.
    low = max(frontier["error"].min() for frontier in (likely, sure))
    high = min(frontier["error"].max() for frontier in (likely, sure))
    if low < high:
        errors = np.geomspace(low, high, 60)
        axes.fill_betweenx(
            errors,
            _cost_at(likely, errors),
            _cost_at(sure, errors),
            color=colour,
            alpha=0.14,
            linewidth=0,
            zorder=1,
            gid=f"band: {name}",
        )


def inside_data(mixed: MixedLabels, frontier: pd.DataFrame) -> NDArray[np.bool_]:
    """Which mixes of a frontier lie within the numbers of labels that were trained on."""
    far = mixed.fit.predict(frontier[mixed.columns])["decades_from_data"]
    return np.asarray(far == 0)


def draw_parts(
    axes: "Axes",
    x: "pd.Series[float]",
    y: "pd.Series[float]",
    inside: NDArray[np.bool_],
    colour: str,
    name: str,
) -> None:
    """Draw a line, dashed but where it lies inside the data."""
    axes.plot(x, y, "--", color=colour, linewidth=0.9, zorder=3, gid=f"{name}, beyond")
    axes.plot(x.where(inside), y.where(inside), color=colour, zorder=3, gid=name)


def _set_limits(axes: "Axes", mixed: Sequence[MixedLabels]) -> None:
    """Around the runs, and as far along the frontiers as their errors reach."""
    errors = np.concatenate([_numbers(each.rows, each.fit.y) for each in mixed])
    low, high = float(np.nanmin(errors)) / _ROOM, float(np.nanmax(errors)) * _ROOM
    costs = [each.spent() for each in mixed]
    for each in mixed:
        for mix in each.mixes.values():
            shown = mix.frontier["error"].between(low, high)
            costs.append(mix.frontier.loc[shown, "cost"].to_numpy(dtype=float))
    every = np.concatenate(costs)
    axes.set(ylim=(low, high), xlim=(every[every > 0].min() / 1.2, every.max() * 1.2))


def _cost_at(frontier: pd.DataFrame, errors: NDArray[np.float64]) -> NDArray[np.float64]:
    rising = frontier.sort_values("error")
    found = np.interp(np.log(errors), np.log(rising["error"]), np.log(rising["cost"]))
    return np.asarray(np.exp(found))


def _ticks(axes: "Axes") -> None:
    for axis, limits in ((axes.xaxis, axes.get_xlim()), (axes.yaxis, axes.get_ylim())):
        major = log_ticks(*limits)
        if len(major) > 6:
            major = [tick for tick in major if f"{tick:e}".startswith("1.0")]
        minor = [tick for tick in minor_log_ticks(*limits) if not np.isclose(tick, major).any()]
        axis.set_ticks(major, tick_labels(major))
        axis.set_ticks(minor, [""] * len(minor), minor=True)


def _numbers(rows: pd.DataFrame, column: str) -> NDArray[np.float64]:
    return np.asarray(rows[column].to_numpy(dtype=float, na_value=0.0))
