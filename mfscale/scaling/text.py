"""A fit in words a newcomer understands, then in a table."""

from math import isnan
from typing import TYPE_CHECKING

import numpy as np

from mfscale.scaling.numerals import format_interval, format_number, format_percent
from mfscale.scaling.wild import WEBB_BELOW

if TYPE_CHECKING:
    from mfscale.scaling.result import Fit

_METHODS = {
    "percentile": "percentiles of {n} cluster-bootstrap draws, widened for {g} clusters",
    "bca": "BCa of {n} cluster-bootstrap draws, widened for {g} clusters",
}


def report(fit: "Fit", x_name: str | None, y_name: str, group_name: str | None) -> str:
    """The whole report: sentences, parameters, what they rest on, warnings, exclusions."""
    names = {role: axis.column for role, axis in fit.axes.items()}
    if x_name is not None and len(names) == 1:
        names = dict.fromkeys(names, x_name)
    group = _group(fit) if group_name is None else group_name
    heading = _formula(fit, names, y_name)
    heading = f"{group}: {heading}" if group else heading
    blocks = [[heading, *_sentences(fit, names, y_name)]]
    if fit.determined:
        blocks += [_parameters(fit), _basis(fit, names)]
    if fit.warnings:
        blocks.append(["Warnings", *(f"  {w.code}: {w.message}" for w in fit.warnings)])
    if fit.exclusions:
        blocks.append(["Excluded rows", *_exclusions(fit)])
    return "\n\n".join("\n".join(block) for block in blocks)


def _group(fit: "Fit") -> str:
    return ", ".join(f"{column} = {value}" for column, value in fit.group.items())


def _formula(fit: "Fit", names: dict[str, str], y_name: str) -> str:
    references = {f"{role}0": format_number(axis.reference, 4) for role, axis in fit.axes.items()}
    return fit.form.formula.format(y=y_name, **names, **references)


def _sentences(fit: "Fit", names: dict[str, str], y_name: str) -> list[str]:
    if not fit.determined:
        return [f"Not determined: {fit.warnings[0].message}."]
    level = format_percent(fit.level)
    reference = {role: axis.reference for role, axis in fit.axes.items()}
    point = " and ".join(f"{names[r]} = {format_number(v, 4)}" for r, v in reference.items())
    at = fit.predict(reference).iloc[0]
    half = ": half of all runs end below it" if fit.options.residuals == "log" else ", or mean"
    median = (
        f"At {point} the median {y_name} is "
        f"{format_number(at['median'])} ({level} interval "
        f"{format_interval(at['mean_low'], at['mean_high'])}){half}."
    )
    new_run = (
        "Where a single new run should land is unknown."
        if isnan(at["new_run_low"])
        else "A single new run should land in "
        f"{format_interval(at['new_run_low'], at['new_run_high'])}."
    )
    return [*(_change(fit, names, y_name, role) for role in names), median, new_run]


def _change(fit: "Fit", names: dict[str, str], y_name: str, role: str) -> str:
    """What doubling (or halving) one predictor does, from the reference on."""
    change = fit.form.change
    reference = {each: axis.reference for each, axis in fit.axes.items()}
    points = {each: np.array([at, at]) for each, at in reference.items()}
    points[role] = reference[role] * np.array([1.0, change])
    factor = np.divide(*fit.median(points)[::-1])
    verb = "Doubling" if change > 1 else "Halving"
    told = f"{verb} the {names[role]} multiplies the {y_name} by {format_number(float(factor))}"
    if not fit.form.straight:
        return f"{told} at the reference."
    slope = fit.parameters[fit.form.names[0]]
    powers = [fit.form.straight * end for end in (slope.low, slope.high)]
    ends = sorted(float(np.exp(np.minimum(np.log(change) * power, 700))) for power in powers)
    return f"{told} ({format_percent(fit.level)} interval {format_interval(*ends)})."


def _parameters(fit: "Fit") -> list[str]:
    rows = [("parameter", "estimate", "std. error", f"{format_percent(fit.level)} interval", "")]
    single = len(fit.axes) == 1
    rows += [
        (
            name,
            format_number(p.estimate, 4),
            "–" if p.note == "held" else format_number(p.standard_error, 2),
            "–" if p.note == "held" else format_interval(p.low, p.high),
            p.note.replace("x = reference", f"x = {format_number(fit.reference, 4)}")
            if single
            else p.note,
        )
        for name, p in fit.parameters.items()
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  " + "  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def _basis(fit: "Fit", names: dict[str, str]) -> list[str]:
    ranges = ", ".join(
        f"{names[role]} from {format_number(axis.low, 4)} to {format_number(axis.high, 4)}"
        for role, axis in fit.axes.items()
    )
    basis = {
        "rows": f"{fit.n_rows}, {ranges}",
        "independent": _independent(fit),
        "intervals": _intervals(fit),
        "scatter": _scatter(fit),
        "R²": format_number(fit.r_squared),
    }
    if not isnan(fit.lack_of_fit):
        basis["lack of fit"] = f"F-test from replicates, p = {format_number(fit.lack_of_fit, 2)}"
    search = fit.solution.search
    if search.starts:
        basis["loss"] = _loss(fit)
        basis["search"] = (
            f"{search.reason.rstrip('.')}; {search.agreeing} of {search.starts} starts agree; "
            f"condition number {format_number(search.condition, 2)}"
        )
    return [f"  {label:<11}  {text}" for label, text in basis.items()]


def _scatter(fit: "Fit") -> str:
    if fit.options.residuals == "linear":
        return f"a new run strays from the law by {format_number(fit.sigma)} (standard deviation)"
    return (
        f"a new run strays from the law by a factor of {format_number(fit.sigma_factor)} "
        f"(standard deviation of ln y {format_number(fit.sigma)})"
    )


def _loss(fit: "Fit") -> str:
    of = "ln y" if fit.options.residuals == "log" else "y"
    delta = fit.solution.search.delta
    if isnan(delta):
        return f"squares of the residuals of {of}"
    if fit.options.residuals == "linear":
        delta *= fit.y_unit
    return f"Huber's, of the residuals of {of}, linear beyond {format_number(delta)}"


def _intervals(fit: "Fit") -> str:
    if fit.intervals == "none":
        return "none"
    solution = fit.solution
    text = f"{solution.method}; Student's t, {solution.degrees_of_freedom} degrees of freedom"
    if fit.intervals == "wild":
        kind = "Webb's" if fit.n_clusters < WEBB_BELOW else "two-point"
        return f"wild cluster bootstrap-t, {kind} weights, from {fit.n_clusters} clusters"
    if fit.intervals != "t":
        text = _METHODS[fit.intervals].format(n=len(fit.draws), g=fit.n_clusters)
    floors = [
        spec.name
        for spec in fit.form.coefficients
        if spec.floor and spec.name in solution.estimated
    ]
    return f"{text}; of {' and '.join(floors)}, profile likelihood" if floors else text


def _independent(fit: "Fit") -> str:
    if fit.cluster is None:
        return f"{fit.n_rows} rows (no cluster column was named)"
    return f"{fit.n_clusters} values of {fit.cluster}"


def _exclusions(fit: "Fit") -> list[str]:
    by_reason: dict[str, list[str]] = {}
    for exclusion in fit.exclusions:
        by_reason.setdefault(exclusion.reason, []).append(exclusion.row)
    return [f"  {', '.join(rows)}: {reason}" for reason, rows in by_reason.items()]
