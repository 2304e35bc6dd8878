"""The strip below a figure of laws: every run divided by its law."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

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
            axes.scatter(
                law.held_out_xy[:, 0],
                law.held_out_ratios,
                s=9,
                marker="x",
                color=law.colour,
                linewidths=0.7,
                zorder=3,
                gid=f"held out: {law.name}",
            )


def residual_axis(factors: NDArray[np.float64]) -> tuple[float, list[float]]:
    """How far an axis of factors reaches, up as down, and its ticks."""
    farthest = max(_LEAST, float(np.exp(np.abs(np.log(factors)).max()))) ** 1.15
    inner = max(tick for tick in log_ticks(1, farthest) if tick < farthest)
    return farthest, [1 / inner, 1, inner] if inner > 1 else [1]


def set_residual_limits(strips: "Sequence[Axes]", every: "Sequence[Axes]") -> None:
    """Give all strips the same factors up as down, and the x axes of the panels above them."""
    factors = [
        np.asarray(points.get_offsets())[:, 1] for strip in strips for points in strip.collections
    ]
    farthest, ticks = residual_axis(np.concatenate([*factors, [1.0]]))
    for strip, axes in zip(strips, every, strict=True):
        strip.set(xlim=axes.get_xlim(), ylim=(1 / farthest, farthest))
        for minor in (False, True):
            strip.xaxis.set_ticks(axes.xaxis.get_ticklocs(minor=minor), minor=minor)
        strip.xaxis.set_ticklabels([label.get_text() for label in axes.xaxis.get_ticklabels()])
        strip.xaxis.set_ticklabels([], minor=True)
        axes.xaxis.set_tick_params(labelbottom=False)
        strip.yaxis.set_ticks(ticks, tick_labels([round(tick, 2) for tick in ticks]), fontsize=6)
        strip.yaxis.set_ticks([], minor=True)
