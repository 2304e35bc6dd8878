"""What a figure of laws draws: for each fit its rows, its name, its colour and its marker."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mfscale.report.errors import ReportError
from mfscale.report.naming import is_direct, names_of_groups
from mfscale.report.style import MARKERS, NEUTRAL, ordered_colours
from mfscale.scaling import Fit, Scalar

WIDEST_BAND = 4  # highest over lowest, at the ends of the data
MOST_BANDS = 6  # in one panel; more hide one another
BEYOND = 10**0.12  # the factor by which a law is drawn, dashed, beyond its data


@dataclass(frozen=True)
class DrawnLaw:
    """A fit and how it is shown; `rows` are those that it rests on, of the table that was fitted.

    `panel` is the value that chooses the panel; None where there is one panel. `name_in_panel` and
    `group_in_panel` tell the laws of one panel apart, without what the panel tells. `held_out` are
    rows of the same group that were not fitted.
    """

    fit: Fit
    name: str
    name_in_panel: str
    group_in_panel: Mapping[str, Scalar] = field(repr=False)
    rows: pd.DataFrame = field(repr=False)
    colour: str
    marker: str
    panel: Scalar = None
    held_out: pd.DataFrame = field(default_factory=pd.DataFrame, repr=False)

    @property
    def held_out_xy(self) -> NDArray[np.float64]:
        """Predictor and error of the rows that were not fitted, shape ``(n, 2)``."""
        if self.held_out.empty:
            return np.empty((0, 2))
        return np.column_stack(
            [_numbers(self.held_out, self.fit.x), _numbers(self.held_out, self.fit.y)]
        )

    @property
    def x(self) -> NDArray[np.float64]:
        """Predictor of each row, shape ``(n,)``."""
        return _numbers(self.rows, self.fit.x)

    @property
    def y(self) -> NDArray[np.float64]:
        """Error of each row, shape ``(n,)``."""
        return _numbers(self.rows, self.fit.y)

    @property
    def held_out_ratios(self) -> NDArray[np.float64]:
        """Error of each row that was not fitted over what the law foretells, shape ``(n,)``."""
        x, y = self.held_out_xy.T
        return np.asarray(y / self.fit.median(x) if len(x) else y)

    @property
    def ends(self) -> tuple[float, float]:
        """How far the law is drawn: somewhat beyond its data, and to what was held out."""
        low, high = self.fit.x_range
        others = self.held_out_xy[:, 0]
        return min([low / BEYOND, *others]), max([high * BEYOND, *others])

    def has_interval(self) -> bool:
        """Whether anything is known of how sure the law is."""
        return self.fit.has_interval

    def band_is_too_wide(self) -> bool:
        """Whether the band of the law would hide the others, as with three clusters it can."""
        if not self.has_interval():
            return False
        ends = self.fit.predict(self.fit.x_range)
        return bool((ends["mean_high"] > WIDEST_BAND * ends["mean_low"]).any())


def drawn_laws(
    frame: pd.DataFrame,
    fits: Sequence[Fit],
    law: str,
    x: str,
    y: str,
    group: Sequence[str],
    panel: str | None = None,
    held_out: pd.DataFrame | None = None,
) -> list[DrawnLaw]:
    """Check that `fits` belong to `frame`, and choose names and looks.

    Groups that differ in `panel` alone look alike. Those without pre-training come first; one such
    look alone is grey, outside the order.

    Raises
    ------
    ReportError
        If there is nothing to draw, or the fits are of another law, table or columns.
    """
    if not fits:
        raise ReportError("there is no fitted law to draw; fit one first")
    asked = (law, x, y, list(group))
    for fit in fits:
        given = (fit.law, fit.x, fit.y, list(fit.group))
        if given != asked:
            raise ReportError(f"the fit is {_words(*given)}, the figure {_words(*asked)}")
    for column in {x, y, *group, *(fit.cluster for fit in fits if fit.cluster)}:
        if column not in frame.columns:
            raise ReportError(f"the table has no column {column!r}; draw the table that was fitted")
    ordered = sorted(fits, key=lambda fit: not is_direct(fit.group))
    inside = _names_in_panels(ordered, panel)
    kinds = list(dict.fromkeys(inside))
    direct = {name for name, fit in zip(inside, ordered, strict=True) if is_direct(fit.group)}
    references = 1 if len(direct) == 1 else 0
    colours = [NEUTRAL] * references + ordered_colours(len(kinds) - references)
    looks = {
        kind: (colour, MARKERS[i % len(MARKERS)])
        for i, (kind, colour) in enumerate(zip(kinds, colours, strict=True))
    }
    names = names_of_groups([fit.group for fit in ordered])
    return [
        DrawnLaw(
            fit,
            name,
            within,
            _without(fit, panel),
            _rows_of(frame, fit),
            *looks[within],
            panel=fit.group[panel] if panel else None,
            held_out=pd.DataFrame() if held_out is None else held_out[_in_group(held_out, fit)],
        )
        for fit, name, within in zip(ordered, names, inside, strict=True)
    ]


def _names_in_panels(fits: Sequence[Fit], panel: str | None) -> list[str]:
    """Names that tell apart the groups of each panel, which need not say the panel's value."""
    names = [""] * len(fits)
    for value in dict.fromkeys(fit.group[panel] if panel else None for fit in fits):
        places = [i for i, fit in enumerate(fits) if not panel or fit.group[panel] == value]
        inside = names_of_groups([_without(fits[i], panel) for i in places])
        for i, name in zip(places, inside, strict=True):
            names[i] = name
    return names


def _without(fit: Fit, panel: str | None) -> dict[str, Scalar]:
    return {column: value for column, value in fit.group.items() if column != panel}


def _in_group(frame: pd.DataFrame, fit: Fit) -> NDArray[np.bool_]:
    mask = np.ones(len(frame), dtype=bool)
    for column, value in fit.group.items():
        series = frame[column]
        mask &= (series.isna() if value is None else series == value).to_numpy(
            dtype=bool, na_value=False
        )
    return mask


def _rows_of(frame: pd.DataFrame, fit: Fit) -> pd.DataFrame:
    mask = _in_group(frame, fit)
    if fit.cluster is not None:
        mask &= frame[fit.cluster].notna().to_numpy(dtype=bool)
    rows = frame[mask]
    x, y = _numbers(rows, fit.x), _numbers(rows, fit.y)
    usable = np.isfinite(x) & np.isfinite(y) & (x > 0) & (y > 0)
    if int(usable.sum()) != fit.n_rows:
        raise ReportError(
            f"the law of {fit.group or 'all rows'} rests on {fit.n_rows} rows, but the table has "
            f"{int(usable.sum())} of them; draw the table that was fitted"
        )
    return rows[usable]


def _numbers(rows: pd.DataFrame, column: str) -> NDArray[np.float64]:
    return np.asarray(rows[column].to_numpy(dtype=float, na_value=np.nan))


def _words(law: str, x: str, y: str, group: list[str]) -> str:
    return f"a {law} law of {y} against {x}" + (f" by {', '.join(group)}" if group else "")
