"""How every figure looks: sizes for a single journal column, colours, ticks of log axes."""

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.typing import RcKeyType

WIDTH_IN = 3.5  # one column of a journal

# Fonts that matplotlib brings, so that a figure is the same everywhere; 42 embeds them as TrueType.
SETTINGS: "dict[RcKeyType, Any]" = {
    "font.family": "DejaVu Sans",
    "font.size": 7,
    "axes.labelsize": 8,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.minor.width": 0.4,
    "ytick.minor.width": 0.4,
    "lines.linewidth": 1.2,
    "pdf.fonttype": 42,
    "figure.facecolor": "white",
}
MARKERS = "osD^vPX"
NEUTRAL = "#4d4d4d"  # the reference group, outside the order

# Mantissas of ticks, sparsest first; the first set that gives three ticks is used.
_MANTISSAS: tuple[tuple[float, ...], ...] = (
    (1,),
    (1, 2, 5),
    (1, 1.5, 2, 3, 5, 7),
    (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 7, 8, 9),
)


def ordered_colours(n: int) -> list[str]:
    """Colours from dark to light along viridis: ordered also in grey and to the colour-blind."""
    import matplotlib as mpl  # noqa: PLC0415 - drawing alone needs it
    from matplotlib.colors import to_hex  # noqa: PLC0415 - likewise

    return [
        to_hex(mpl.colormaps["viridis"](place)) for place in np.linspace(0.08, 0.82, max(n, 2))
    ][:n]


def log_ticks(low: float, high: float) -> list[float]:
    """Round numbers between two positive ones, few enough to read on a log axis."""
    decades = range(int(np.floor(np.log10(low))), int(np.ceil(np.log10(high))) + 1)
    for mantissas in _MANTISSAS:
        ticks = [m * 10.0**d for d in decades for m in mantissas if low <= m * 10.0**d <= high]
        if len(ticks) >= 3:
            return ticks
    from matplotlib.ticker import MaxNLocator  # noqa: PLC0415 - likewise

    evenly = MaxNLocator(4, steps=[1, 2, 5, 10]).tick_values(low, high)
    return [float(tick) for tick in evenly if low <= tick <= high]


def sizes_as_ticks(values: Sequence[float]) -> list[float] | None:
    """The values themselves, if they are few, whole and well apart, as numbers of labels are."""
    sizes = sorted(set(values))
    whole = all(float(size).is_integer() for size in sizes)
    apart = all(after >= 1.4 * before for before, after in pairwise(sizes))
    return sizes if 2 <= len(sizes) <= 7 and whole and apart else None


def minor_log_ticks(low: float, high: float) -> list[float]:
    """Every digit times every power of ten between two positive numbers, to show the log scale."""
    decades = range(int(np.floor(np.log10(low))), int(np.ceil(np.log10(high))) + 1)
    return [m * 10.0**d for d in decades for m in range(1, 10) if low <= m * 10.0**d <= high]


def tick_labels(ticks: Sequence[float]) -> list[str]:
    """Plain numbers, with a thin space between thousands from 10 000 on."""
    return [
        f"{tick:,.0f}".replace(",", "\u2009") if tick >= 10_000 else f"{tick:.6g}" for tick in ticks
    ]
