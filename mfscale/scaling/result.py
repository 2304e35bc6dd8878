"""A fitted law: its numbers, its predictions, its report, and its form as plain data."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import exp, isfinite, isnan, nan
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError

from mfscale.scaling.cautions import FitWarning, extrapolation
from mfscale.scaling.errors import FitError
from mfscale.scaling.laws import Parameter
from mfscale.scaling.regression import Line, is_determined, quantile, standard_error
from mfscale.scaling.rows import Exclusion, Scalar

FORMAT = 1


@dataclass(frozen=True, kw_only=True)
class Fit:
    """A law fitted to the rows of one group.

    Numbers that the data cannot determine are NaN (null in JSON), with a warning that says why.

    Attributes
    ----------
    law, x, y
        Name of the law and of its columns.
    group
        Column → the value that the fitted rows share; empty without groups.
    cluster
        Column of the unit of replication (the pre-trained checkpoint), or None.
    level
        Of every interval, as a fraction.
    parameters
        By name, with standard errors and intervals.
    line
        The straight line in logarithms behind the law: coefficients, covariance and how it was
        found, R², sigma, numbers of rows and clusters.
    reference
        The geometric mean of x, at which amplitudes are reported.
    x_range
        Smallest and largest x.
    lack_of_fit
        P-value of the test that the law's form is wrong, from replicates; NaN without any.
    exclusions, warnings
        Rows left out, and what a reader must know.
    fingerprint
        SHA-256 of the rows used, whatever their order.
    versions
        Library → version.
    """

    law: str
    x: str
    y: str
    group: dict[str, Scalar]
    cluster: str | None
    level: float
    parameters: dict[str, Parameter]
    line: Line
    reference: float
    x_range: tuple[float, float]
    lack_of_fit: float
    exclusions: tuple[Exclusion, ...]
    warnings: tuple[FitWarning, ...]
    fingerprint: str
    versions: dict[str, str]

    @property
    def determined(self) -> bool:
        """Whether the rows determine the law at all; if not, the first warning says why not."""
        return is_determined(self.line)

    @property
    def n_rows(self) -> int:
        """Rows fitted."""
        return self.line.n_points

    @property
    def n_clusters(self) -> int:
        """Independent clusters; the number of rows if no cluster column was named."""
        return self.line.n_clusters

    @property
    def r_squared(self) -> float:
        """Share of the variance of ln y that the law explains."""
        return self.line.r_squared

    @property
    def sigma(self) -> float:
        """Standard deviation of ln y, for a new run of a new cluster, about the law."""
        return self.line.sigma

    @property
    def sigma_factor(self) -> float:
        """`sigma` as a factor on y: two thirds of new runs lie within this factor of the law."""
        return exp(self.sigma)

    def predict(self, x: float | Sequence[float] | NDArray[Any]) -> pd.DataFrame:
        """Predict y.

        Returns
        -------
        DataFrame
            One row per x: ``x``; ``median`` (the exponential of a mean of ln y is the *median* of
            y, below its mean by a factor exp(sigma²/2)); ``mean_low``, ``mean_high``, the interval
            of the law itself; ``new_run_low``, ``new_run_high``, the interval of one new run from
            a new cluster; ``decades_from_data``, 0 between the smallest and largest x.

        Raises
        ------
        FitError
            For an x that is not positive and finite, or a law that the data did not determine.
        """
        values = np.atleast_1d(np.asarray(x, dtype=float))
        for value in values:
            if not (isfinite(value) and value > 0):
                raise FitError(f"cannot predict at {self.x} = {value:g}; x must be positive")
        if not self.determined:
            raise FitError(f"cannot predict {self.y}: {self.warnings[0].message}")
        distance = np.log(values) - self.line.centre
        mean = self.line.intercept + self.line.slope * distance
        width = quantile(self.level, self.line.degrees_of_freedom)
        of_law = standard_error(self.line.covariance, distance)
        of_run = np.sqrt(of_law**2 + self.sigma**2)
        low, high = self.x_range
        logs = {
            "median": mean,
            "mean_low": mean - width * of_law,
            "mean_high": mean + width * of_law,
            "new_run_low": mean - width * of_run,
            "new_run_high": mean + width * of_run,
        }
        beyond = np.maximum(1.0, np.maximum(low / values, values / high))
        return pd.DataFrame(
            {
                "x": values,
                **{name: np.exp(np.minimum(log, 700)) for name, log in logs.items()},
                "decades_from_data": np.log10(beyond),
            }
        )

    def warnings_at(self, x: float | Sequence[float] | NDArray[Any]) -> tuple[FitWarning, ...]:
        """The fit's own warnings, and one for each x that lies beyond the data."""
        predicted = self.predict(x)
        beyond = predicted[predicted["decades_from_data"] > 0]
        return self.warnings + tuple(
            extrapolation(self.x, float(value), float(decades), self.x_range)
            for value, decades in zip(beyond["x"], beyond["decades_from_data"], strict=True)
        )

    def report(self, *, x_name: str | None = None, y_name: str | None = None) -> str:
        """The law in words and numbers; `x_name` and `y_name` stand for the columns' names."""
        from mfscale.scaling.text import report  # noqa: PLC0415 - which imports this module

        return report(self, x_name or self.x, y_name or self.y)

    def to_dict(self) -> dict[str, Any]:
        """Plain data that strict JSON can hold; `from_dict` restores it exactly."""
        return {
            "format": FORMAT,
            **{
                key: value if key in _MAY_BE_NONE else _null_for_nan(value)
                for key, value in asdict(self).items()
            },
        }

    @classmethod
    def from_dict(cls, plain: dict[str, Any]) -> "Fit":
        """Restore a fit.

        Raises
        ------
        FitError
            For data that is not a fit, or was written by a newer version.
        """
        content = {
            key: value if key in _MAY_BE_NONE else _nan_for_null(value)
            for key, value in plain.items()
        }
        found = content.pop("format", None)
        if found != FORMAT:
            raise FitError(f"a fit of format {found!r} cannot be read; this version reads {FORMAT}")
        try:
            return TypeAdapter(cls).validate_python(content)
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(map(str, first["loc"]))
            raise FitError(f"not a saved fit: {place}: {first['msg']}") from error


_MAY_BE_NONE = ("group", "cluster")  # where null means missing, not NaN


def _null_for_nan(value: Any) -> Any:  # noqa: ANN401 - plain data
    if isinstance(value, dict):
        return {key: _null_for_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_null_for_nan(item) for item in value]
    return None if isinstance(value, float) and isnan(value) else value


def _nan_for_null(value: Any) -> Any:  # noqa: ANN401 - plain data
    if isinstance(value, dict):
        return {key: _nan_for_null(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_nan_for_null(item) for item in value]
    return nan if value is None else value
