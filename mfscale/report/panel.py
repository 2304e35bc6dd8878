"""The panel under a figure of laws: a row per law with its slope, then notes and warnings."""

import textwrap
from collections import Counter
from collections.abc import Sequence
from math import isnan
from typing import TYPE_CHECKING, Any

from mfscale.report.cautions import cautions
from mfscale.report.naming import shared_by_groups, title_of_groups
from mfscale.report.replicates import replicate_means
from mfscale.report.selection import MOST_BANDS, WIDEST_BAND, DrawnLaw
from mfscale.report.style import WIDTH_IN
from mfscale.scaling import Parameter, format_interval, format_number, format_percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_ROW_IN, _NOTE_IN, _GAP_IN, _MARGIN_IN = 0.135, 0.105, 0.07, 0.06
_LEFT_IN, _NAME_IN = 0.1, 0.4
_RUNS_IN, _INDEPENDENT_IN, _TABLE_IN = 1.4, 2.12, 2.2  # from where the slopes begin
_NAME_PER_IN, _NOTE_PER_IN = 17.9, 23.5  # characters
_LONG = 22  # characters of an interval, from which on it is written smaller
_CELL: dict[str, Any] = {"fontsize": 6.5, "va": "center"}
_NOTE: dict[str, Any] = {"fontsize": 5.5, "va": "center", "color": "#333333"}


def panel_height_in(laws: Sequence[DrawnLaw], width_in: float) -> float:
    """Inches that the panel takes in a figure of this width."""
    rows = len(_title(laws, width_in)) + sum(len(_lines(law.name, width_in)) for law in laws)
    return rows * _ROW_IN + _GAP_IN + len(_notes(laws, width_in)) * _NOTE_IN + _MARGIN_IN


def draw_panel(
    figure: "Figure", height_in: float, laws: Sequence[DrawnLaw], parameter: str, heading: str
) -> None:
    """Draw the panel into the lowest `height_in` inches; `heading` titles the `parameter`."""
    width = figure.get_figwidth()
    axes = figure.add_axes((0, 0, 1, height_in / figure.get_figheight()))
    axes.set(xlim=(0, width), ylim=(0, height_in))
    axes.set_axis_off()
    y = height_in - _ROW_IN / 2
    level = format_percent(laws[0].fit.level)
    header = (f"{heading} ({level})", "runs", "independent")
    slopes_in = _slopes_in(laws, width)
    _draw_row(axes, y, (_LEFT_IN, slopes_in), _title(laws, width), header, weight="bold")
    y -= _ROW_IN * len(_title(laws, width))
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
        _draw_row(axes, y, (_NAME_IN, slopes_in), _lines(law.name, width), cells)
        y -= _ROW_IN * len(_lines(law.name, width))
    y += (_ROW_IN - _NOTE_IN) / 2 - _GAP_IN
    for note in _notes(laws, width):
        axes.text(_LEFT_IN, y, note, **_NOTE)
        y -= _NOTE_IN


def _draw_row(
    axes: "Axes",
    y: float,
    places_in: tuple[float, float],
    name: list[str],
    cells: tuple[str, str, str],
    weight: str = "normal",
) -> None:
    name_in, slopes_in = places_in
    for i, line in enumerate(name):
        axes.text(name_in, y - i * _ROW_IN, line, weight=weight, **_CELL)
    slope, runs, independent = cells
    smaller = {"fontsize": 5.5} if len(slope) > _LONG else {}
    axes.text(slopes_in, y, slope, weight=weight, **_CELL | smaller)
    axes.text(slopes_in + _RUNS_IN, y, runs, weight=weight, ha="right", **_CELL)
    axes.text(slopes_in + _INDEPENDENT_IN, y, independent, weight=weight, ha="right", **_CELL)


def with_interval(found: Parameter) -> str:
    """A parameter as the panel shows it: 0.45 (0.41–0.49), or what is not known of it."""
    if isnan(found.estimate):
        return "not determined"
    if isnan(found.low):
        return f"{format_number(found.estimate)} (unknown)"
    return f"{format_number(found.estimate)} ({format_interval(found.low, found.high)})"


def _title(laws: Sequence[DrawnLaw], width_in: float) -> list[str]:
    columns = title_of_groups([law.fit.group for law in laws])
    return textwrap.wrap(columns, _name_characters(width_in) + 2) or [""]


def _lines(name: str, width_in: float) -> list[str]:
    return textwrap.wrap(name, _name_characters(width_in)) or [name]


def _name_characters(width_in: float) -> int:
    return int((width_in - _TABLE_IN - _NAME_IN) * _NAME_PER_IN)


def _slopes_in(laws: Sequence[DrawnLaw], width_in: float) -> float:
    """Where the slopes begin: beside the longest name, or in a narrow figure at the right."""
    lines = [line for law in laws for line in _lines(law.name, width_in)]
    longest = max(map(len, [*lines, *_title(laws, width_in)]))
    wanted = max(_NAME_IN + longest / _NAME_PER_IN + 0.3, WIDTH_IN - _TABLE_IN)
    return min(wanted, width_in - _TABLE_IN)


def _notes(laws: Sequence[DrawnLaw], width_in: float) -> list[str]:
    means = any(len(replicate_means(law)) for law in laws)
    runs = "an open point, the mean of replicates a filled one" if means else "a point"
    paragraphs = [f"Every run is {runs}. {_about_bands(laws)}Dashed: beyond the data."]
    if any(len(law.held_out) for law in laws):
        paragraphs[0] += " Crosses: runs held out, which the laws were not fitted to."
    shared = shared_by_groups([law.fit.group for law in laws]) if len(laws) > 1 else ""
    paragraphs[0] += f" All runs: {shared}." if shared else ""
    paragraphs += cautions(laws)
    characters = int((width_in - 0.1) * _NOTE_PER_IN)
    return [line for text in paragraphs for line in textwrap.wrap(text, characters)]


def _about_bands(laws: Sequence[DrawnLaw]) -> str:
    if not any(law.has_interval() for law in laws):
        return ""
    kinds = " (dark) and of a new run (light)" if len(laws) == 1 else ""
    words = f"Bands: {format_percent(laws[0].fit.level)} interval of the law{kinds}. "
    counts = Counter(law.panel for law in laws)
    if min(counts.values()) > MOST_BANDS:
        return ""
    if max(counts.values()) > MOST_BANDS:
        words += f"None where there are more than {MOST_BANDS} laws. "
    if any(law.band_is_too_wide() for law in laws):
        words += f"Bands wider than a factor of {WIDEST_BAND} are left out. "
    return words
