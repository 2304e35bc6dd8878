"""The figures of mixes of labels that ``plot --mixes`` draws."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mfscale.cli import _mixing
from mfscale.cli._output import stderr

if TYPE_CHECKING:
    from mfscale.report.mixes import MixedLabels
    from mfscale.scaling import Fit

PROBABILITIES = (0.1, 0.5, 0.9)
_POINTS = 12  # of a frontier


def draw_mixes(
    mixing: _mixing.Mixing, costs: Mapping[str, float], level: float, out: Path
) -> list[Path]:
    """Draw cost against error and, of two methods, error over labels; return the files."""
    from mfscale.report import ReportError, save
    from mfscale.report.label_map import error_over_labels
    from mfscale.report.mixes import cost_against_error

    fits = mixing.fits(None, level)
    mixed = [_mixed(mixing, found, costs) for found in fits if found.has_interval]
    if not mixed:
        raise ReportError(
            f"how sure any law of a mix is, is unknown: {fits[0].warnings[0].message}"
        )
    written: list[Path] = []
    reasons: list[ReportError] = []
    for draw, name in (
        (cost_against_error, "cost-against-error"),
        (error_over_labels, "label-map"),
    ):
        try:
            written += save(draw(mixed), out / name)
        except ReportError as error:
            reasons.append(error)
    if not written:
        raise reasons[0]
    for reason in reasons:
        stderr.print(f"left out: {reason}", soft_wrap=True)
    return written


def _mixed(mixing: _mixing.Mixing, found: "Fit", costs: Mapping[str, float]) -> "MixedLabels":
    from mfscale.report.mixes import MixedLabels
    from mfscale.scaling import mix

    rows = next(part for part in mixing.parts if _is_of(part.iloc[0].to_dict(), found.group))
    prices = _mixing.prices(mixing, costs, found)
    error = float(rows[mixing.y].median())
    mixes = {
        p: mix(found, error, costs=prices, probability=p, frontier=_POINTS) for p in PROBABILITIES
    }
    return MixedLabels(fit=found, rows=rows, costs=prices, mixes=mixes)


def _is_of(row: Mapping[Any, Any], group: Mapping[str, object]) -> bool:
    import pandas as pd

    return all(
        bool(pd.isna(row[column])) if value is None else row[column] == value
        for column, value in group.items()
    )
