"""``suggest``: the runs that narrow an answer most for what they cost."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite, nan

import numpy as np
import pandas as pd

from mfscale.scaling.cautions import FitWarning
from mfscale.scaling.covariance import FEWEST_CLUSTERS
from mfscale.scaling.designs.asked import Answer, Asked, answers_to
from mfscale.scaling.designs.components import components
from mfscale.scaling.designs.information import Information
from mfscale.scaling.designs.search import Prices, Search
from mfscale.scaling.errors import FitError
from mfscale.scaling.numerals import format_interval, format_number, format_percent
from mfscale.scaling.prediction import Points
from mfscale.scaling.regression import quantile
from mfscale.scaling.result import Fit
from mfscale.scaling.rows import Columns, Rows, Scalar, rows_by_group
from mfscale.scaling.vectors import Indices, Vector

_OPTIONAL = {"cost": 1.0, "setup": None, "setup_cost": 0.0}


@dataclass(frozen=True, kw_only=True, eq=False)
class Suggestion:
    """Runs to add, and what they are expected to do to the answer.

    Attributes
    ----------
    chosen
        Rows of the candidates, in the order in which they help.
    answers
        One row per law and place: the columns of its group; ``asked``, what was asked in words;
        ``estimate``; ``low``, ``high``, the interval now; ``expected_low``, ``expected_high``, the
        one expected with the chosen runs if the estimate stays; ``narrowing``, the ratio of their
        widths in logarithms. NaN where nothing is known.
    cost, budget
        Of the chosen runs, with what they need before; and what it might have been.
    exact
        Whether every affordable choice was looked at.
    level
        Of the intervals.
    components
        One row per law: the columns of its group, ``between`` and ``within``, standard deviations
        of ln y of clusters and of runs within them.
    warnings
        By law: its group, and what a reader must know.
    """

    chosen: pd.DataFrame = field(repr=False)
    answers: pd.DataFrame = field(repr=False)
    cost: float
    budget: float
    exact: bool
    level: float
    components: pd.DataFrame = field(repr=False)
    warnings: tuple[tuple[dict[str, Scalar], tuple[FitWarning, ...]], ...]

    def __str__(self) -> str:
        level, cost = format_percent(self.level), format_number(self.cost)
        lines = [f"{len(self.chosen)} runs at a cost of {cost} of {format_number(self.budget)}"]
        lines += [
            f"{row['asked']}: {format_number(row['estimate'])}, {level} interval now "
            + format_interval(row["low"], row["high"])
            + ", expected "
            + format_interval(row["expected_low"], row["expected_high"])
            for row in self.answers.to_dict("records")
        ]
        return "\n".join(lines)


def suggest(
    fits: Fit | Sequence[Fit],
    frame: pd.DataFrame,
    candidates: pd.DataFrame,
    *,
    budget: float,
    at: Points | None = None,
    error: float | None = None,
    costs: Mapping[str, float] | None = None,
    decades: float = 0.0,
) -> Suggestion:
    """Choose the runs that most narrow an answer, within a budget.

    Parameters
    ----------
    fits
        Laws of ln y, one or a group each; of several the mean variance of the answers is reduced.
    frame
        The table that was fitted.
    candidates
        One row per run that could be made: the columns of predictors, groups and cluster of the
        fits, which say what a run would tell (a cluster that `frame` has makes it one more run of
        that checkpoint, another one a new checkpoint); optionally ``cost`` (1), ``setup``, a name
        for what several need before, such as the pre-training, and ``setup_cost``, paid once.
    budget
        In the unit of the costs.
    at
        Where the law is to be predicted, as in `Fit.predict`; or, beside `error`, role or column →
        value of the predictors that are held.
    error
        In the unit of y. Its inverse, as in `invert`, is asked for; with `costs`, the cost of the
        cheapest mix of labels with which the law's median reaches it, as in `mix`. The variance of
        the logarithm of either is that of ln y there times a known factor (for a mix by the
        envelope theorem: at the optimum a small change of the mix costs nothing), so that the same
        runs are sought as for the prediction there.
    costs
        Role or column → cost of a label, in any one unit.
    decades
        How far beyond the data, in each method's labels, mixes are looked for.

    Returns
    -------
    Suggestion
        Expected intervals hold the present estimates of the law and of the variances between and
        within clusters, and gain degrees of freedom as the design does; it is the variance alone
        that the runs are chosen by.

    Raises
    ------
    FitError
        For neither of `at` and `error`, a budget that buys nothing, a column or cost that is
        missing, or laws of which none is determined or reaches the error.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from mfscale.scaling import fit, suggest
    >>> labels, root = np.tile([25, 50, 100], 4), np.repeat(list("abcd"), 3)
    >>> noise = np.exp(0.1 * np.sin(np.arange(12.0) ** 2))
    >>> table = pd.DataFrame({"labels": labels, "root": root, "mae": 60 * labels**-0.5 * noise})
    >>> [law] = fit(table, "power", x="labels", y="mae", cluster="root")
    >>> runs = pd.DataFrame({"labels": [25, 100, 400] * 2, "root": list("aaaeee"), "cost": 1.0})
    >>> answer = suggest(law, table, runs, at=400, budget=2)
    >>> answer.chosen["labels"].tolist()
    [400, 400]
    >>> bool(answer.answers["narrowing"][0] < 1)
    True
    """
    laws = [fits] if isinstance(fits, Fit) else list(fits)
    asked = Asked(at, error, costs, decades)
    asked.check(laws)
    table = _completed(candidates, laws)
    prices = _prices(table, budget)
    models, warned = [], []
    for law in laws:
        model, warnings = _modelled(law, frame, table, asked)
        models += [] if model is None else [model]
        warned.append((law.group, warnings))
    if not models:
        told = [warnings[-1].message for _, warnings in warned if warnings]
        raise FitError("nothing can be suggested: " + "; ".join(dict.fromkeys(told)))
    weights = [m.weight / len(models) for m in models]
    search = Search(tuple(m.information for m in models), tuple(weights), prices)
    places, exact = search.best()
    if not places:
        cheapest = float(np.min(prices.own + np.append(prices.shared, 0.0)[prices.setup]))
        raise FitError(
            f"budget = {budget:g} buys no run that tells anything of the answer; the cheapest of "
            f"the {len(table)} candidates costs {cheapest:g}"
        )
    chosen = np.array(places, dtype=np.intp)
    return Suggestion(
        chosen=candidates.iloc[places],
        answers=pd.DataFrame([row for m in models for row in m.expected(chosen)]),
        cost=prices.total(places),
        budget=budget,
        exact=exact,
        level=laws[0].level,
        components=pd.DataFrame([m.components for m in models]),
        warnings=tuple(warned),
    )


@dataclass(frozen=True, eq=False)
class _Model:
    """One law, what is asked of it and what its runs tell."""

    law: Fit
    answers: tuple[Answer, ...]
    information: Information

    @property
    def weight(self) -> Vector:
        """Of each answer's variance in the mean of them."""
        return np.array([a.per_ln_y**2 for a in self.answers]) / len(self.answers)

    @property
    def components(self) -> dict[str, object]:
        found = self.information.variances
        return {
            **self.law.group,
            "between": found.between**0.5,
            "within": found.within**0.5,
        }

    def expected(self, chosen: Indices) -> list[dict[str, object]]:
        """A row for each answer."""
        none = np.array([], dtype=np.intp)
        before, after = self.information.variance(none), self.information.variance(chosen)
        own = chosen[self.information.of[chosen] >= 0]
        freedom = self.law.solution.degrees_of_freedom
        clusters = self.information.n_clusters(chosen)
        later = clusters - 1
        if self.law.solution.method == "classical":
            later = freedom + len(own)
        level = self.law.level
        rows = []
        for answer, was, will in zip(self.answers, before, after, strict=True):
            known = isfinite(answer.low) and isfinite(answer.high) and answer.low > 0
            if known:
                factor = (will / was) ** 0.5 * quantile(level, later) / quantile(level, freedom)
                low = answer.estimate * (answer.low / answer.estimate) ** factor
                high = answer.estimate * (answer.high / answer.estimate) ** factor
            elif clusters >= FEWEST_CLUSTERS:
                factor = nan
                half = quantile(level, later) * will**0.5 * abs(answer.per_ln_y)
                low, high = answer.estimate * np.exp([-half, half])
            else:
                factor, low, high = nan, nan, nan
            rows.append(
                {
                    **self.law.group,
                    "asked": answer.words,
                    "estimate": answer.estimate,
                    "low": answer.low,
                    "high": answer.high,
                    "expected_low": low,
                    "expected_high": high,
                    "narrowing": factor,
                    "runs": len(own),
                }
            )
        return rows


def _modelled(
    law: Fit, frame: pd.DataFrame, table: pd.DataFrame, asked: Asked
) -> tuple[_Model | None, tuple[FitWarning, ...]]:
    if not law.determined:
        return None, law.warnings
    if law.options.residuals != "log":
        raise FitError("suggest takes laws whose residuals are of ln y; fit without 'linear'")
    answers, warnings = answers_to(law, asked)
    if not answers:
        return None, warnings
    rows = _rows_of(law, frame)
    design, of_y = _jacobian(law, rows.predictors)
    found = components(design, np.log(rows.y) - of_y, rows.clusters)
    if found is None:
        why = f"{len(rows.y)} rows say nothing of how runs of {law.y} scatter"
        return None, (FitWarning("few-points", why),)
    mine, of = _candidates_of(law, rows, table)
    gradients = np.zeros((len(table), design.shape[1]))
    if mine.any():
        points = {r: table[a.column].to_numpy(float)[mine] for r, a in law.axes.items()}
        gradients[mine] = _jacobian(law, points)[0]
    wanted = np.concatenate([_jacobian(law, a.point)[0] for a in answers])
    model = _Model(law, answers, Information(found, design, rows.clusters, gradients, of, wanted))
    again = bool((of[mine] <= rows.clusters.max()).any())
    return model, (*warnings, *_cautions(found.assumed and again, law, bool(mine.any())))


def _cautions(assumed: bool, law: Fit, any_candidate: bool) -> list[FitWarning]:
    found = []
    if assumed and law.cluster is not None:
        found.append(
            FitWarning(
                "components-assumed",
                f"no {law.cluster} has two runs: half of the variance is taken to be between them",
            )
        )
    if not any_candidate:
        found.append(FitWarning("no-candidate", "no candidate is a run of this group"))
    return found


def _rows_of(law: Fit, frame: pd.DataFrame) -> Rows:
    columns = Columns(
        {role: axis.column for role, axis in law.axes.items()},
        law.y,
        tuple(law.group),
        law.cluster,
        law.form.may_be_zero,
    )
    for rows in rows_by_group(frame, columns):
        if rows.group == law.group and rows.fingerprint == law.fingerprint:
            return rows
    raise FitError(f"the table is not the one that the {law.law} law was fitted to")


def _jacobian(law: Fit, points: Mapping[str, Vector]) -> tuple[Vector, Vector]:
    """Of the coefficients that were estimated and are at no bound, ``(n, p)``; and ln y, (n,)."""
    ordered = {role: np.atleast_1d(np.asarray(points[role], dtype=float)) for role in law.axes}
    ln_y, jacobian = law.form.log_value(law.internal[None], law.scaled(ordered))
    solution = law.solution
    free = [n for n in solution.estimated if n not in solution.search.at_bound]
    places = [law.form.names.index(name) for name in free]
    return jacobian[0][places].T, ln_y[0] + np.log(law.y_unit)


def _candidates_of(law: Fit, rows: Rows, table: pd.DataFrame) -> tuple[Vector, Indices]:
    """Which candidates are runs of this law's group, and the number of each one's cluster."""
    mine = np.ones(len(table), dtype=bool)
    for column, value in law.group.items():
        mine &= table[column].isna() if value is None else (table[column] == value)
    for role, axis in law.axes.items():
        values = pd.to_numeric(table[axis.column], errors="coerce")
        mine &= (values >= 0) if role in law.form.may_be_zero else (values > 0)
    names = [f"\0{i}" for i in range(len(table))]
    if law.cluster is not None:
        names = [str(name) for name in table[law.cluster]]
    known = {name: i for i, name in enumerate(rows.cluster_names)} if law.cluster else {}
    places = known if law.cluster else {str(i): i for i in range(len(rows.cluster_names))}
    of = [
        places.setdefault(n, len(places)) if own else -1 for n, own in zip(names, mine, strict=True)
    ]
    return np.asarray(mine), np.array(of, dtype=np.intp)


def _completed(candidates: pd.DataFrame, laws: Sequence[Fit]) -> pd.DataFrame:
    """The candidates with all optional columns, after those that are needed are checked."""
    if not laws or candidates.empty:
        raise FitError("there is nothing to choose from; give laws and candidates")
    for law in laws:
        needed = [*law.group, *(axis.column for axis in law.axes.values())]
        for column in [*needed, *([law.cluster] if law.cluster else [])]:
            if column not in candidates:
                raise FitError(f"the candidates have no column {column!r}, which the law needs")
    table = candidates.reset_index(drop=True)
    return table.assign(**{k: v for k, v in _OPTIONAL.items() if k not in table})


def _prices(table: pd.DataFrame, budget: float) -> Prices:
    if not (isfinite(budget) and budget > 0):
        raise FitError(f"budget = {budget:g}; it must be positive")
    for column in ("cost", "setup_cost"):
        wrong = ~(pd.to_numeric(table[column], errors="coerce") >= 0)
        if wrong.any():
            raise FitError(f"{column} = {table.loc[wrong, column].iloc[0]}; give 0 or more")
    codes, names = pd.factorize(table["setup"])
    shared = table.assign(code=codes).groupby("code")["setup_cost"].max()
    return Prices(
        own=table["cost"].to_numpy(float),
        setup=np.asarray(codes, dtype=np.intp),
        shared=np.array([float(shared[i]) for i in range(len(names))]),
        budget=budget,
    )
