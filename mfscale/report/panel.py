"""The panel under a figure of laws: a row per law with its slope, then notes and warnings."""

import re
import textwrap
from collections.abc import Sequence
from math import isnan
from typing import TYPE_CHECKING, Any

from mfscale.report.naming import column_label, naming_columns
from mfscale.report.replicates import replicate_means
from mfscale.report.selection import WIDEST_BAND, DrawnLaw
from mfscale.scaling import Parameter, format_interval, format_number, format_percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_ROW_IN, _NOTE_IN, _GAP_IN, _MARGIN_IN = 0.135, 0.105, 0.07, 0.06
_LEFT_IN, _NAME_IN, _SLOPE_IN, _RUNS_IN, _INDEPENDENT_IN = 0.1, 0.4, 1.36, 2.7, 3.4
_NAME_CHARACTERS, _NOTE_CHARACTERS = 17, 80
_CELL: dict[str, Any] = {"fontsize": 6.5, "va": "center"}
_NOTE: dict[str, Any] = {"fontsize": 5.5, "va": "center", "color": "#333333"}


def panel_height_in(laws: Sequence[DrawnLaw]) -> float:
    """Inches that the panel takes."""
    rows = len(_title(laws)) + sum(len(_lines(law.name)) for law in laws)
    return rows * _ROW_IN + _GAP_IN + len(_notes(laws)) * _NOTE_IN + _MARGIN_IN


def draw_panel(
    figure: "Figure", height_in: float, laws: Sequence[DrawnLaw], parameter: str, heading: str
) -> None:
    """Draw the panel into the lowest `height_in` inches; `heading` titles the `parameter`."""
    axes = figure.add_axes((0, 0, 1, height_in / figure.get_figheight()))
    axes.set(xlim=(0, figure.get_figwidth()), ylim=(0, height_in))
    axes.set_axis_off()
    y = height_in - _ROW_IN / 2
    level = format_percent(laws[0].fit.level)
    header = (f"{heading} ({level})", "runs", "independent")
    _draw_row(axes, y, _LEFT_IN, _title(laws), header, weight="bold")
    y -= _ROW_IN * len(_title(laws))
    for law in laws:
        axes.plot([_LEFT_IN, _LEFT_IN + 0.22], [y, y], color=law.colour)
        axes.scatter(
            [_LEFT_IN + 0.11],
            [y],
            s=11,
            marker=law.marker,
            facecolors="white",
            edgecolors=law.colour,
            linewidths=0.8,
            zorder=3,
        )
        found = law.fit.parameters[parameter]
        cells = (with_interval(found), str(law.fit.n_rows), str(law.fit.n_clusters))
        _draw_row(axes, y, _NAME_IN, _lines(law.name), cells)
        y -= _ROW_IN * len(_lines(law.name))
    y += (_ROW_IN - _NOTE_IN) / 2 - _GAP_IN
    for note in _notes(laws):
        axes.text(_LEFT_IN, y, note, **_NOTE)
        y -= _NOTE_IN


def _draw_row(
    axes: "Axes",
    y: float,
    name_in: float,
    name: list[str],
    cells: tuple[str, str, str],
    weight: str = "normal",
) -> None:
    for i, line in enumerate(name):
        axes.text(name_in, y - i * _ROW_IN, line, weight=weight, **_CELL)
    slope, runs, independent = cells
    axes.text(_SLOPE_IN, y, slope, weight=weight, **_CELL)
    axes.text(_RUNS_IN, y, runs, weight=weight, ha="right", **_CELL)
    axes.text(_INDEPENDENT_IN, y, independent, weight=weight, ha="right", **_CELL)


def with_interval(found: Parameter) -> str:
    """A parameter as the panel shows it: 0.45 (0.41–0.49), or what is not known of it."""
    if isnan(found.estimate):
        return "not determined"
    if isnan(found.low):
        return f"{format_number(found.estimate)} (unknown)"
    return f"{format_number(found.estimate)} ({format_interval(found.low, found.high)})"


def _title(laws: Sequence[DrawnLaw]) -> list[str]:
    named = naming_columns([law.fit.group for law in laws])
    columns = ", ".join(map(column_label, named))
    return textwrap.wrap(columns, _NAME_CHARACTERS + 2) or [""]


def _lines(name: str) -> list[str]:
    return textwrap.wrap(name, _NAME_CHARACTERS) or [name]


def _notes(laws: Sequence[DrawnLaw]) -> list[str]:
    about: dict[str, list[str]] = {}
    for law in laws:
        for warning in law.fit.warnings:
            about.setdefault(_in_words(warning.message, law), []).append(law.name)
    means = any(len(replicate_means(law)) for law in laws)
    runs = "an open point, the mean of replicates a filled one" if means else "a point"
    paragraphs = [f"Every run is {runs}. {_about_bands(laws)}Dashed: beyond the data."]
    if any(len(law.held_out) for law in laws):
        paragraphs[0] += " Crosses: runs held out, which the laws were not fitted to."
    paragraphs += [
        f"⚠ {message}." if len(names) == len(laws) else f"⚠ {'; '.join(names)}: {message}."
        for message, names in about.items()
    ]
    return [line for text in paragraphs for line in textwrap.wrap(text, _NOTE_CHARACTERS)]


def _about_bands(laws: Sequence[DrawnLaw]) -> str:
    if not any(law.has_interval() for law in laws):
        return ""
    kinds = " (dark) and of a new run (light)" if len(laws) == 1 else ""
    words = f"Bands: {format_percent(laws[0].fit.level)} interval of the law{kinds}. "
    if any(law.band_is_too_wide() for law in laws):
        words += f"Bands wider than a factor of {WIDEST_BAND} are left out. "
    return words


def _in_words(message: str, law: DrawnLaw) -> str:
    """The message with labels for the names of columns, where they stand as words."""
    columns = {column for column in (law.fit.x, law.fit.y, law.fit.cluster) if column}
    names = "|".join(map(re.escape, columns))
    return re.sub(rf"(?<!\w)({names})(?!\w)", lambda found: column_label(found[1]), message)
