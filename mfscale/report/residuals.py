"""The strip below a figure of laws: every run divided by its law."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from mfscale.report.selection import DrawnLaw
from mfscale.report.style import NEUTRAL, log_ticks, tick_labels

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LEAST = 1.12  # the axis reaches at least to this factor


def draw_residuals(axes: "Axes", laws: Sequence[DrawnLaw]) -> None:
    """Draw the runs of each determined law as factors on it, and a line at one."""
    axes.set(xscale="log", yscale="log")
    axes.axhline(1, color=NEUTRAL, linewidth=0.6, zorder=1)
    for law in laws:
        if law.fit.determined:
            axes.scatter(
                law.x,
                law.y / law.fit.median(law.x),
                s=6,
                marker=law.marker,
                facecolors="none",
                edgecolors=law.colour,
                linewidths=0.6,
                zorder=3,
                gid=f"residuals: {law.name}",
            )
            x, y = law.held_out_xy.T
            axes.scatter(
                x,
                y / law.fit.median(x) if len(x) else y,
                s=9,
                marker="x",
                color=law.colour,
                linewidths=0.7,
                zorder=3,
                gid=f"held out: {law.name}",
            )


def set_residual_limits(strips: "Sequence[Axes]", every: "Sequence[Axes]") -> None:
    """Give all strips the same factors up as down, and the x axes of the panels above them."""
    factors = [
        np.asarray(points.get_offsets())[:, 1] for strip in strips for points in strip.collections
    ]
    farthest = max([_LEAST, *(float(np.exp(np.abs(np.log(f)).max())) for f in factors if len(f))])
    farthest **= 1.15
    inner = max(tick for tick in log_ticks(1, farthest) if tick < farthest)
    ticks = [1 / inner, 1, inner] if inner > 1 else [1]
    for strip, axes in zip(strips, every, strict=True):
        strip.set(xlim=axes.get_xlim(), ylim=(1 / farthest, farthest))
        for minor in (False, True):
            strip.xaxis.set_ticks(axes.xaxis.get_ticklocs(minor=minor), minor=minor)
        strip.xaxis.set_ticklabels([label.get_text() for label in axes.xaxis.get_ticklabels()])
        strip.xaxis.set_ticklabels([], minor=True)
        axes.xaxis.set_tick_params(labelbottom=False)
        strip.yaxis.set_ticks(ticks, tick_labels([round(tick, 2) for tick in ticks]), fontsize=6)
        strip.yaxis.set_ticks([], minor=True)
