"""Fit a law to each group of a table, and put several fits into one table."""

from collections.abc import Sequence
from importlib.metadata import version
from math import exp, nan

import numpy as np
import pandas as pd

from mfscale.scaling.cautions import cautions
from mfscale.scaling.errors import FitError
from mfscale.scaling.laws import Law, law_named
from mfscale.scaling.regression import is_determined, lack_of_fit, straight_line
from mfscale.scaling.result import Fit
from mfscale.scaling.rows import Rows, rows_by_group


def fit(
    frame: pd.DataFrame,
    law: str,
    *,
    x: str,
    y: str,
    group: Sequence[str] | str | None = None,
    cluster: str | None = None,
    level: float = 0.95,
) -> list[Fit]:
    """Fit a law by least squares on ln y, because the noise of an error is multiplicative.

    Parameters
    ----------
    frame
        One row per run. Rows whose x or y is missing or not positive are left out, and listed by
        their index label in the fit.
    law
        ``"power"``, y = A · x^−β, or ``"line"``, ln y = a + b · ln x.
    x, y
        Columns, in any unit.
    group
        Column or columns; each combination of values gets its own fit.
    cluster
        Column of the unit of replication: runs that share a pre-trained checkpoint are not
        independent. Without it every row counts as independent.
    level
        Of the intervals, as a fraction.

    Returns
    -------
    list of Fit
        One per group, in natural order. A group without two different x gets a fit of NaN and a
        warning, so that one unfinished group does not hide the others.

    Raises
    ------
    FitError
        For an unknown law, level or column, values that are not numbers, or no group with two
        different x.

    Examples
    --------
    >>> table = pd.DataFrame({"labels": [10, 20, 40, 80], "mae": [8.0, 4.1, 2.0, 0.99]})
    >>> [law] = fit(table, "power", x="labels", y="mae")
    >>> round(law.parameters["exponent"].estimate, 2)
    1.01
    """
    chosen = law_named(law)
    if not 0 < level < 1:
        raise FitError(f"level = {level:g}; give a fraction between 0 and 1, such as 0.95")
    group = [group] if isinstance(group, str) else list(group or ())
    groups = rows_by_group(frame, x=x, y=y, group=group, cluster=cluster)
    fits = [_fit(rows, chosen, x=x, y=y, cluster=cluster, level=level) for rows in groups]
    if not any(found.determined for found in fits):
        reasons = "; ".join(dict.fromkeys(found.warnings[0].message for found in fits))
        raise FitError(f"no {law} law of {y} against {x} can be fitted: {reasons}")
    return fits


def summary(fits: Sequence[Fit]) -> pd.DataFrame:
    """One row per fit, for printing and for JSON.

    Returns
    -------
    DataFrame
        The group columns, then ``law``, ``x``, ``y``; for each parameter NAME the columns
        ``NAME``, ``NAME_se``, ``NAME_low``, ``NAME_high``; then ``reference``, ``sigma``,
        ``r_squared``, ``n_rows``, ``n_clusters``, ``n_excluded``, ``degrees_of_freedom``,
        ``covariance``, ``level``, ``x_low``, ``x_high`` and ``warnings`` (codes, comma-separated).
    """
    return pd.DataFrame([_record(found) for found in fits])


def _fit(rows: Rows, law: Law, *, x: str, y: str, cluster: str | None, level: float) -> Fit:
    ln_x, ln_y = np.log(rows.x), np.log(rows.y)
    line = straight_line(ln_x, ln_y, rows.clusters)
    lack = lack_of_fit(ln_x, ln_y, rows.clusters) if is_determined(line) else nan
    return Fit(
        law=law.name,
        x=x,
        y=y,
        group=rows.group,
        cluster=cluster,
        level=level,
        parameters=law.parameters(line, level),
        line=line,
        reference=exp(line.centre),
        x_range=(float(rows.x.min()), float(rows.x.max())) if len(rows.x) else (nan, nan),
        lack_of_fit=lack,
        exclusions=rows.exclusions,
        warnings=cautions(line, x=x, cluster=cluster, level=level, lack=lack),
        fingerprint=rows.fingerprint,
        versions={name: version(name) for name in ("mfscale", "numpy", "scipy", "statsmodels")},
    )


def _record(found: Fit) -> dict[str, object]:
    parameters = {
        f"{name}{suffix}": value
        for name, parameter in found.parameters.items()
        for suffix, value in (
            ("", parameter.estimate),
            ("_se", parameter.standard_error),
            ("_low", parameter.low),
            ("_high", parameter.high),
        )
    }
    return {
        **found.group,
        "law": found.law,
        "x": found.x,
        "y": found.y,
        **parameters,
        "reference": found.reference,
        "sigma": found.sigma,
        "r_squared": found.r_squared,
        "n_rows": found.n_rows,
        "n_clusters": found.n_clusters,
        "n_excluded": len(found.exclusions),
        "degrees_of_freedom": found.line.degrees_of_freedom,
        "covariance": found.line.method,
        "level": found.level,
        "x_low": found.x_range[0],
        "x_high": found.x_range[1],
        "warnings": ",".join(warning.code for warning in found.warnings),
    }
