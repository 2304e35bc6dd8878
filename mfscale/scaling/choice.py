"""Which law? By AICc, and by how well the smaller sizes foretell the larger ones.

R² alone favours whichever law bends most. AICc (Hurvich & Tsai, *Biometrika* 76, 1989, 297) charges
for every coefficient, but asks about the sizes that were run; rolling extrapolation asks what a law
is wanted for, and so goes first.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, log, nan, pi

import numpy as np
import pandas as pd

from mfscale.scaling.errors import FitError
from mfscale.scaling.fitting import fit
from mfscale.scaling.laws import Law, law_named
from mfscale.scaling.numerals import format_number, format_percent
from mfscale.scaling.replicates import cells
from mfscale.scaling.result import Fit
from mfscale.scaling.rows import Columns, Rows, rows_by_group

_FEWEST_SIZES = 3  # on which an extrapolation may rest


@dataclass(frozen=True, kw_only=True, eq=False)
class Choice:
    """How laws compare on one table.

    Attributes
    ----------
    table
        One row per law, the best extrapolation first: ``law``, ``coefficients`` (estimated),
        ``AICc``, ``delta`` (AICc above the least), ``weight`` (Akaike's: relative likelihood among
        these laws), ``RMSLE`` (root mean square of ln predicted − ln measured, of held-out sizes),
        ``coverage`` (share of held-out runs inside the interval of a new run), ``held_out`` (runs
        scored, over all cuts), ``decades`` (the furthest extrapolation).
    fits
        Each law fitted to the whole table, in the order of the table.
    along, cuts
        Column along which sizes were held out, and the largest size that was fitted each time.
    level
        Of the interval that `coverage` should match.
    """

    table: pd.DataFrame
    fits: tuple[Fit, ...]
    along: str
    cuts: tuple[float, ...]
    level: float

    def __str__(self) -> str:
        cuts = ", ".join(format_number(cut) for cut in self.cuts)
        lines = [
            f"{row['law']}: AICc {format_number(row['AICc'])} (+{format_number(row['delta'])}, "
            f"weight {format_number(row['weight'], 2)}), {row['coefficients']} coefficients; "
            f"extrapolates with RMSLE {format_number(row['RMSLE'])}, "
            f"{format_percent(self.level)} intervals hold {format_number(100 * row['coverage'])}% "
            f"of {row['held_out']} held-out runs"
            for row in self.table.to_dict("records")
        ]
        rolled = f"{self.along} up to {cuts}" if cuts else f"none: too few values of {self.along}"
        return "\n".join([*lines, f"fitted for the extrapolations: {rolled}"])


def choose(
    frame: pd.DataFrame,
    laws: Sequence[str | Law],
    *,
    x: str | Sequence[str],
    y: str,
    along: str | None = None,
    cluster: str | None = None,
    level: float = 0.95,
) -> Choice:
    """Compare laws on the rows of one group.

    Parameters
    ----------
    frame, y, cluster, level
        As in `fit`.
    laws
        Two or more, of as many predictors as `x` has columns.
    x
        Column or columns, in the order of each law's predictors.
    along
        The one of them whose smaller values are fitted and larger ones foretold; the first by
        default. Beginning with the smallest sizes that determine every law, each cut in turn
        scores all larger sizes.

    Returns
    -------
    Choice
        AICc counts the means of each cluster at each place, by their least squares of ln y. Where
        clusters scatter as wholes there is less evidence than it believes.

    Raises
    ------
    FitError
        As in `fit`, and for fewer than two laws.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> labels = np.repeat([10, 20, 40, 80, 160, 320, 640, 1280], 3)
    >>> noise = np.exp(0.03 * np.sin(np.arange(24.0) ** 2))
    >>> table = pd.DataFrame({"labels": labels, "mae": (2 + 60 / labels) * noise})
    >>> found = choose(table, ["power", "saturating power"], x="labels", y="mae")
    >>> list(found.table["law"])
    ['saturating power', 'power']
    """
    x = [x] if isinstance(x, str) else list(x)
    along = along or x[0]
    if along not in x:
        raise FitError(f"along = {along!r} is not one of the predictors, {', '.join(x)}")
    asked = [law_named(law, x) if isinstance(law, str) else law for law in laws]
    if len({law.name for law in asked}) < max(2, len(asked)):
        raise FitError("choose compares two laws or more, each named once")
    rows = {law.name: _rows(frame, law, x, y, cluster) for law in asked}
    fits = [_fit(frame, law, x, y, cluster, level) for law in asked]
    for found in fits:
        if not found.determined:
            raise FitError(f"the {found.law} law: {found.warnings[0].message}")
    scores, cuts = _roll(frame, asked, x, y, along, cluster, level)
    table = pd.DataFrame(
        [
            {
                "law": found.law,
                "coefficients": len(found.solution.estimated),
                "AICc": _aicc(found, rows[found.law]),
                **scores[found.law],
            }
            for found in fits
        ]
    )
    least = table["AICc"].min()
    table.insert(3, "delta", table["AICc"] - least)
    weights = np.exp(-table["delta"] / 2)
    table.insert(4, "weight", weights / weights.sum())
    order = table.sort_values(["RMSLE", "AICc"], kind="stable").index
    return Choice(
        table=table.loc[order].reset_index(drop=True),
        fits=tuple(fits[i] for i in order),
        along=along,
        cuts=cuts,
        level=level,
    )


def _roles(law: Law, x: Sequence[str]) -> dict[str, str]:
    if len(law.predictors) != len(x):
        raise FitError(
            f"the {law.name} law is of {', '.join(law.predictors)}; x names {len(x)} columns"
        )
    return dict(zip(law.predictors, x, strict=True))


def _rows(frame: pd.DataFrame, law: Law, x: Sequence[str], y: str, cluster: str | None) -> Rows:
    (rows,) = rows_by_group(frame, Columns(_roles(law, x), y, (), cluster, law.may_be_zero))
    return rows


def _fit(
    frame: pd.DataFrame,
    law: Law,
    x: Sequence[str],
    y: str,
    cluster: str | None,
    level: float,
) -> Fit:
    (found,) = fit(frame, law, x=_roles(law, x), y=y, cluster=cluster, level=level, draws=0)
    return found


def _aicc(found: Fit, rows: Rows) -> float:
    """AICc = n (ln(2π RSS/n) + 1) + 2k + 2k(k + 1)/(n − k − 1), where k counts sigma too."""
    residuals = np.log(rows.y) - np.log(found.median(rows.predictors))
    places = np.column_stack(list(rows.predictors.values()))
    means = cells(places, residuals, rows.clusters).means
    n, k = len(means), len(found.solution.estimated) + 1
    if n <= k + 1:
        return inf
    rss = max(float(np.sum(means**2)), 1e-300)
    return n * (log(2 * pi * rss / n) + 1) + 2 * k + 2 * k * (k + 1) / (n - k - 1)


def _roll(
    frame: pd.DataFrame,
    laws: Sequence[Law],
    x: Sequence[str],
    y: str,
    along: str,
    cluster: str | None,
    level: float,
) -> tuple[dict[str, dict[str, float]], tuple[float, ...]]:
    """Scores of each law over all cuts at which every law is determined, and those cuts."""
    values = pd.to_numeric(frame[along], errors="coerce")
    sizes = np.unique(values[np.isfinite(values)])
    parts: dict[str, list[pd.DataFrame]] = {law.name: [] for law in laws}
    cuts = []
    for cut in sizes[_FEWEST_SIZES - 1 : -1]:
        smaller, larger = frame[values <= cut], frame[values > cut]
        fitted = [_fit_if_possible(smaller, law, x, y, cluster, level) for law in laws]
        if all(found is not None and found.has_interval for found in fitted):
            cuts.append(float(cut))
            for law, found in zip(laws, fitted, strict=True):
                if found is not None:
                    parts[law.name].append(_foretold(found, _rows(larger, law, x, y, cluster)))
    return {name: _score(found) for name, found in parts.items()}, tuple(cuts)


def _fit_if_possible(
    frame: pd.DataFrame, law: Law, x: Sequence[str], y: str, cluster: str | None, level: float
) -> Fit | None:
    try:
        return _fit(frame, law, x, y, cluster, level)
    except FitError:  # so few sizes do not determine it
        return None


def _foretold(found: Fit, rows: Rows) -> pd.DataFrame:
    predicted = found.predict(rows.predictors)
    return predicted.assign(
        miss=np.log(predicted["median"]) - np.log(rows.y),
        held=(rows.y >= predicted["new_run_low"]) & (rows.y <= predicted["new_run_high"]),
    )


def _score(parts: Sequence[pd.DataFrame]) -> dict[str, float]:
    if not parts:
        return {"RMSLE": nan, "coverage": nan, "held_out": 0, "decades": nan}
    whole = pd.concat(parts)
    return {
        "RMSLE": float(np.sqrt(np.mean(whole["miss"] ** 2))),
        "coverage": float(whole["held"].mean()),
        "held_out": len(whole),
        "decades": float(whole["decades_from_data"].max()),
    }
