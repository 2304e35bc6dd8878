"""The panel under a figure of laws: a row per law with its slope, then notes and warnings."""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from math import isnan
from typing import TYPE_CHECKING

from mfscale.report.naming import column_name
from mfscale.report.style import WIDTH_IN
from mfscale.scaling import Fit
from mfscale.scaling.text import interval, number, percent

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_ROW_IN, _NOTE_IN, _GAP_IN, _MARGIN_IN = 0.135, 0.105, 0.07, 0.06
_SIZE, _NOTE_SIZE = 6.5, 5.5
_LEFT_IN, _NAME_IN, _SLOPE_IN, _RUNS_IN, _CHECKPOINTS_IN = 0.1, 0.4, 1.62, 2.8, 3.4
_NAME_CHARACTERS, _NOTE_CHARACTERS = 22, 80


@dataclass(frozen=True)
class Entry:
    """One law in the table: its name in lines, its look, and its cells."""

    lines: list[str]
    colour: str
    marker: str
    slope: str
    runs: str
    clusters: str

    @classmethod
    def of(cls, fit: Fit, name: str, parameter: str, colour: str, marker: str) -> "Entry":
        """Describe `fit` by one of its parameters."""
        found = fit.parameters[parameter]
        slope = "not determined"
        if not isnan(found.estimate):
            slope = f"{number(found.estimate)} ({interval(found.low, found.high)})"
        lines = textwrap.wrap(name, _NAME_CHARACTERS) or [name]
        return cls(lines, colour, marker, slope, str(fit.n_rows), str(fit.n_clusters))


def table_height_in(entries: Sequence[Entry], fits: Sequence[Fit]) -> float:
    """Inches that the panel takes."""
    rows = 1 + sum(len(entry.lines) for entry in entries)
    return rows * _ROW_IN + _GAP_IN + len(_notes(entries, fits)) * _NOTE_IN + _MARGIN_IN


def draw_table(
    figure: "Figure",
    height_in: float,
    titles: tuple[str, str],
    entries: Sequence[Entry],
    fits: Sequence[Fit],
) -> None:
    """Draw the panel into the lowest `height_in` inches of `figure`.

    `titles` are those of the groups and of the slopes.
    """
    axes = figure.add_axes((0, 0, 1, height_in / figure.get_figheight()))
    axes.set(xlim=(0, WIDTH_IN), ylim=(0, height_in))
    axes.set_axis_off()
    y = height_in - _ROW_IN / 2
    style = {"fontsize": _SIZE, "va": "center"}
    level = percent(fits[0].level)
    axes.text(_LEFT_IN, y, titles[0], weight="bold", **style)
    axes.text(_SLOPE_IN, y, f"{titles[1]} ({level})", weight="bold", **style)
    axes.text(_RUNS_IN, y, "runs", weight="bold", ha="right", **style)
    axes.text(_CHECKPOINTS_IN, y, "independent", weight="bold", ha="right", **style)
    for entry in entries:
        y -= _ROW_IN
        axes.plot([_LEFT_IN, _LEFT_IN + 0.22], [y, y], color=entry.colour)
        axes.plot(
            [_LEFT_IN + 0.11],
            [y],
            entry.marker,
            color=entry.colour,
            markersize=3.3,
            markerfacecolor="white",
            markeredgewidth=0.8,
        )
        axes.text(_SLOPE_IN, y, entry.slope, **style)
        axes.text(_RUNS_IN, y, entry.runs, ha="right", **style)
        axes.text(_CHECKPOINTS_IN, y, entry.clusters, ha="right", **style)
        for i, line in enumerate(entry.lines):
            y -= _ROW_IN if i else 0
            axes.text(_NAME_IN, y, line, **style)
    y -= _ROW_IN / 2 + _GAP_IN + _NOTE_IN / 2
    for note in _notes(entries, fits):
        axes.text(_LEFT_IN, y, note, fontsize=_NOTE_SIZE, va="center", color="#333333")
        y -= _NOTE_IN


def _notes(entries: Sequence[Entry], fits: Sequence[Fit]) -> list[str]:
    bands = "Bands: interval of the law"
    bands += " (dark) and of a new run (light)." if len(fits) == 1 else "."
    paragraphs = [f"Every run is a point. {bands} Dashed: beyond the data."]
    about: dict[str, list[str]] = {}
    for entry, fit in zip(entries, fits, strict=True):
        for warning in fit.warnings:
            message = warning.message
            for column in (fit.x, fit.y, fit.cluster):
                message = message.replace(column, column_name(column)) if column else message
            about.setdefault(message, []).append(" ".join(entry.lines))
    paragraphs += [f"⚠ {', '.join(names)}: {message}." for message, names in about.items()]
    return [line for text in paragraphs for line in textwrap.wrap(text, _NOTE_CHARACTERS)]
