"""Figures of fitted laws: runs and their means, lines with bands, residuals, a table of slopes."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from mfscale.report.errors import ReportError
from mfscale.report.naming import column_label
from mfscale.report.panel import draw_panel, panel_height_in
from mfscale.report.replicates import replicate_means
from mfscale.report.residuals import draw_residuals, set_residual_limits
from mfscale.report.selection import BEYOND, MOST_BANDS, DrawnLaw, drawn_laws
from mfscale.report.slopes import write_slopes
from mfscale.report.style import (
    SETTINGS,
    WIDTH_IN,
    log_ticks,
    minor_log_ticks,
    sizes_as_ticks,
    tick_labels,
)
from mfscale.scaling import Fit

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_AXES_HEIGHT_IN, _TOP_IN, _BOTTOM_IN, _LEFT_IN, _RIGHT_IN = 2.3, 0.08, 0.45, 0.55, 0.1
_TITLE_IN = 0.18  # above panels that have names
_STRIP_IN, _BETWEEN_IN = 0.42, 0.09  # height of the residuals, and what is free above them
_PANEL_IN, _GAP_IN = 2.1, 0.12  # width of one of several panels, and what is left free of it
_MOST_SLOPES = 6  # on lines; more stand in the panel alone
_MARGIN = 10**0.03
_STEEPEST = 1.3  # the factor by which lines may reach beyond the runs, up and down


def error_against_labels(
    frame: pd.DataFrame,
    fits: Sequence[Fit],
    *,
    x: str,
    y: str,
    group: Sequence[str] | str = "pretraining",
    panel: str | None = None,
    held_out: pd.DataFrame | None = None,
    x_label: str | None = None,
    y_label: str | None = None,
) -> "Figure":
    """Draw the error against the number of fine-tuning labels, one line per pre-training.

    Parameters
    ----------
    frame, fits
        The table, and the ``power`` laws fitted to it by group.
    x, y, group
        Columns: labels, error, pre-training (and whatever else parts the groups).
    panel
        One of the columns of `group`: each of its values gets a panel of its own.
    held_out
        Rows that were not fitted, to see what the laws foretell of them: they are crosses, and
        lines reach them.
    x_label, y_label
        Instead of the names that the columns suggest.

    Returns
    -------
    Figure
        Both axes logarithmic. Every run is an open point, the geometric mean of replicates a filled
        one. Solid lines lie inside the data, dashed ones beyond. Bands are the interval of the law,
        left out where they span more than a factor of four, are unknown, or would be more than six;
        with a single law a lighter band is the interval of a new run. Up to six lines bear their
        exponents, where there is room. Below is a strip of every run divided by its law; then the
        exponents with intervals, the numbers of runs and of independent clusters, and every warning
        of the fits, without names if it is true of all, and with a number if of more than four.
        A law that its data did not determine has points and no line.

    Raises
    ------
    ReportError
        If there is nothing to draw, or the fits are of another law, table or columns.
    """
    laws = drawn_laws(frame, fits, "power", x, y, _columns(group), panel, held_out)
    return _figure(laws, "exponent", "exponent β", x_label, y_label)


def fine_tuned_against_pretrained(
    frame: pd.DataFrame,
    fits: Sequence[Fit],
    *,
    x: str,
    y: str,
    group: Sequence[str] | str = "cc_size",
    panel: str | None = None,
    x_label: str | None = None,
    y_label: str | None = None,
) -> "Figure":
    """Draw the fine-tuned against the pre-trained error, one line per fine-tuning size.

    Like `error_against_labels`, but for laws of the kind ``line``.
    """
    laws = drawn_laws(frame, fits, "line", x, y, _columns(group), panel)
    return _figure(laws, "slope", "slope b", x_label, y_label)


def _columns(group: Sequence[str] | str) -> list[str]:
    return [group] if isinstance(group, str) else list(group)


def _figure(
    laws: Sequence[DrawnLaw], parameter: str, heading: str, x_label: str | None, y_label: str | None
) -> "Figure":
    if not any(len(law.x) for law in laws):
        raise ReportError("no row has a usable x and y; there is nothing to draw")
    import matplotlib as mpl  # noqa: PLC0415 - half a second to import; drawing alone needs it
    from matplotlib.figure import Figure  # noqa: PLC0415 - as above

    panels = list(dict.fromkeys(law.panel for law in laws))
    with mpl.rc_context(SETTINGS):
        width = WIDTH_IN if len(panels) == 1 else _LEFT_IN + _RIGHT_IN + len(panels) * _PANEL_IN
        panel_in = panel_height_in(laws, width)
        strip_in = panel_in + _BOTTOM_IN
        axes_in = strip_in + _STRIP_IN + _BETWEEN_IN
        top_in = _TOP_IN if panels == [None] else _TITLE_IN
        height = axes_in + _AXES_HEIGHT_IN + top_in
        figure = Figure(figsize=(width, height))
        room = (width - _LEFT_IN - _RIGHT_IN + _GAP_IN) / len(panels)
        every, strips = [], []
        for i, value in enumerate(panels):
            left, wide = (_LEFT_IN + i * room) / width, (room - _GAP_IN) / width
            axes = figure.add_axes((left, axes_in / height, wide, _AXES_HEIGHT_IN / height))
            strip = figure.add_axes((left, strip_in / height, wide, _STRIP_IN / height))
            every.append(axes)
            strips.append(strip)
            inside = [law for law in laws if law.panel == value]
            _draw_laws(axes, inside, alone=len(laws) == 1)
            draw_residuals(strip, inside)
            strip.set_xlabel(x_label or column_label(laws[0].fit.x), labelpad=2)
            if value is not None:
                axes.set_title(str(value), fontsize=7, pad=2)
        every[0].set_ylabel(y_label or column_label(laws[0].fit.y), labelpad=2)
        strips[0].set_ylabel("run / law", labelpad=2, fontsize=6)
        _set_limits(every, laws)
        set_residual_limits(strips, every)
        for axes in (*every[1:], *strips[1:]):
            axes.yaxis.set_tick_params(labelleft=False)
        if len(panels) == 1 and len(laws) <= _MOST_SLOPES:
            write_slopes(every[0], laws, parameter)
        draw_panel(figure, panel_in, laws, parameter, heading)
    return figure


def _draw_laws(axes: "Axes", laws: Sequence[DrawnLaw], *, alone: bool) -> None:
    axes.set(xscale="log", yscale="log")
    for law in laws:
        _draw_runs(axes, law)
        if law.fit.determined:
            _draw_law(axes, law, alone=alone, banded=len(laws) <= MOST_BANDS)


def _draw_runs(axes: "Axes", law: DrawnLaw) -> None:
    axes.scatter(
        law.x,
        law.y,
        s=11,
        marker=law.marker,
        facecolors="white",
        edgecolors=law.colour,
        linewidths=0.8,
        zorder=3,
        gid=f"runs: {law.name}",
    )
    means = replicate_means(law)
    axes.scatter(
        means[:, 0],
        means[:, 1],
        s=17,
        marker=law.marker,
        color=law.colour,
        linewidths=0,
        alpha=0.75,
        zorder=2.5,
        gid=f"means: {law.name}",
    )
    axes.scatter(
        law.held_out_xy[:, 0],
        law.held_out_xy[:, 1],
        s=13,
        marker="x",
        color=law.colour,
        linewidths=0.8,
        zorder=3,
        gid=f"held out: {law.name}",
    )


def _draw_law(axes: "Axes", law: DrawnLaw, *, alone: bool, banded: bool) -> None:
    fit, colour = law.fit, law.colour
    (low, high), (first, last) = fit.x_range, law.ends
    for a, b, style, kind in (
        (low, high, "-", "law"),
        (first, low, "--", "beyond"),
        (high, last, "--", "beyond"),
    ):
        part = fit.predict([a, b])
        axes.plot(part["x"], part["median"], style, color=colour, gid=f"{kind}: {law.name}")
    if not banded or not law.has_interval() or law.band_is_too_wide():
        return
    whole = fit.predict(np.geomspace(first, last, 90))
    bands = [("mean", 0.16), ("new_run", 0.08)] if alone else [("mean", 0.16)]
    for band, alpha in bands:
        axes.fill_between(
            whole["x"],
            whole[f"{band}_low"],
            whole[f"{band}_high"],
            color=colour,
            alpha=alpha,
            linewidth=0,
            zorder=1,
        )


def _set_limits(every: "Sequence[Axes]", laws: Sequence[DrawnLaw]) -> None:
    """Limits from the runs and lines alone, so that a wide band cannot squeeze them."""
    x = np.concatenate([values for law in laws for values in (law.x, law.held_out_xy[:, 0])])
    lines = [np.asarray(line.get_ydata(), float) for axes in every for line in axes.get_lines()]
    held_out = [law.held_out_xy[:, 1] for law in laws]
    runs = np.concatenate([*(law.y for law in laws), *held_out])
    ends = runs.min() / _STEEPEST, runs.max() * _STEEPEST
    y = np.concatenate([runs, *(np.clip(line, *ends) for line in lines)])
    room = max(float(y.max() / y.min()) ** 0.06, 1.05)
    for axes in every:
        axes.set_xlim(x.min() / BEYOND / _MARGIN, x.max() * BEYOND * _MARGIN)
        axes.set_ylim(y.min() / room, y.max() * room)
        for axis, limits, ticks in (
            (axes.xaxis, axes.get_xlim(), sizes_as_ticks(x.tolist())),
            (axes.yaxis, axes.get_ylim(), None),
        ):
            major = ticks or log_ticks(*limits)
            minor = [tick for tick in minor_log_ticks(*limits) if not np.isclose(tick, major).any()]
            axis.set_ticks(major, tick_labels(major))
            axis.set_ticks(minor, [""] * len(minor), minor=True)
