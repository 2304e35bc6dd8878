"""An estimate and its interval on a row of a forest plot; what leaves the axis is an arrow."""

from math import isnan
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def draw_interval(
    axes: "Axes",
    place: float,
    estimate: float,
    low: float,
    high: float,
    *,
    colour: str,
    name: str,
    kind: str = "estimate",
    marker: str = "o",
    filled: bool = True,
) -> None:
    """Draw what is known: ``low`` and ``high``, or ``estimate`` too, may be NaN."""
    first, last = axes.get_xlim()
    if not isnan(low):
        axes.plot(
            np.clip([low, high], first, last).tolist(),
            [place, place],
            color=colour,
            linewidth=1.1,
            solid_capstyle="butt",
            gid=f"interval: {name}",
        )
    known = [value for value in (estimate, low, high) if not isnan(value)]
    for end, beyond, arrow in (
        (first, min(known, default=first) < first, "<"),
        (last, max(known, default=last) > last, ">"),
    ):
        if beyond:
            axes.plot([end], [place], arrow, color=colour, markersize=3, clip_on=False)
    if first <= estimate <= last:
        axes.plot(
            [estimate],
            [place],
            marker,
            color=colour,
            markersize=3.5,
            markeredgewidth=0.8,
            markerfacecolor=colour if filled else "white",
            gid=f"{kind}: {name}",
        )
