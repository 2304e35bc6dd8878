"""A fitted law: its numbers, its predictions, its report, and its form as plain data."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import exp
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mfscale.scaling import files
from mfscale.scaling.cautions import FitWarning, extrapolation
from mfscale.scaling.errors import FitError
from mfscale.scaling.laws import Law, Scale
from mfscale.scaling.options import Options
from mfscale.scaling.parameters import IntervalMethod, Parameter, Sampling
from mfscale.scaling.prediction import Points, points_of, predict
from mfscale.scaling.rows import Exclusion, Scalar
from mfscale.scaling.solution import Solution
from mfscale.scaling.vectors import StoredVector, Vector
from mfscale.scaling.wild import Moments


@dataclass(frozen=True)
class Axis:
    """A predictor: its column, its reference (at which amplitudes are reported) and its range."""

    column: str
    reference: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True, eq=False)
class Fit:
    """A law fitted to the rows of one group.

    Numbers that the data cannot determine are NaN (null in JSON), with a warning that says why.

    Attributes
    ----------
    law, form
        Name of the law, and the law itself.
    axes
        Role in the law → predictor.
    y, y_unit
        Its column, and the smallest y, in units of which the law was fitted.
    group
        Column → the value that the fitted rows share; empty without groups.
    cluster
        Column of the unit of replication (the pre-trained checkpoint), or None.
    options
        How it was fitted: loss, residuals, coefficients held or bounded, level.
    parameters
        By name, with standard errors and intervals; derived quantities last.
    solution
        The estimate behind them: covariance and how it was found, sigma, numbers of rows and
        clusters, estimates without each cluster, and how the search ended.
    intervals
        How intervals were found: Student's t, the wild cluster bootstrap, or percentile or BCa of
        the draws.
    draws
        Cluster-bootstrap draws of all coefficients of the law, as reported and in the order of
        ``form.names``, shape ``(n_draws, P)``; rows of NaN did not determine the law.
    lack_of_fit
        P-value of the test that the law's form is wrong, from replicates; NaN without any.
    exclusions, warnings
        Rows left out, and what a reader must know.
    fingerprint
        SHA-256 of the rows used, whatever their order.
    versions
        Library → version.
    moments
        What wild cluster intervals are computed from; None for all others.
    """

    law: str
    form: Law = field(repr=False)
    axes: dict[str, Axis]
    y: str
    y_unit: float
    group: dict[str, Scalar]
    cluster: str | None
    options: Options
    parameters: dict[str, Parameter]
    solution: Solution
    intervals: IntervalMethod
    draws: StoredVector = field(repr=False)
    lack_of_fit: float
    exclusions: tuple[Exclusion, ...]
    warnings: tuple[FitWarning, ...]
    fingerprint: str
    versions: dict[str, str]
    moments: Moments | None = None

    @property
    def determined(self) -> bool:
        """Whether the rows determine the law at all; if not, the first warning says why not."""
        return not bool(np.isnan(self.solution.theta).any())

    @property
    def has_interval(self) -> bool:
        """Whether anything is known of how sure the law is."""
        return self.intervals != "none"

    @property
    def x(self) -> str:
        """The predictor's column; several are joined by commas."""
        return ", ".join(axis.column for axis in self.axes.values())

    @property
    def reference(self) -> float:
        """The reference of the only predictor; of several, see `axes`."""
        return self._axis.reference

    @property
    def x_range(self) -> tuple[float, float]:
        """Smallest and largest x of the only predictor; of several, see `axes`."""
        return self._axis.low, self._axis.high

    @property
    def level(self) -> float:
        """Of every interval, as a fraction."""
        return self.options.level

    @property
    def n_rows(self) -> int:
        """Rows fitted."""
        return self.solution.n_points

    @property
    def n_clusters(self) -> int:
        """Independent clusters; the number of rows if no cluster column was named."""
        return self.solution.n_clusters

    @property
    def r_squared(self) -> float:
        """Share of the variance of ln y (of y, with linear residuals) that the law explains."""
        return self.solution.r_squared

    @property
    def sigma(self) -> float:
        """Standard deviation of ln y (of y, with linear residuals) of a new run about the law."""
        return self.solution.sigma

    @property
    def sigma_factor(self) -> float:
        """`sigma` as a factor on y: two thirds of new runs lie within this factor of the law."""
        return exp(self.sigma)

    @property
    def scale(self) -> Scale:
        """The units in which the law was fitted."""
        return Scale(self.y_unit, {role: axis.reference for role, axis in self.axes.items()})

    @property
    def estimates(self) -> Vector:
        """Reported coefficients in the order of ``form.names``, shape ``(P,)``."""
        return np.array([self.parameters[name].estimate for name in self.form.names])

    @property
    def internal(self) -> Vector:
        """All internal coefficients, shape ``(P,)``: what the law's Jacobian refers to."""
        return self.form.internal(self.estimates, self.scale)

    @property
    def sampling(self) -> Sampling:
        """What intervals of anything computed from this fit are read from."""
        left_out = np.repeat(self.internal[None], len(self.solution.left_out), axis=0)
        places = [self.form.names.index(name) for name in self.solution.estimated]
        left_out[:, places] = self.solution.left_out
        draws = self.form.internal(self.draws, self.scale)
        return Sampling(
            self.intervals, self.level, draws, left_out, self.solution.degrees_of_freedom
        )

    def scaled(self, points: Mapping[str, Vector]) -> tuple[Vector, ...]:
        """Predictors as the law takes them."""
        return tuple(values / self.axes[role].reference for role, values in points.items())

    def median(self, predictors: Points, parameters: Vector | None = None) -> Vector:
        """Evaluate the law at m points, for any number of draws at once.

        Parameters
        ----------
        predictors
            As in `predict`.
        parameters
            Reported coefficients, shape ``(n_draws, P)``, such as `draws`; by default the
            estimates.

        Returns
        -------
        Vector
            Shape ``(n_draws, m)``, or ``(m,)`` for the estimates.
        """
        points = self.scaled(points_of(self, predictors))
        given = self.estimates[None] if parameters is None else parameters
        ln_y = self.form.log_value(self.form.internal(given, self.scale), points)[0]
        y = np.exp(ln_y) * self.y_unit
        return np.asarray(y[0] if parameters is None else y)

    def predict(self, x: Points) -> pd.DataFrame:
        """Predict y.

        Parameters
        ----------
        x
            Values of the predictor; for several, a mapping (or DataFrame) of roles or columns to
            values, which are paired.

        Returns
        -------
        DataFrame
            One row per point: the predictors by role (``x`` if it is the only one); ``median``
            (the exponential of a mean of ln y is the *median* of y, below its mean by a factor
            exp(sigma²/2)); ``mean_low``, ``mean_high``, the interval of the law itself;
            ``new_run_low``, ``new_run_high``, the interval of one new run from a new cluster;
            ``decades_from_data``, 0 within the ranges of all predictors.

        Raises
        ------
        FitError
            For an x that is not positive and finite, or a law that the data did not determine.
        """
        return predict(self, x)

    def warnings_at(self, x: Points) -> tuple[FitWarning, ...]:
        """The fit's own warnings, and one for each point that lies beyond the data."""
        predicted = self.predict(x)
        beyond = predicted[predicted["decades_from_data"] > 0]
        return self.warnings + tuple(
            extrapolation(
                {
                    axis.column: (float(row[role]), axis.low, axis.high)
                    for role, axis in self.axes.items()
                },
                float(row["decades_from_data"]),
            )
            for _, row in beyond.iterrows()
        )

    def influence(self) -> pd.DataFrame:
        """What each cluster does to the law, the most influential first.

        Returns
        -------
        DataFrame
            One row per cluster: ``cluster`` (its name; the row's label if no cluster column was
            named), for each estimated coefficient its value without that cluster, and ``share``,
            the largest share of any coefficient's jackknife variance that the cluster accounts
            for. NaN where the law is not determined without it.
        """
        left_out = self.sampling.left_out
        places = [self.form.names.index(name) for name in self.solution.estimated]
        reported = self.form.reported(left_out, self.scale)[:, places]
        table = pd.DataFrame(reported, columns=list(self.solution.estimated))
        table.insert(0, "cluster", list(self.solution.clusters))
        table["share"] = influence_shares(self.solution).max(axis=1)
        return table.sort_values("share", ascending=False, ignore_index=True)

    def report(
        self,
        *,
        x_name: str | None = None,
        y_name: str | None = None,
        group_name: str | None = None,
    ) -> str:
        """The law in words and numbers; names given stand for those of columns and the group."""
        from mfscale.scaling.text import report  # noqa: PLC0415 - which imports this module

        return report(self, x_name, y_name or self.y, group_name)

    def __str__(self) -> str:
        return self.report()

    def to_dict(self) -> dict[str, Any]:
        """Plain data that strict JSON can hold; `from_dict` restores it exactly."""
        return files.plain(self)

    @classmethod
    def from_dict(cls, content: dict[str, Any], *, law: Law | None = None) -> "Fit":
        """Restore a fit; a law of one's own is saved by name, and must be passed in `law`.

        Raises
        ------
        FitError
            For data that is not a fit, or was written by another version, or a law not known.
        """
        return files.restore(cls, content, law)

    def save(self, path: str | Path) -> None:
        """Write the fit to a JSON file, with its draws."""
        text = json.dumps(self.to_dict(), allow_nan=False, ensure_ascii=False)
        Path(path).write_text(text + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: str | Path, *, law: Law | None = None) -> "Fit":
        """Read a fit; see `from_dict`.

        Raises
        ------
        FitError
            Likewise, and for a file that cannot be read.
        """
        try:
            content = json.loads(Path(path).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise FitError(f"{path} cannot be read as a fit: {error}") from error
        return cls.from_dict(content, law=law)

    @property
    def _axis(self) -> Axis:
        (axis, *others) = self.axes.values()
        if others:
            raise FitError(f"the {self.law} law has several predictors; see its axes")
        return axis


def influence_shares(solution: Solution) -> Vector:
    """Share of each cluster in each coefficient's jackknife variance, ``(G, p)``."""
    squares = (solution.left_out - solution.theta) ** 2
    totals = np.nansum(squares, axis=0)
    return np.asarray(squares / np.where(totals > 0, totals, 1.0))
