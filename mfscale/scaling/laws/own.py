"""A law of one's own, from a plain function."""

import inspect
from collections.abc import Callable, Mapping
from math import inf
from typing import Any

import numpy as np

from mfscale.scaling.errors import FitError
from mfscale.scaling.laws.law import Coefficient, Law
from mfscale.scaling.vectors import Vector

_STEP = float(np.finfo(float).eps) ** (
    1 / 3
)  # balances truncation and rounding, central differences


def own_law(
    function: Callable[..., Any],
    *,
    positive: tuple[str, ...] = (),
    bounds: Mapping[str, tuple[float, float]] | None = None,
    jacobian: Callable[..., Mapping[str, Any]] | None = None,
    purpose: str = "",
) -> Law:
    """Make a law of a function: its positional arguments are predictors, the others coefficients.

    Parameters
    ----------
    function
        Returns y, in the units of the data. Its keyword-only arguments are the coefficients, and
        their defaults the values to start from. Written with NumPy's functions, since it is called
        with arrays: predictors of shape ``(n,)``, coefficients ``(m, 1)``.
    positive
        Coefficients that are positive, and estimated through their logarithms.
    bounds
        Coefficient → (lowest, highest).
    jacobian
        Called like `function`; coefficient → derivative of y. By default central differences.
    purpose
        A sentence for whoever reads the fit.

    Raises
    ------
    FitError
        For a function without predictors or coefficients, or coefficients without a start.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from mfscale.scaling import fit, own_law
    >>> def late_power(x, *, amplitude=1.0, exponent=0.5, onset=1.0):
    ...     return amplitude * (x + onset) ** -exponent
    >>> law = own_law(late_power, positive=("amplitude", "onset"))
    >>> x = np.array([1.0, 2, 4, 8, 16, 32, 64, 128])
    >>> table = pd.DataFrame({"labels": x, "mae": 30 * (x + 5) ** -0.7})
    >>> [found] = fit(table, law, x="labels", y="mae", draws=0)
    >>> {name: round(found.parameters[name].estimate, 6) for name in law.names}
    {'amplitude': 30.0, 'exponent': 0.7, 'onset': 5.0}
    """
    name = function.__name__
    arguments = inspect.signature(function).parameters.values()
    predictors = tuple(a.name for a in arguments if a.kind is not a.KEYWORD_ONLY)
    starts = {a.name: a.default for a in arguments if a.kind is a.KEYWORD_ONLY}
    if not predictors or not starts:
        raise FitError(
            f"the law {name!r} needs positional arguments for its predictors and keyword-only ones "
            "for its coefficients: def law(x, *, amplitude=1.0, exponent=0.5)"
        )
    for coefficient in (*positive, *(bounds or {})):
        if coefficient not in starts:
            raise FitError(
                f"the law {name!r} has no coefficient {coefficient!r}; it has {', '.join(starts)}"
            )
    specs = tuple(
        _coefficient(name, coefficient, start, coefficient in positive, (bounds or {}))
        for coefficient, start in starts.items()
    )

    def evaluate(*values: Vector) -> tuple[Vector, tuple[Vector, ...]]:
        x = values[: len(predictors)]
        by_name = dict(zip(starts, values[len(predictors) :], strict=True))
        y = np.asarray(function(*x, **by_name), dtype=float)
        if jacobian is not None:
            slopes = jacobian(*x, **by_name)
            return y, tuple(np.asarray(slopes[spec.name]) / y for spec in specs)
        return y, tuple(_derivative(function, x, by_name, spec) / y for spec in specs)

    return Law(
        name=name,
        purpose=purpose or (function.__doc__ or "").strip().split("\n")[0],
        formula=f"{{y}} = {name}({', '.join(f'{{{p}}}' for p in predictors)}; {', '.join(starts)})",
        predictors=predictors,
        coefficients=specs,
        evaluate=evaluate,
        scaled=False,
    )


def _coefficient(
    law: str, name: str, start: object, positive: bool, bounds: Mapping[str, tuple[float, float]]
) -> Coefficient:
    low, high = bounds.get(name, (-inf, inf))
    if not isinstance(start, int | float) or not low <= start <= high or (positive and start <= 0):
        raise FitError(
            f"the law {law!r} needs a number to start {name!r} from, within its bounds, as its "
            f"default: def {law}(…, {name}=0.5)"
        )
    # A start far off by a factor is the commonest trouble: try a few beside the one given.
    others = tuple(start * factor for factor in (0.1, 10.0) if low <= start * factor <= high)
    return Coefficient(
        name,
        "",
        tuple(dict.fromkeys((float(start), *others))),
        low=max(low, 0.0) if positive else low,
        high=high,
        positive=positive,
    )


def _derivative(
    function: Callable[..., Any],
    predictors: tuple[Vector, ...],
    coefficients: Mapping[str, Vector],
    spec: Coefficient,
) -> Vector:
    """Central differences, one-sided at a bound."""
    value = coefficients[spec.name]
    step = _STEP * np.where(value == 0, 1.0, np.abs(value))
    ends = [np.clip(value + sign * step, spec.low, float(spec.high)) for sign in (-1, 1)]
    below, above = (
        np.asarray(function(*predictors, **{**coefficients, spec.name: end}), dtype=float)
        for end in ends
    )
    return np.asarray((above - below) / (ends[1] - ends[0]))
