"""Fit a law to each group of a table, and put several fits into one table."""

from collections.abc import Mapping, Sequence
from functools import cache
from importlib.metadata import version
from typing import Any

import numpy as np
import pandas as pd

from mfscale.scaling import cautions
from mfscale.scaling.bootstrap import bootstrap
from mfscale.scaling.covariance import FEW_CLUSTERS
from mfscale.scaling.errors import FitError
from mfscale.scaling.estimation import line_moments, make_problem, solve_by_search, solve_exactly
from mfscale.scaling.laws import Law, Scale, law_named
from mfscale.scaling.options import Intervals, Loss, Options, Residuals
from mfscale.scaling.parameters import IntervalMethod, Parameter, Sampling, report_parameters
from mfscale.scaling.result import Axis, Fit
from mfscale.scaling.rows import Columns, Rows, rows_by_group
from mfscale.scaling.solution import Solution, no_solution
from mfscale.scaling.vectors import Vector

DRAWS = 2000


def fit(
    frame: pd.DataFrame,
    law: str | Law,
    *,
    x: str | Mapping[str, str],
    y: str,
    group: Sequence[str] | str | None = None,
    cluster: str | None = None,
    level: float = 0.95,
    loss: Loss = "squares",
    delta: float | None = None,
    residuals: Residuals = "log",
    fixed: Mapping[str, float | None] | None = None,
    bounds: Mapping[str, tuple[float | None, float | None]] | None = None,
    reference: float | Mapping[str, float] | None = None,
    draws: int | None = None,
    intervals: Intervals = "auto",
    seed: int = 0,
) -> list[Fit]:
    """Fit a law, by default by least squares on ln y, for the noise of an error is multiplicative.

    Parameters
    ----------
    frame
        One row per run. Rows with a predictor or y that is missing or not positive are left out,
        and listed by their index label in the fit.
    law
        A name of `LAWS`, or a law of one's own (see `own_law`).
    x
        The predictor's column, in any unit; for a law of several, role in the law → column.
    y
        Column, in any unit.
    group
        Column or columns; each combination of values gets its own fit.
    cluster
        Column of the unit of replication: runs that share a pre-trained checkpoint are not
        independent. Without it every row counts as independent.
    level
        Of the intervals, as a fraction.
    loss
        ``"squares"``, or ``"huber"``: residuals beyond 1.345 standard deviations of a run (from
        replicates, or else from the residuals' median) count linearly.
    delta
        Another size, in ln y (in y, with linear residuals), beyond which Huber's loss is linear.
    residuals
        ``"log"``: what is fitted is a *median* of y. ``"linear"``: the noise is additive.
    fixed
        Coefficient → value it is held at; None frees one that the law holds by default.
    bounds
        Coefficient → (lowest, highest), None for an open end, within the law's own bounds.
    reference
        Where amplitudes are reported, for each predictor; by default its geometric mean.
    draws
        Cluster-bootstrap draws to keep. By default 2000, and none for the straight lines
        ``power`` and ``line`` with plain least squares, which have exact formulas.
    intervals
        ``"t"``, ``"percentile"``, ``"bca"`` of the draws; ``"auto"`` is percentile if there are
        draws from at least eight clusters, otherwise Student's t with the jackknife. The interval
        of an irreducible error is always of its profile likelihood. ``"wild"``, for ``power`` and
        ``line``: the wild cluster bootstrap-t, which needs no normal noise (`scaling.wild`).
    seed
        Of the draws.

    Returns
    -------
    list of Fit
        One per group, in natural order. A group that does not determine the law gets a fit of NaN
        and a warning, so that one unfinished group does not hide the others.

    Raises
    ------
    FitError
        For an unknown law, option or column, values that are not numbers, or no group that
        determines the law.

    Examples
    --------
    >>> table = pd.DataFrame({"labels": [10, 20, 40, 80], "mae": [8.0, 4.1, 2.0, 0.99]})
    >>> [law] = fit(table, "power", x="labels", y="mae")
    >>> round(law.parameters["exponent"].estimate, 2)
    1.01
    """
    chosen = law_named(law, [] if isinstance(x, str) else list(x)) if isinstance(law, str) else law
    roles = _roles(chosen, x)
    options = Options(
        level, loss, residuals, dict(fixed or {}), dict(bounds or {}), draws, intervals, seed, delta
    )
    options.check_names(chosen)
    group = (group,) if isinstance(group, str) else tuple(group or ())
    columns = Columns(roles, y, group, cluster, chosen.may_be_zero)
    at = _references(roles, reference)
    fits = [_fit(rows, chosen, columns, options, at) for rows in rows_by_group(frame, columns)]
    if not any(found.determined for found in fits):
        reasons = "; ".join(dict.fromkeys(found.warnings[0].message for found in fits))
        of = f"{y} against {', '.join(roles.values())}"
        raise FitError(f"no {chosen.name} law of {of} can be fitted: {reasons}")
    return fits


def summary(fits: Sequence[Fit]) -> pd.DataFrame:
    """One row per fit, for printing and for JSON.

    Returns
    -------
    DataFrame
        The group columns, then ``law``, ``x``, ``y``; for each parameter NAME the columns
        ``NAME``, ``NAME_se``, ``NAME_low``, ``NAME_high``; then ``sigma``, ``r_squared``,
        ``n_rows``, ``n_clusters``, ``n_excluded``, ``degrees_of_freedom``, ``covariance``,
        ``intervals``, ``level``, ``warnings`` (codes, comma-separated); and ``reference``,
        ``x_low``, ``x_high``, which for a law of several predictors are ``reference_ROLE`` and so
        on.
    """
    return pd.DataFrame([_record(found) for found in fits])


def _roles(law: Law, x: str | Mapping[str, str]) -> dict[str, str]:
    if isinstance(x, str):
        if len(law.predictors) == 1:
            return {law.predictors[0]: x}
        x = {law.predictors[0]: x}
    if set(x) != set(law.predictors):
        example = ", ".join(f"{role!r}: …" for role in law.predictors)
        raise FitError(
            f"the {law.name} law is of {', '.join(law.predictors)}, not of {', '.join(x)}; "
            f"name a column for each: x={{{example}}}"
        )
    return {role: x[role] for role in law.predictors}


def _references(
    roles: Mapping[str, str], reference: float | Mapping[str, float] | None
) -> dict[str, float]:
    if reference is None:
        return {}
    given = reference if isinstance(reference, Mapping) else {next(iter(roles)): reference}
    for role, value in given.items():
        if role not in roles:
            raise FitError(f"reference: no predictor {role!r}; the law has {', '.join(roles)}")
        if not (np.isfinite(value) and value > 0):
            raise FitError(f"reference of {roles[role]} = {value:g}; it must be positive")
    return {role: float(value) for role, value in given.items()}


def _fit(rows: Rows, law: Law, columns: Columns, options: Options, at: Mapping[str, float]) -> Fit:
    axes = {
        role: _axis(columns.predictors[role], values, at.get(role), scaled=law.scaled)
        for role, values in rows.predictors.items()
    }
    y_unit = float(rows.y.min()) if law.scaled and len(rows.y) else 1.0
    scale = Scale(y_unit, {role: axis.reference for role, axis in axes.items()})
    common: dict[str, Any] = {
        "law": law.name,
        "form": law,
        "axes": axes,
        "y": columns.y,
        "y_unit": y_unit,
        "group": rows.group,
        "cluster": columns.cluster,
        "options": options,
        "exclusions": rows.exclusions,
        "fingerprint": rows.fingerprint,
        "versions": _versions(),
    }
    held = [spec for spec in law.coefficients if _is_held(spec.name, spec.fixed, options)]
    why_not = cautions.undetermined(
        law, rows, len(law.coefficients) - len(held), columns.predictors
    )
    if why_not is not None:
        return _undetermined(law, rows, common, why_not)
    problem = make_problem(rows, law, scale, options)
    profiles: Mapping[str, tuple[float, float]] = {}
    if options.is_exact(law):
        solution, lack = solve_exactly(problem, rows)
    else:
        problem, solution, lack, profiles = solve_by_search(problem, rows, options)
    exact = options.is_exact(law)
    wanted = (0 if exact else DRAWS) if options.draws is None else options.draws
    known = solution.method != "undetermined"
    theta = bootstrap(problem, solution.theta, wanted if known else 0, options.seed)
    lost = float(np.isnan(theta).any(axis=1).mean()) if len(theta) else 0.0
    drawn = problem.complete(theta)
    method = _interval_method(options, solution, len(drawn))
    if lost > cautions.MOST_LOST_DRAWS and method in {"percentile", "bca"}:
        method = "none"
    moments = line_moments(problem) if method == "wild" else None
    full = problem.complete(solution.theta[None])[0]
    sampling = Sampling(
        method,
        options.level,
        drawn,
        problem.complete(solution.left_out),
        solution.degrees_of_freedom,
        moments,
    )
    parameters = report_parameters(law, scale, solution, full, sampling, profiles)
    return Fit(
        **common,
        parameters=parameters,
        solution=solution,
        intervals=method,
        draws=law.reported(drawn, scale),
        lack_of_fit=lack,
        warnings=_warnings(rows, law, columns, options, solution, parameters, lack, lost),
        moments=moments,
    )


def _warnings(
    rows: Rows,
    law: Law,
    columns: Columns,
    options: Options,
    solution: Solution,
    parameters: Mapping[str, Parameter],
    lack: float,
    lost: float,
) -> tuple[cautions.FitWarning, ...]:
    floors = {
        spec.name for spec in law.coefficients if spec.floor and spec.name in solution.estimated
    }
    found = cautions.cautions(
        solution,
        cluster=columns.cluster,
        level=options.level,
        slope=parameters[law.names[0]] if law.straight else None,
        lack=lack,
    )
    for name in law.names:
        if name in floors:
            caution = cautions.floor_caution(
                name, parameters[name], float(rows.y.min()), level=options.level
            )
            found += [] if caution is None else [caution]
    found += cautions.bound_cautions(
        tuple(name for name in solution.search.at_bound if name not in floors)
    )
    found += cautions.search_cautions(solution, lost)
    unit = 1.0 if options.residuals == "log" else float(np.mean(rows.y))
    exact = cautions.scatter_caution(solution.sigma / unit)
    found += [] if exact is None else [exact]
    if options.intervals == "wild":
        found += cautions.unbounded(parameters)
    found += cautions.collinearity(rows.predictors, columns.predictors)
    hurt = sum("has no logarithm" in e.reason and columns.y in e.reason for e in rows.exclusions)
    if law.name == "effective data" and hurt:
        found.append(
            cautions.FitWarning(
                "negative-transfer",
                f"{hurt} rows are left out because pre-training hurt there ({columns.y} ≤ 0): "
                "the law describes only where it helped",
            )
        )
    return tuple(found)


def _interval_method(options: Options, solution: Solution, n_draws: int) -> IntervalMethod:
    if solution.method == "undetermined":
        return "none"
    if options.intervals == "wild":
        return "wild"
    if options.intervals in {"percentile", "bca"}:
        if not n_draws:
            raise FitError(f"intervals = {options.intervals!r} are read from draws; ask for some")
        return "bca" if options.intervals == "bca" else "percentile"
    exact = not options.draws and not solution.search.starts
    few = solution.degrees_of_freedom < FEW_CLUSTERS - 1
    if options.intervals == "t" or exact or not n_draws or few:
        return "t"
    return "percentile"


def _undetermined(law: Law, rows: Rows, common: Mapping[str, Any], why: cautions.FitWarning) -> Fit:
    nothing = float("nan")
    options: Options = common["options"]
    estimated = tuple(
        spec.name for spec in law.coefficients if not _is_held(spec.name, spec.fixed, options)
    )
    notes = {spec.name: spec.meaning for spec in law.coefficients}
    notes |= {name: meaning for name, (meaning, _) in law.derived.items()}
    return Fit(
        **common,
        parameters={name: Parameter(*(nothing,) * 4, note) for name, note in notes.items()},
        solution=no_solution(estimated, rows.cluster_names, len(rows.y)),
        intervals="none",
        draws=np.empty((0, len(law.coefficients))),
        lack_of_fit=nothing,
        warnings=(why,),
    )


def _is_held(name: str, fixed: float | None, options: Options) -> bool:
    return options.fixed.get(name, fixed) is not None


def _axis(column: str, values: Vector, reference: float | None, *, scaled: bool) -> Axis:
    if not len(values):
        return Axis(column, *(float("nan"),) * 3)
    if reference is None:
        positive = values[values > 0]
        reference = float(np.exp(np.mean(np.log(positive)))) if len(positive) else 1.0
    return Axis(column, reference if scaled else 1.0, float(values.min()), float(values.max()))


@cache
def _versions() -> dict[str, str]:
    return {name: version(name) for name in ("mfscale", "numpy", "scipy", "statsmodels")}


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
    ranges = {
        f"{name}{f'_{role}' if len(found.axes) > 1 else ''}": value
        for role, axis in found.axes.items()
        for name, value in (
            ("reference", axis.reference),
            ("x_low", axis.low),
            ("x_high", axis.high),
        )
    }
    return {
        **found.group,
        "law": found.law,
        "x": found.x,
        "y": found.y,
        **parameters,
        "sigma": found.sigma,
        "r_squared": found.r_squared,
        "n_rows": found.n_rows,
        "n_clusters": found.n_clusters,
        "n_excluded": len(found.exclusions),
        "degrees_of_freedom": found.solution.degrees_of_freedom,
        "covariance": found.solution.method,
        "intervals": found.intervals,
        "level": found.level,
        **ranges,
        "warnings": ",".join(warning.code for warning in found.warnings),
    }
