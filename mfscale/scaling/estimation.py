"""From the rows of one group to an estimate and its uncertainty, exactly or by search."""

from collections.abc import Mapping
from dataclasses import replace
from math import inf, log, nan

import numpy as np

from mfscale.scaling import replicates
from mfscale.scaling.bootstrap import leave_one_out
from mfscale.scaling.covariance import Covariance, choose_covariance
from mfscale.scaling.laws import Law, Scale
from mfscale.scaling.optimum import Optimum, find_optimum, with_robust_loss
from mfscale.scaling.options import Options
from mfscale.scaling.problem import Problem, internal_bounds
from mfscale.scaling.profile import profile_interval
from mfscale.scaling.refits import refit
from mfscale.scaling.regression import lack_of_fit, new_cluster_sigma, straight_line
from mfscale.scaling.rows import Rows
from mfscale.scaling.solution import Search, Solution
from mfscale.scaling.vectors import Vector
from mfscale.scaling.wild import Moments, moments_of


def make_problem(rows: Rows, law: Law, scale: Scale, options: Options) -> Problem:
    """The problem of these rows, with least squares as its loss."""
    predictors = tuple(x / scale.references[role] for role, x in rows.predictors.items())
    low, high = internal_bounds(law, predictors)
    held, estimated = np.zeros(len(law.coefficients)), []
    for place, spec in enumerate(law.coefficients):
        if spec.name in options.fixed and options.fixed[spec.name] is not None:
            held[place] = _internal(law, scale, place, options.fixed[spec.name])
        elif spec.name not in options.fixed and spec.fixed is not None:
            held[place] = log(spec.fixed) if spec.positive else spec.fixed
        else:
            estimated.append(place)
        lowest, highest = options.bounds.get(spec.name, (None, None))
        low[place] = max(low[place], _internal(law, scale, place, lowest, -inf))
        high[place] = min(high[place], _internal(law, scale, place, highest, inf))
    return Problem(
        law=law,
        scale=scale,
        predictors=predictors,
        y=rows.y / scale.y,
        clusters=rows.clusters,
        estimated=np.array(estimated, dtype=np.intp),
        held=held,
        low=low[estimated],
        high=high[estimated],
        log_residuals=options.residuals == "log",
    )


def _internal(
    law: Law, scale: Scale, place: int, reported: float | None, default: float = nan
) -> float:
    """The internal value of one reported coefficient."""
    if reported is None:
        return default
    spec = law.coefficients[place]
    factor, shift = scale.factor_and_shift(spec)
    scaled = (reported - shift) / factor
    if not spec.positive:
        return scaled
    return log(scaled) if scaled > 0 else -inf


def solve_exactly(problem: Problem, rows: Rows) -> tuple[Solution, float]:
    """Ordinary least squares of ln y on ln x; and the p-value of the lack-of-fit test."""
    ln_x, ln_y = np.log(problem.predictors[0]), np.log(problem.y)
    line = straight_line(ln_x, ln_y, rows.clusters)
    # (height at the mean of ln x, slope) → (slope's coefficient, height at the reference).
    turn = np.array([[0.0, problem.law.straight], [1.0, -line.centre]])
    left_out = np.array(line.left_out) @ turn.T
    solution = Solution(
        estimated=problem.names,
        theta=turn @ (line.intercept, line.slope),
        covariance=turn @ np.array(line.covariance) @ turn.T,
        left_out=left_out,
        clusters=rows.cluster_names,
        method=line.method,
        degrees_of_freedom=line.degrees_of_freedom,
        sigma=line.sigma,
        r_squared=line.r_squared,
        n_points=line.n_points,
        n_clusters=line.n_clusters,
    )
    return solution, lack_of_fit(ln_x, ln_y, rows.clusters)


def line_moments(problem: Problem) -> Moments:
    """What wild cluster intervals of a straight line need, in its internal coefficients."""
    ln_x = np.log(problem.predictors[0])
    design = np.column_stack([problem.law.straight * ln_x, np.ones_like(ln_x)])
    return moments_of(design, np.log(problem.y), problem.clusters)


def solve_by_search(
    problem: Problem, rows: Rows, options: Options
) -> tuple[Problem, Solution, float, Mapping[str, tuple[float, float]]]:
    """Find the optimum, its uncertainty, the p-value of lack of fit and profiles of floors.

    Returns
    -------
    problem, solution, lack_of_fit, profiles
        The problem with its loss settled; profiles are scaled intervals by coefficient.
    """
    places = np.column_stack(problem.predictors)
    data = np.log(problem.y) if problem.log_residuals else problem.y
    averaged = replicates.cells(places, data, problem.clusters)
    if options.loss == "huber":
        problem = (
            with_robust_loss(problem, replicates.replicate_sigma(averaged))
            if options.delta is None
            else replace(problem, delta=options.delta / _residual_unit(problem))
        )
    optimum = find_optimum(problem)
    solution = _solution(problem, optimum, rows)
    profiles = {
        problem.names[place]: profile_interval(
            problem,
            optimum,
            Covariance(solution.covariance, solution.method, solution.degrees_of_freedom),
            place,
            options.level,
        )
        for place, spec in enumerate(problem.law.coefficients[i] for i in problem.estimated)
        if spec.floor
    }
    return problem, solution, _lack_of_fit(problem, optimum, averaged), profiles


def _solution(problem: Problem, optimum: Optimum, rows: Rows) -> Solution:
    residuals, jacobian = (a[0] for a in problem.residuals(optimum.theta[None]))
    n, p = problem.n_points, len(optimum.theta)
    data = np.log(problem.y) if problem.log_residuals else problem.y
    rss, scatter = float(residuals @ residuals), float(np.sum((data - data.mean()) ** 2))
    free = ~optimum.at_bound
    design = jacobian[free].T
    left_out = leave_one_out(problem, optimum.theta)
    found = choose_covariance(
        np.linalg.pinv(design.T @ design),
        rss / (n - p) if n > p else nan,
        (left_out - optimum.theta)[:, free],
        n,
        jackknife=problem.delta < inf,
    )
    covariance = np.zeros((p, p))
    covariance[np.ix_(free, free)] = found.matrix
    names = np.array(problem.names)
    return Solution(
        estimated=problem.names,
        theta=optimum.theta,
        covariance=covariance,
        left_out=left_out,
        clusters=rows.cluster_names,
        method=found.method,
        degrees_of_freedom=found.degrees_of_freedom,
        sigma=_residual_unit(problem) * new_cluster_sigma(design, rss, problem.clusters),
        r_squared=1 - rss / scatter if scatter > 0 else nan,
        n_points=n,
        n_clusters=problem.n_clusters,
        search=Search(
            reason=optimum.reason,
            converged=optimum.converged,
            starts=optimum.starts,
            agreeing=optimum.agreeing,
            at_bound=tuple(str(name) for name in names[optimum.at_bound]),
            condition=min(optimum.condition, 1e16),
            delta=nan if problem.delta == inf else problem.delta,
        ),
    )


def _residual_unit(problem: Problem) -> float:
    """What a scaled residual is multiplied with to be one of ln y, or of y."""
    return 1.0 if problem.log_residuals else problem.scale.y


def _lack_of_fit(problem: Problem, optimum: Optimum, averaged: replicates.Cells) -> float:
    """Refit to the means of cells by least squares, and compare with replicates."""
    of_cells = replace(
        problem,
        predictors=tuple(x[averaged.first] for x in problem.predictors),
        y=np.exp(averaged.means) if problem.log_residuals else averaged.means,
        clusters=np.arange(len(averaged.first)),
        delta=inf,
    )
    theta = refit(of_cells, optimum.theta, np.ones((1, of_cells.n_points))).theta
    at_levels = tuple(x[averaged.first_of_level] for x in problem.predictors)
    ln_law: Vector = problem.law.log_value(problem.complete(theta), at_levels)[0][0]
    law = ln_law if problem.log_residuals else np.exp(ln_law)
    return replicates.lack_of_fit(averaged, law, len(optimum.theta))
