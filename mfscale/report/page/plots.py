"""The interactive figures of a page, as data for plotly: laws with their runs, learning curves."""

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

import numpy as np
import pandas as pd

from mfscale.report.naming import column_label
from mfscale.report.page.contents import FittedLaws
from mfscale.report.page.plain import numbers
from mfscale.report.page.stages import kinds_of
from mfscale.report.replicates import replicate_means
from mfscale.report.residuals import residual_axis
from mfscale.report.selection import DrawnLaw, drawn_laws
from mfscale.report.style import log_ticks, ordered_colours, sizes_as_ticks, tick_labels
from mfscale.scaling import Scalar

_SYMBOLS = {
    "o": "circle",
    "s": "square",
    "D": "diamond",
    "^": "triangle-up",
    "v": "triangle-down",
    "P": "cross",
    "X": "x",
}
_ROOM = 1.3  # the factor by which ticks reach beyond the values
_BAND_POINTS = 24
_MAIN, _STRIP = [0.3, 1.0], [0.0, 0.2]  # heights of the axes: laws above, residuals below

Figure = dict[str, Any]


def figures_of_laws(laws: FittedLaws) -> list[tuple[Scalar, list[DrawnLaw], Figure]]:
    """A figure for each architecture, or one: its name (None if one), its laws, its plotly data.

    Every trace says in ``meta`` what it shows: its ``kind`` (runs, residuals, mean, law, beyond,
    band, new run, held out, held out residuals) and the number of its ``law``; runs have the row
    number of their stage among `rows` of the page as ``customdata``.
    """
    panel = "architecture" if "architecture" in laws.group else None
    drawn = drawn_laws(
        laws.frame, laws.fits, laws.law, laws.x, laws.y, laws.group, panel, laws.held_out
    )
    found = []
    for value in dict.fromkeys(law.panel for law in drawn):
        inside = [law for law in drawn if law.panel == value]
        traces = [trace for i, law in enumerate(inside) for trace in _traces(law, i)]
        found.append((value, inside, checked(traces, _layout(inside))))
    return found


def figure_of_curves(curves: Mapping[str, pd.DataFrame], rows: pd.DataFrame) -> Figure:
    """Validation error against steps, a line for each stage, coloured by its pre-training."""
    kinds = dict(zip(rows["stage_id"], kinds_of(rows), strict=True))
    places = {stage: i for i, stage in enumerate(rows["stage_id"])}
    colours = colours_of_curves(curves, rows)
    traces: list[Figure] = [
        {
            "type": "scatter",
            "mode": "lines",
            "x": numbers(curve["step"]),
            "y": numbers(curve["validation_energy_mae_mev"]),
            "line": {"color": colours[kinds[stage]], "width": 1.2},
            "opacity": 0.7,
            "hoverinfo": "none",
            "customdata": [places[stage]] * len(curve),
            "meta": {"kind": "curve"},
        }
        for stage, curve in curves.items()
    ]
    steps, errors = ([v for trace in traces for v in trace[axis] if v] for axis in ("x", "y"))
    axes = {
        "xaxis": _axis("optimiser steps", steps or [1.0]),
        "yaxis": _axis(column_label("validation_energy_mae_mev"), errors or [1.0]),
    }
    return checked(traces, axes)


def colours_of_curves(curves: Iterable[str], rows: pd.DataFrame) -> dict[str, str]:
    """Pre-training → colour of its curves."""
    kinds = dict(zip(rows["stage_id"], kinds_of(rows), strict=True))
    order = sorted({kinds[stage] for stage in curves})
    return dict(zip(order, ordered_colours(len(order)), strict=True))


def checked(traces: Sequence[Figure], layout: Figure) -> Figure:
    """Data and layout as plotly's own library understands them; it refuses what it does not."""
    import plotly.graph_objects as go  # noqa: PLC0415 - the page alone needs it

    common = {
        "template": "none",
        "font": {"family": "system-ui, sans-serif", "size": 13, "color": "#222"},
        "margin": {"l": 64, "r": 12, "t": 12, "b": 48},
        "hovermode": "closest",
        "hoverdistance": 12,
        "showlegend": False,
        "paper_bgcolor": "#fff",
        "plot_bgcolor": "#fff",
    }
    figure = go.Figure(data=list(traces), layout={**common, **layout}).to_dict()
    return {"data": list(figure["data"]), "layout": figure["layout"]}


def _layout(laws: Sequence[DrawnLaw]) -> Figure:
    x, y = laws[0].fit.x, laws[0].fit.y
    every = np.concatenate([np.column_stack([law.x, law.y]) for law in laws])
    every = np.concatenate([every, *(law.held_out_xy for law in laws)])
    every_x, every_y = every.T.tolist()
    determined = [law for law in laws if law.fit.determined]
    ratios = [law.y / law.fit.median(law.x) for law in determined]
    farthest, ticks = residual_axis(
        np.concatenate([[1.0], *ratios, *(law.held_out_ratios for law in determined)])
    )
    reach = float(np.log10(farthest))
    sizes = sizes_as_ticks(every_x)
    return {
        "xaxis": {**_axis(column_label(x), every_x, sizes), "anchor": "y2"},
        "yaxis": {
            **_axis(column_label(y), every_y),
            "domain": _MAIN,
            "range": [  # of the runs alone, so that no band or steep line squeezes them
                float(np.log10(min(every_y) / _ROOM)),
                float(np.log10(max(every_y) * _ROOM)),
            ],
        },
        "yaxis2": {
            **_axis("run / law", [1.0], [round(tick, 2) for tick in ticks]),
            "domain": _STRIP,
            "range": [-reach, reach],
        },
        "shapes": [
            {
                "type": "line",
                "xref": "paper",
                "x0": 0,
                "x1": 1,
                "yref": "y2",
                "y0": 1,
                "y1": 1,
                "line": {"color": "#999", "width": 1},
            }
        ],
    }


def _axis(title: str, values: Sequence[float], ticks: Sequence[float] | None = None) -> Figure:
    low, high = min(values) / _ROOM, max(values) * _ROOM
    chosen = list(ticks or log_ticks(low, high))
    return {
        "type": "log",
        "title": {"text": escape(title, quote=False), "standoff": 8},  # plotly reads tags
        "gridcolor": "#eee",
        "zeroline": False,
        "showline": True,
        "linecolor": "#888",
        "ticks": "outside",
        "tickcolor": "#888",
        "tickvals": chosen,
        "ticktext": tick_labels(chosen),
        "automargin": True,
    }


def _traces(law: DrawnLaw, number: int) -> list[Figure]:
    places = [int(place) for place in law.rows["page_row"]]
    looks = {"color": law.colour, "symbol": f"{_SYMBOLS[law.marker]}-open", "size": 8}
    runs = {
        **_trace("runs", number, law.x, law.y, mode="markers"),
        "marker": looks,
        "customdata": places,
    }
    means = replicate_means(law)
    traces = [
        runs,
        {
            **_trace("mean", number, means[:, 0], means[:, 1], mode="markers"),
            "marker": {"color": law.colour, "symbol": _SYMBOLS[law.marker], "size": 11},
            "opacity": 0.75,
            "hoverinfo": "skip",
        },
    ]
    if law.fit.determined:
        ratio = law.y / law.fit.median(law.x)
        traces.append(
            {
                **_trace("residuals", number, law.x, ratio, mode="markers"),
                "marker": {**looks, "size": 6},
                "customdata": places,
                "yaxis": "y2",
            }
        )
        traces += _lines(law, number)
    return traces + (_held_out(law, number) if len(law.held_out) else [])


def _held_out(law: DrawnLaw, number: int) -> list[Figure]:
    """Crosses: the runs that the law was not fitted to, and each divided by the law."""
    x, y = law.held_out_xy.T
    places = [int(place) for place in law.held_out["page_row"]]
    shown: list[tuple[str, Any, Figure, int]] = [("held out", y, {}, 9)]
    if law.fit.determined:
        shown.append(("held out residuals", law.held_out_ratios, {"yaxis": "y2"}, 7))
    return [
        {
            **_trace(kind, number, x, values, mode="markers"),
            "marker": {
                "color": law.colour,
                "symbol": "x-thin-open",
                "size": size,
                "line": {"width": 1.8},
            },
            "customdata": places,
            **axes,
        }
        for kind, values, axes, size in shown
    ]


def _lines(law: DrawnLaw, number: int) -> list[Figure]:
    (low, high), (first, last) = law.fit.x_range, law.ends
    traces = []
    for ends, kind, dash in (
        ([low, high], "law", "solid"),
        ([first, low], "beyond", "dash"),
        ([high, last], "beyond", "dash"),
    ):
        median = law.fit.predict(ends)["median"]
        traces.append(
            {
                **_trace(kind, number, ends, median, mode="lines"),
                "line": {"color": law.colour, "width": 2, "dash": dash},
                "hoverinfo": "skip",
            }
        )
    if law.has_interval():
        x = np.geomspace(first, last, _BAND_POINTS)
        whole = law.fit.predict(x)
        for kind, name, opacity in (("band", "mean", 0.16), ("new run", "new_run", 0.08)):
            edges = [*whole[f"{name}_low"], *whole[f"{name}_high"][::-1]]
            traces.insert(
                0,
                {
                    **_trace(kind, number, [*x, *x[::-1]], edges, mode="lines"),
                    "fill": "toself",
                    "fillcolor": _translucent(law.colour, opacity),
                    "line": {"width": 0},
                    "hoverinfo": "skip",
                    "visible": kind == "band" and not law.band_is_too_wide(),
                },
            )
            traces[0]["meta"]["wide"] = law.band_is_too_wide()
    return traces


def _trace(kind: str, law: int, x: Any, y: Any, *, mode: str) -> Figure:  # noqa: ANN401 - arrays
    return {
        "type": "scatter",
        "mode": mode,
        "x": numbers(x),
        "y": numbers(y),
        "hoverinfo": "none",
        "meta": {"kind": kind, "law": law},
    }


def _translucent(colour: str, opacity: float) -> str:
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},{opacity})"
