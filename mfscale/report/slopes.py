"""Slopes written along their lines, where neither runs nor lines nor other slopes are."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mfscale.report.replicates import replicate_means
from mfscale.report.selection import DrawnLaw
from mfscale.scaling import format_number

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.text import Text
    from matplotlib.transforms import Bbox

_POINTS = 6
_PLACES = 25  # along a line
_FAR = 2.0  # points between a line and its slope
_MOST_COVERED = 1  # pieces of lines beneath a slope; beyond that, or on a run, it is left out


@dataclass(frozen=True)
class _Place:
    """Where a slope may stand: its middle in pixels and data, and which way its line goes."""

    middle: NDArray[np.float64]
    along: NDArray[np.float64]
    x: float
    y: float


def write_slopes(axes: "Axes", laws: Sequence[DrawnLaw], parameter: str) -> None:
    """Write each slope along its line, above or below, where it covers least.

    A slope that would cover another one, or much else, is left out.
    """
    runs, lines = _in_pixels(axes, laws)
    taken: list[Bbox] = []
    for law in laws:
        if not (law.fit.determined and law.has_interval()):
            continue
        text = _text(axes, law, format_number(law.fit.parameters[parameter].estimate))
        box = text.get_window_extent()
        room = np.array([box.width, box.height]) / 2
        best: tuple[int, float] | None = None
        for place in _places(axes, law, float(room[1])):
            turned = _put(text, place)
            if any(turned.overlaps(other) for other in taken) or not _holds(axes.bbox, turned):
                continue
            covered = 2 * _beneath(runs, place, room + 3) + _beneath(lines, place, room)
            if covered <= _MOST_COVERED and (best is None or (covered, -place.x) < best):
                best, chosen = (covered, -place.x), place
        if best is None:
            text.remove()
        else:
            taken.append(_put(text, chosen))


def _text(axes: "Axes", law: DrawnLaw, words: str) -> "Text":
    from matplotlib.patheffects import withStroke  # noqa: PLC0415 - drawing alone needs it

    x, y = axes.transData.inverted().transform(axes.bbox.get_points().mean(axis=0))
    return axes.text(
        x,
        y,
        words,
        ha="center",
        va="center",
        rotation_mode="anchor",
        fontsize=_POINTS,
        color=law.colour,
        path_effects=[withStroke(linewidth=1.5, foreground="white")],
        gid=f"slope: {law.name}",
        zorder=4,
    )


def _places(axes: "Axes", law: DrawnLaw, half_height: float) -> list[_Place]:
    ends = np.array(law.fit.x_range)
    first, last = axes.transData.transform(np.column_stack([ends, law.fit.median(ends)]))
    along = (last - first) / np.hypot(*(last - first))
    up = np.array([-along[1], along[0]])
    away = half_height + _FAR * axes.figure.dpi / 72
    found = []
    for share in np.linspace(0, 1, _PLACES):
        for side in (up, -up):
            middle = first + share * (last - first) + side * away
            x, y = axes.transData.inverted().transform(middle)
            found.append(_Place(middle, along, float(x), float(y)))
    return found


def _put(text: "Text", place: _Place) -> "Bbox":
    """Put the slope there; return the upright box around it, in pixels."""
    text.set_position((place.x, place.y))
    text.set_rotation(float(np.degrees(np.arctan2(place.along[1], place.along[0]))))
    return text.get_window_extent()


def _holds(outer: "Bbox", inner: "Bbox") -> bool:
    return bool(
        outer.x0 <= inner.x0
        and inner.x1 <= outer.x1
        and outer.y0 <= inner.y0
        and inner.y1 <= outer.y1
    )


def _in_pixels(
    axes: "Axes", laws: Sequence[DrawnLaw]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """All runs, and places along all lines, each of shape ``(n, 2)``."""
    runs = [np.column_stack([law.x, law.y]) for law in laws]
    runs += [xy for law in laws for xy in (law.held_out_xy, replicate_means(law))]
    lines = [np.empty((0, 2))]
    for law in laws:
        if law.fit.determined:
            x = np.geomspace(*law.ends, 4 * _PLACES)
            lines.append(np.column_stack([x, law.fit.median(x)]))
    transform = axes.transData.transform
    return np.asarray(transform(np.concatenate(runs))), np.asarray(transform(np.concatenate(lines)))


def _beneath(points: NDArray[np.float64], place: _Place, half: NDArray[np.float64]) -> int:
    """How many points lie beneath a slope of this half width and height, turned as its line."""
    from_middle = points - place.middle
    up = np.array([-place.along[1], place.along[0]])
    across, above = from_middle @ place.along, from_middle @ up
    return int(((np.abs(across) < half[0]) & (np.abs(above) < half[1])).sum())
