"""Do groups share a law? One slope, one height, and which pairs of groups differ.

Straight lines in logarithms are compared by analysis of covariance: a model with a line for each
group, and one with a common slope (Draper & Smith, *Applied Regression Analysis*, 3rd ed., chapter
14), with the covariance that a single fit has: classical if rows are independent, otherwise the
cluster jackknife, for which F becomes Hotelling's. A cluster may have rows in several groups. Other
laws are fitted to each group, and compared coefficient by coefficient at common references.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from mfscale.scaling.errors import FitError
from mfscale.scaling.fitting import fit
from mfscale.scaling.laws import Law
from mfscale.scaling.lines import lines_of
from mfscale.scaling.numerals import format_interval, format_number, format_percent
from mfscale.scaling.result import Fit
from mfscale.scaling.rows import Scalar
from mfscale.scaling.vectors import Vector
from mfscale.scaling.wald import Estimates, all_equal, difference, holm

Compared = Callable[[Sequence[Fit]], list[Estimates]]


@dataclass(frozen=True, kw_only=True, eq=False)
class Comparison:
    """Whether groups share a law.

    Attributes
    ----------
    law, x, y
        Name of the law, and its columns.
    fits
        Of each group, at common references; groups whose rows do not determine the law are left
        out of the tests.
    tests
        One row per quantity: ``quantity``, ``F``, ``numerator`` and ``denominator`` (degrees of
        freedom), ``p`` (small: the groups differ).
    pairs
        One row per quantity and pair of groups: ``quantity``, ``first``, ``second``, ``change``
        (second minus first, or second over first where ``scale`` is ``ratio``), ``low``, ``high``,
        ``p``, ``p_holm`` (adjusted for all pairs of that quantity), ``scale``.
    level
        Of the intervals, which are for each pair alone.
    within
        Column → the value that all groups share, of `compare_within`.
    """

    law: str
    x: str
    y: str
    fits: tuple[Fit, ...]
    tests: pd.DataFrame
    pairs: pd.DataFrame
    level: float
    within: dict[str, Scalar] = field(default_factory=dict)

    @property
    def groups(self) -> dict[str, dict[str, Scalar]]:
        """Name of each group in `pairs` → the values that its rows share."""
        return {_name(found): found.group for found in self.fits}

    @property
    def verdicts(self) -> list[str]:
        """A line for each of the tests."""
        return [
            f"common {t['quantity']}?  {_verdict(t['p'], self.level)} "
            f"(F({t['numerator']}, {t['denominator']}) = {format_number(t['F'])}, "
            f"p = {format_number(t['p'], 2)})"
            for t in self.tests.to_dict("records")
        ]

    def __str__(self) -> str:
        names = ", ".join(_name(found) for found in self.fits)
        blocks = [[f"{self.law} laws of {self.y} against {self.x}: {names}"]]
        blocks.append([f"  {line}" for line in self.verdicts])
        blocks.append(
            [
                f"Pairs, {format_percent(self.level)} interval of each, p adjusted by Holm",
                *map(_told, self.pairs.to_dict("records")),
            ]
        )
        warned = [f"  {_name(f)}: {w.code}: {w.message}" for f in self.fits for w in f.warnings]
        if warned:
            blocks.append(["Warnings", *warned])
        return "\n\n".join("\n".join(block) for block in blocks)


def compare(
    frame: pd.DataFrame,
    law: str | Law,
    *,
    x: str | Mapping[str, str],
    y: str,
    group: Sequence[str] | str,
    cluster: str | None = None,
    level: float = 0.95,
    **options: Any,  # noqa: ANN401 - of `fit`, which checks them
) -> Comparison:
    """Ask whether groups share a law.

    Parameters
    ----------
    frame, law, x, y, group, cluster, level
        As in `fit`.
    options
        Likewise: loss, residuals, fixed, bounds, reference.

    Returns
    -------
    Comparison
        For straight lines fitted by plain least squares, of ``slope`` (or ``exponent``) and of the
        ``height`` at the geometric mean of all x *given a common slope*: if the slopes differ, the
        ratio of the heights depends on where it is taken. For other laws and fits, of each
        coefficient that was estimated; one that lies at a bound in some group is not tested.

    Raises
    ------
    FitError
        As in `fit`, and for fewer than two groups that determine the law.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> x = np.tile([10, 20, 40, 80, 160], 2)
    >>> code = np.repeat(["allegro", "mace"], 5)
    >>> noise = np.exp(0.02 * np.sin(np.arange(10.0) ** 2))
    >>> mae = np.where(code == "mace", 3.0, 4.0) * (x / 40) ** -0.5 * noise
    >>> table = pd.DataFrame({"labels": x, "mae": mae, "code": code})
    >>> found = compare(table, "power", x="labels", y="mae", group="code")
    >>> [bool(p < 0.05) for p in found.tests["p"]]  # exponent, height
    [False, True]
    """
    options.setdefault("draws", 0)
    common = _references(frame, x) if "reference" not in options else options.pop("reference")
    fits = fit(
        frame,
        law,
        x=x,
        y=y,
        group=group,
        cluster=cluster,
        level=level,
        reference=common,
        **options,
    )
    usable = [found for found in fits if found.determined]
    if len(usable) < 2:
        raise FitError(
            f"only {len(usable)} group of {group} determines the law; a comparison needs two"
        )
    exact = usable[0].options.is_exact(usable[0].form)
    estimates = lines_of(frame, usable) if exact else _coefficients_of(usable)
    tests = [
        dict(zip(("quantity", "F", "numerator", "denominator", "p"), row, strict=True))
        for row in ((e.quantity, *all_equal(e)) for e in estimates(usable))
    ]
    pairs = pd.DataFrame(
        [
            _pair(estimate, first, second, level)
            for first, second in combinations(usable, 2)
            for estimate in estimates([first, second])
        ]
    )
    pairs["p_holm"] = pairs.groupby("quantity")["p"].transform(lambda p: holm(p.to_numpy()))
    order = [row["quantity"] for row in tests]
    pairs = pairs.sort_values("quantity", key=lambda q: q.map(order.index), kind="stable")
    columns = ["quantity", "first", "second", "change", "low", "high", "p", "p_holm", "scale"]
    return Comparison(
        law=usable[0].law,
        x=usable[0].x,
        y=y,
        fits=tuple(fits),
        tests=pd.DataFrame(tests),
        pairs=pairs[columns].reset_index(drop=True),
        level=level,
    )


def _references(frame: pd.DataFrame, x: str | Mapping[str, str]) -> float | dict[str, float] | None:
    """The geometric mean over all groups, so that heights are compared at one place."""
    found = {}
    for role, column in ({"": x} if isinstance(x, str) else x).items():
        if column not in frame:
            return None  # which `fit` explains
        values = pd.to_numeric(frame[column], errors="coerce").to_numpy(dtype=float)
        positive = values[np.isfinite(values) & (values > 0)]
        if len(positive):
            found[role] = float(np.exp(np.mean(np.log(positive))))
    return found.get("") if isinstance(x, str) else found


def _coefficients_of(fits: Sequence[Fit]) -> Compared:
    """Estimates of each coefficient that every group estimated, inside its bounds."""
    at_bound = {name for found in fits for name in found.solution.search.at_bound}
    names = [name for name in fits[0].solution.estimated if name not in at_bound]
    if not names:
        raise FitError(
            "every coefficient lies at a bound in some group; there is no comparing them"
        )
    return lambda some: [_coefficient(some, name) for name in names]


def _coefficient(fits: Sequence[Fit], name: str) -> Estimates:
    spec = next(c for c in fits[0].form.coefficients if c.name == name)
    clusters = list(dict.fromkeys(c for found in fits for c in found.solution.clusters))
    values, errors = [], []
    changes = np.zeros((len(clusters), len(fits)))
    for column, found in enumerate(fits):
        solution = found.solution
        place = solution.estimated.index(name)
        factor, shift = found.scale.factor_and_shift(spec)
        if spec.positive:  # compared by its logarithm
            factor, shift = 1.0, float(np.log(factor))
        values.append(factor * float(solution.theta[place]) + shift)
        errors.append(factor * float(solution.covariance[place, place]) ** 0.5)
        where = [clusters.index(c) for c in solution.clusters]
        changes[where, column] = factor * (solution.left_out[:, place] - solution.theta[place])
    rows = sum(found.n_rows for found in fits)
    independent = fits[0].cluster is None or len(clusters) == rows
    freedom = (
        sum(found.solution.degrees_of_freedom for found in fits)
        if independent
        else len(clusters) - len(fits)
    )
    return Estimates(
        quantity=name,
        found=np.array(values),
        covariance=_with_shared_clusters(np.array(errors), changes, independent=independent),
        freedom=freedom if all(found.has_interval for found in fits) else 0,
        exact=False,
        ratio=spec.positive,
    )


def _with_shared_clusters(errors: Vector, changes: Vector, *, independent: bool) -> Vector:
    """The covariance of the groups' estimates: their own errors, correlated by common clusters."""
    if independent:
        return np.diag(errors**2)
    lengths = np.sqrt(np.sum(changes**2, axis=0))
    with np.errstate(invalid="ignore"):
        correlation = changes.T @ changes / np.outer(lengths, lengths)
    return np.asarray(np.outer(errors, errors) * correlation)


def _pair(estimate: Estimates, first: Fit, second: Fit, level: float) -> dict[str, object]:
    change, low, high, p = difference(estimate, level)
    if estimate.ratio:
        change, low, high = (float(np.exp(np.clip(v, -700, 700))) for v in (change, low, high))
    return {
        "quantity": estimate.quantity,
        "first": _name(first),
        "second": _name(second),
        "change": change,
        "low": low,
        "high": high,
        "p": p,
        "scale": "ratio" if estimate.ratio else "difference",
    }


def _told(pair: Mapping[Any, Any]) -> str:
    between = "/" if pair["scale"] == "ratio" else "−"
    return (
        f"  {pair['quantity']}: {pair['second']} {between} {pair['first']} = "
        f"{format_number(pair['change'])} ({format_interval(pair['low'], pair['high'])}), "
        f"p = {format_number(pair['p_holm'], 2)}"
    )


def _name(found: Fit) -> str:
    return ", ".join(str(value) for value in found.group.values())


def _verdict(p: float, level: float) -> str:
    if np.isnan(p):
        return "cannot be told"
    return "no" if p < 1 - level else "not excluded"
