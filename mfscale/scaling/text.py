"""A fit in words a newcomer understands, then in a table."""

from math import isnan, log
from typing import TYPE_CHECKING

from mfscale.scaling.laws import bounded_exp, law_named
from mfscale.scaling.numerals import format_interval, format_number, format_percent
from mfscale.scaling.regression import half_width

if TYPE_CHECKING:
    from mfscale.scaling.result import Fit


def report(fit: "Fit", x_name: str, y_name: str) -> str:
    """The whole report: sentences, parameters, what they rest on, warnings, exclusions."""
    blocks = [[_heading(fit, x_name, y_name), *_sentences(fit, x_name, y_name)]]
    if fit.determined:
        blocks += [_parameters(fit), _basis(fit, x_name)]
    if fit.warnings:
        blocks.append(["Warnings", *(f"  {w.code}: {w.message}" for w in fit.warnings)])
    if fit.exclusions:
        blocks.append(["Excluded rows", *_exclusions(fit)])
    return "\n\n".join("\n".join(block) for block in blocks)


def _heading(fit: "Fit", x_name: str, y_name: str) -> str:
    law = law_named(fit.law)
    formula = law.formula.format(x=x_name, y=y_name, reference=format_number(fit.reference, 4))
    group = ", ".join(f"{column} = {value}" for column, value in fit.group.items())
    return f"{group}: {formula}" if group else formula


def _sentences(fit: "Fit", x_name: str, y_name: str) -> list[str]:
    if not fit.determined:
        return [f"Not determined: {fit.warnings[0].message}."]
    change, slope, level = law_named(fit.law).change, fit.line.slope, format_percent(fit.level)
    width = half_width(fit.line, fit.level)
    factor, low, high = (bounded_exp(log(change) * (slope + d)) for d in (0.0, -width, width))
    at = fit.predict(fit.reference).iloc[0]
    doubling = (
        f"{'Doubling' if change > 1 else 'Halving'} the {x_name} multiplies the {y_name} by "
        f"{format_number(factor)} ({level} interval {format_interval(*sorted((low, high)))})."
    )
    median = (
        f"At {x_name} = {format_number(fit.reference, 4)} the median {y_name} is "
        f"{format_number(at['median'])} ({level} interval "
        f"{format_interval(at['mean_low'], at['mean_high'])}): half of all runs end below it."
    )
    new_run = (
        "Where a single new run should land is unknown."
        if isnan(at["new_run_low"])
        else "A single new run should land in "
        f"{format_interval(at['new_run_low'], at['new_run_high'])}."
    )
    return [doubling, median, new_run]


def _parameters(fit: "Fit") -> list[str]:
    rows = [("parameter", "estimate", "std. error", f"{format_percent(fit.level)} interval", "")]
    rows += [
        (
            name,
            format_number(p.estimate, 4),
            format_number(p.standard_error, 2),
            format_interval(p.low, p.high),
            p.note.replace("reference", format_number(fit.reference, 4)),
        )
        for name, p in fit.parameters.items()
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  " + "  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def _basis(fit: "Fit", x_name: str) -> list[str]:
    line, (low, high) = fit.line, fit.x_range
    intervals = "none"
    if line.method != "undetermined":
        intervals = f"{line.method}; Student's t, {line.degrees_of_freedom} degrees of freedom"
    basis = {
        "rows": f"{fit.n_rows}, {x_name} from {format_number(low, 4)} to {format_number(high, 4)}",
        "independent": _independent(fit),
        "intervals": intervals,
        "scatter": "a new run strays from the law by a factor of "
        f"{format_number(fit.sigma_factor)} "
        f"(standard deviation of ln y {format_number(fit.sigma)})",
        "R²": format_number(fit.r_squared),
    }
    if not isnan(fit.lack_of_fit):
        basis["lack of fit"] = f"F-test from replicates, p = {format_number(fit.lack_of_fit, 2)}"
    return [f"  {label:<11}  {text}" for label, text in basis.items()]


def _independent(fit: "Fit") -> str:
    if fit.cluster is None:
        return f"{fit.n_rows} rows (no cluster column was named)"
    return f"{fit.n_clusters} values of {fit.cluster}"


def _exclusions(fit: "Fit") -> list[str]:
    by_reason: dict[str, list[str]] = {}
    for exclusion in fit.exclusions:
        by_reason.setdefault(exclusion.reason, []).append(exclusion.row)
    return [f"  {', '.join(rows)}: {reason}" for reason, rows in by_reason.items()]
