"""The map of an error over the numbers of labels of two methods, with lines of equal cost."""

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mfscale.report.cautions import cautions_of
from mfscale.report.errors import ReportError
from mfscale.report.mixes import MixedLabels, draw_parts, inside_data, with_names, wrapped
from mfscale.report.naming import column_label, names_of_groups
from mfscale.report.style import (
    NEUTRAL,
    SETTINGS,
    log_ticks,
    minor_log_ticks,
    ordered_colours,
    tick_labels,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_WIDE_IN, _HIGH_IN, _LEFT_IN, _BELOW_IN, _ABOVE_IN = 2.6, 2.3, 0.62, 0.45, 0.3
_NOTE_IN, _MOST_COLUMNS = 0.1, 2
_BEYOND = 10**0.15  # the factor by which the map reaches beyond the data
_POINTS = 41  # along each axis
_UNSURE = 2.0  # highest over lowest of the law's interval, from which on the map is hatched
_CONTOURS = 7
_CHEAPEST = "#D55E00"

Vector = NDArray[np.float64]


def error_over_labels(mixed: Sequence[MixedLabels]) -> "Figure":
    """Draw the law of each group over the labels of its two methods.

    Parameters
    ----------
    mixed
        Groups; those whose law has other than two numbers of labels are left out.

    Returns
    -------
    Figure
        A map for each group: every run a point; contours of the median error, solid inside the
        data and dashed beyond, hatched where the interval of the law spans more than a factor of
        two; dotted lines of equal cost; and the cheapest mixes, as a line through the map. Runs
        without any labels of the first method are counted in the title.

    Raises
    ------
    ReportError
        If no law has two numbers of labels.
    """
    shown = [each for each in mixed if len(each.fit.axes) == 2]
    if not shown:
        raise ReportError("a map needs a law in the labels of two methods; no group has one")
    import matplotlib as mpl  # noqa: PLC0415 - drawing alone needs it
    from matplotlib.figure import Figure  # noqa: PLC0415 - likewise

    columns = min(len(shown), _MOST_COLUMNS)
    lines = -(-len(shown) // columns)
    wide, high = _LEFT_IN + _WIDE_IN + 0.1, _BELOW_IN + _HIGH_IN + _ABOVE_IN
    names = names_of_groups([each.fit.group for each in shown])
    with mpl.rc_context(SETTINGS):
        width = columns * wide
        about = (
            f"Contours: median of {column_label(shown[0].fit.y)}, dashed beyond the data, hatched "
            f"where the law's interval spans more than a factor of {_UNSURE:g}. Dotted: equal "
            "cost. Orange: the cheapest mixes. Points: runs."
        )
        notes = wrapped([about, *cautions_of(with_names(shown, names))], width)
        height = lines * high + len(notes) * _NOTE_IN + 0.1
        figure = Figure(figsize=(width, height))
        for i, (each, name) in enumerate(zip(shown, names, strict=True)):
            left = (i % columns) * wide + _LEFT_IN
            bottom = height - (i // columns + 1) * high + _BELOW_IN
            place = (left / width, bottom / height, _WIDE_IN / width, _HIGH_IN / height)
            _draw_map(figure.add_axes(place), each, name)
        note = "\n".join(notes)
        figure.text(0.1 / width, 0.06 / height, note, fontsize=5.5, color="#333333", va="bottom")
    return figure


def _draw_map(axes: "Axes", mixed: MixedLabels, name: str) -> None:
    axes.set(xscale="log", yscale="log")
    roles, columns = list(mixed.fit.axes), mixed.columns
    x, y = (mixed.rows[c].to_numpy(dtype=float, na_value=0.0) for c in columns)
    some = (x > 0) & (y > 0)
    if not some.any():
        axes.text(0.5, 0.5, "no run has both labels", transform=axes.transAxes, ha="center")
        return
    grids = [
        np.geomspace(v[some].min() / _BEYOND, v[some].max() * _BEYOND, _POINTS) for v in (x, y)
    ]
    across, up = np.meshgrid(*grids)
    predicted = mixed.fit.predict({roles[0]: across.ravel(), roles[1]: up.ravel()})
    median, low, high = (
        predicted[c].to_numpy().reshape(across.shape) for c in ("median", "mean_low", "mean_high")
    )
    inside = (
        (across >= x[some].min() / 1.001)
        & (across <= x[some].max() * 1.001)
        & (up >= y[some].min() / 1.001)
        & (up <= y[some].max() * 1.001)
    )
    levels = np.geomspace(median.min(), median.max(), _CONTOURS + 2)[1:-1]
    levels = np.unique([float(f"{level:.2g}") for level in levels])
    colours = ordered_colours(len(levels))
    for where, style in ((inside, "solid"), (~_shrunk(inside), "dashed")):
        drawn = axes.contour(
            across,
            up,
            np.where(where, median, np.nan),
            levels=levels,
            colors=colours,
            linestyles=style,
            linewidths=1.0,
        )
        if style == "solid":
            axes.clabel(drawn, fmt=lambda level: f"{level:g}", fontsize=6)
    with np.errstate(invalid="ignore"):
        unsure = high / low
    if np.isfinite(unsure).any() and np.nanmax(unsure) > _UNSURE:
        top = float(np.nanmax(unsure)) * 2
        axes.contourf(across, up, unsure, levels=[_UNSURE, top], colors="none", hatches=["...."])
    _draw_costs(axes, mixed, across, up)
    best = list(mixed.mixes.values())[1].frontier
    within = best[(best[columns[0]] > 0) & (best[columns[1]] > 0)]
    draw_parts(
        axes,
        within[columns[0]],
        within[columns[1]],
        inside_data(mixed, within),
        _CHEAPEST,
        f"cheapest: {name}",
    )
    axes.scatter(
        x[some],
        y[some],
        s=9,
        facecolors="white",
        edgecolors="black",
        linewidths=0.6,
        zorder=4,
        gid=f"runs: {name}",
    )
    _finish(axes, mixed, grids)
    left_out = int((~some).sum())
    more = f"\n{left_out} runs without both labels not shown" if left_out else ""
    axes.set_title("\n".join(textwrap.wrap(name, 52)) + more, fontsize=6, pad=3)


def _shrunk(inside: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Without its rim, so that contours beyond begin where those inside end."""
    core = inside.copy()
    core[1:] &= inside[:-1]
    core[:-1] &= inside[1:]
    core[:, 1:] &= inside[:, :-1]
    core[:, :-1] &= inside[:, 1:]
    return core


def _draw_costs(axes: "Axes", mixed: MixedLabels, across: Vector, up: Vector) -> None:
    first, second = (mixed.costs[column] for column in mixed.columns)
    cost = first * across + second * up
    drawn = axes.contour(
        across,
        up,
        cost,
        levels=np.unique(
            [float(f"{c:.1g}") for c in np.geomspace(cost.min(), cost.max(), 6)[1:-1]]
        ),
        colors=NEUTRAL,
        linestyles="dotted",
        linewidths=0.8,
    )
    drawn.set_gid("equal cost")
    from matplotlib.patheffects import withStroke  # noqa: PLC0415 - drawing alone needs it

    for label in axes.clabel(drawn, fmt=lambda level: tick_labels([level])[0], fontsize=5):
        label.set_path_effects([withStroke(linewidth=1.5, foreground="white")])
        label.set_zorder(5)


def _finish(axes: "Axes", mixed: MixedLabels, grids: Sequence[Vector]) -> None:
    for axis, grid in zip((axes.xaxis, axes.yaxis), grids, strict=True):
        limits = float(grid[0]), float(grid[-1])
        major = log_ticks(*limits)
        minor = [tick for tick in minor_log_ticks(*limits) if not np.isclose(tick, major).any()]
        axis.set_ticks(major, tick_labels(major))
        axis.set_ticks(minor, [""] * len(minor), minor=True)
    axes.set_xlim(grids[0][0], grids[0][-1])
    axes.set_ylim(grids[1][0], grids[1][-1])
    axes.set_xlabel(column_label(mixed.columns[0]), labelpad=2)
    axes.set_ylabel(column_label(mixed.columns[1]), labelpad=2)
