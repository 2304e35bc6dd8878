"""A forest plot of the claims: a row per part with its effect, interval, verdict and basis."""

import textwrap
from collections.abc import Sequence
from math import isnan
from typing import TYPE_CHECKING, Any

import numpy as np

from mfscale.claims import ClaimResult, PartResult, factor_of, name_of
from mfscale.claims.table import NOT_COMPARED
from mfscale.report.interval import draw_interval
from mfscale.report.naming import with_method_names
from mfscale.report.style import NEUTRAL, SETTINGS, log_ticks, tick_labels

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH_IN = 7.0  # two columns of a journal
_ROW_IN, _TOP_IN, _BOTTOM_IN = 0.18, 0.3, 0.5
_LEFT_IN, _PLOT_IN = 2.4, 1.95
_EFFECT_IN, _VERDICT_IN = _PLOT_IN + 0.08, _PLOT_IN + 1.4  # from where the axes begin
_NAME_CHARACTERS = 48
# Okabe & Ito's colours for the colour-blind; shapes and words tell the verdict as well.
_LOOKS = {
    "supported": ("#0072B2", "o"),
    "contradicted": ("#D55E00", "s"),
    "undecided": (NEUTRAL, "D"),
}
_WIDEST = 20.0  # the axis ends there; what reaches further is drawn as an arrow


def effects_of_claims(claims: Sequence[ClaimResult]) -> "Figure":
    """Draw the effects of all parts of all claims.

    Parameters
    ----------
    claims
        As `mfscale.claims.assess` gives them.

    Returns
    -------
    Figure
        What each part says, then a row per budget and group: the factor with its interval on a
        logarithmic axis (filled where decided), shaded on the side of the margin that is claimed,
        the numbers, the verdict and the number of independent checkpoints. Parts that the rows do
        not speak of have their verdict alone.
    """
    import matplotlib as mpl  # noqa: PLC0415 - drawing alone needs it
    from matplotlib.figure import Figure  # noqa: PLC0415 - likewise

    parts = [part for claim in claims for part in claim.parts]
    places, headings, n_rows = _layout(parts)
    with mpl.rc_context(SETTINGS):
        height = _TOP_IN + n_rows * _ROW_IN + _BOTTOM_IN
        figure = Figure(figsize=(WIDTH_IN, height))
        axes = figure.add_axes(
            (
                _LEFT_IN / WIDTH_IN,
                _BOTTOM_IN / height,
                _PLOT_IN / WIDTH_IN,
                n_rows * _ROW_IN / height,
            )
        )
        low, high = _limits(parts)
        axes.set(xscale="log", xlim=(low, high), ylim=(n_rows, 0), yticks=[])
        axes.spines["left"].set_visible(False)
        axes.axvline(1, color=NEUTRAL, linewidth=0.6, zorder=1)
        for place, part in zip(places, parts, strict=True):
            _draw_claimed(axes, place, part)
            if not isnan(part.factor):
                _draw_effect(axes, place, part)
            _write(axes, place, part)
        for place, part in headings:
            _head_part(axes, place, part)
        _head(axes)
        ticks = log_ticks(low, high)
        axes.set_xticks(ticks, tick_labels(ticks))
        axes.set_xticks([], minor=True)
        axes.set_xlabel("effect as a factor (95% interval); shaded: what is claimed", labelpad=2)
    return figure


def _layout(
    parts: Sequence[PartResult],
) -> tuple[list[float], list[tuple[float, PartResult]], float]:
    """Where each part is, where the headings with the first of their parts, and the height."""
    places: list[float] = []
    headings: list[tuple[float, PartResult]] = []
    end = 0.0
    for i, part in enumerate(parts):
        if i == 0 or (part.claim, part.part) != (parts[i - 1].claim, parts[i - 1].part):
            headings.append((end + 0.5, part))
            end += 1
        height = 1 + 0.55 * (len(_lines(part)) - 1)
        places.append(end + height / 2)
        end += height
    return places, headings, end


def _lines(part: PartResult) -> list[str]:
    budget = "" if part.budget == NOT_COMPARED else part.budget
    name = ", ".join(filter(None, (budget, part.group))) or "otherwise equal runs"
    return textwrap.wrap(with_method_names(name), _NAME_CHARACTERS)


def _limits(parts: Sequence[PartResult]) -> tuple[float, float]:
    """Around 1, the margins and the intervals, but no wider than can be read."""
    ends = [v for p in parts for v in (p.low, p.high, p.factor, p.margin) if np.isfinite(v)]
    ends = [float(np.clip(v, 1 / _WIDEST, _WIDEST)) for v in ends] or [1.0]
    return min(*ends, 0.8) / 1.1, max(*ends, 1.25) * 1.1


def _draw_claimed(axes: "Axes", place: float, part: PartResult) -> None:
    low, high = axes.get_xlim()
    ends = {
        "below": (low, part.margin),
        "above": (part.margin, high),
        "within": (1 / part.margin, part.margin),
    }[part.side]
    axes.fill_betweenx([place - 0.4, place + 0.4], *ends, color="#e6e6e6", linewidth=0, zorder=0)


def _draw_effect(axes: "Axes", place: float, part: PartResult) -> None:
    colour, marker = _LOOKS[part.verdict]
    draw_interval(
        axes,
        place,
        part.factor,
        part.low,
        part.high,
        colour=colour,
        name=name_of(part),
        kind="effect",
        marker=marker,
        filled=part.verdict != "undecided",
    )


def _write(axes: "Axes", place: float, part: PartResult) -> None:
    cells = [(-_LEFT_IN + 0.22, "\n".join(_lines(part)), "left")]
    if not isnan(part.factor):
        cells.append((_EFFECT_IN, factor_of(part), "left"))
    cells.append((_VERDICT_IN, part.verdict, "left"))
    cells.append((WIDTH_IN - _LEFT_IN - 0.08, str(part.n_clusters), "right"))
    for x, text, side in cells:
        colour = _LOOKS[part.verdict][0] if text == part.verdict else "black"
        _cell(axes, x, place, text, side, color=colour)


def _head(axes: "Axes") -> None:
    for x, text, side in (
        (-_LEFT_IN + 0.08, "claim, budget", "left"),
        (_EFFECT_IN, "effect", "left"),
        (_VERDICT_IN, "verdict", "left"),
        (WIDTH_IN - _LEFT_IN - 0.08, "checkpoints", "right"),
    ):
        _cell(axes, x, -0.6, text, side, weight="bold")


def _cell(axes: "Axes", x_in: float, y: float, text: str, side: str, **style: Any) -> None:  # noqa: ANN401 - of the text
    axes.text(
        x_in / _PLOT_IN,
        y,
        text,
        transform=axes.get_yaxis_transform(),
        ha=side,
        va="center" if "\n" in text else "center_baseline",
        fontsize=6,
        linespacing=1.0,
        **style,
    )


def _head_part(axes: "Axes", place: float, part: PartResult) -> None:
    """Say what a part states, under a thin rule across the whole figure if it begins a claim."""
    text = f"{part.claim}{part.part}  {part.statement}"
    beneath = {"facecolor": "white", "edgecolor": "none", "pad": 0.5}
    _cell(axes, -_LEFT_IN + 0.08, place, text, "left", weight="bold", bbox=beneath)
    if part.part == "a" and place:
        axes.plot(
            [-_LEFT_IN / _PLOT_IN, (WIDTH_IN - _LEFT_IN) / _PLOT_IN],
            [place - 0.5, place - 0.5],
            color="#bbbbbb",
            linewidth=0.4,
            transform=axes.get_yaxis_transform(),
            clip_on=False,
        )
