"""From pairs or points to an effect, its interval and a verdict.

The rules are told in the docstring of the package.
"""

from dataclasses import dataclass
from math import exp, log, nan

import numpy as np
import pandas as pd
from scipy.special import stdtr

from mfscale.claims.matching import linked
from mfscale.claims.table import Side, Verdict
from mfscale.scaling.covariance import FEWEST_CLUSTERS
from mfscale.scaling.regression import quantile
from mfscale.scaling.vectors import Vector

LEVEL = 0.95


@dataclass(frozen=True)
class Estimate:
    """The logarithm of a factor and how sure it is; NaN and 0 for what is not known.

    Attributes
    ----------
    log_factor, error
        Estimate and its standard error.
    freedom
        Degrees of freedom of Student's t.
    n_clusters
        Independent clusters.
    """

    log_factor: float = nan
    error: float = nan
    freedom: int = 0
    n_clusters: int = 0


@dataclass(frozen=True)
class Judgement:
    """An interval, and what it says of a claimed side of a margin.

    Attributes
    ----------
    factor, low, high
        The effect and its interval.
    p
        Two-sided, of a factor at the margin; ``within``: of one outside the margins, twice the
        larger of the two one-sided values (Schuirmann, *J. Pharmacokinet. Biopharm.* 15, 657,
        1987). In each case p < 0.05 where the 95% interval excludes the margin, or both.
    verdict
        Of the interval.
    """

    factor: float
    low: float
    high: float
    p: float
    verdict: Verdict


@dataclass(frozen=True)
class Contrasts:
    """Cluster means of log ratios as sums over stages.

    Attributes
    ----------
    stages
        The m stages.
    weights
        Shape ``(G, m)``: times the ln MAE of the stages they give the mean of each cluster.
    """

    stages: tuple[str, ...]
    weights: Vector


def contrasts_of(pairs: pd.DataFrame) -> Contrasts:
    """Average pairs within cells, and cells within clusters.

    Pairs of a cell weigh by the squares of their doublings, which makes the average of all
    differences within a cell the least-squares slope on log₂ of the labels (an identity of ordinary
    least squares; for ratios all weights are 1).
    """
    clusters = linked(pairs)
    cells = pairs["cell"].groupby(clusters).nunique()
    share = pairs["doublings"] ** 2
    share /= share.groupby([clusters, pairs["cell"]]).transform("sum") * clusters.map(cells)
    share /= pairs["doublings"]
    stages = tuple(dict.fromkeys([*pairs["stage_id_t"], *pairs["stage_id_c"]]))
    place = {stage: i for i, stage in enumerate(stages)}
    weights = np.zeros((len(cells), len(stages)))
    for side, sign in (("stage_id_t", 1.0), ("stage_id_c", -1.0)):
        np.add.at(weights, (clusters.to_numpy(), pairs[side].map(place).to_numpy()), sign * share)
    return Contrasts(stages, weights)


def mean_of_clusters(values: Vector, changes: Vector | None = None) -> Estimate:
    """Average clusters, each of which counts once.

    The variance is s²/G between clusters plus what the test set does to all of them alike. Of the
    variance of the mean over resamples of the test set, the part that differs from cluster to
    cluster is in s² already and is left out, as where errors cluster two ways (Cameron, Gelbach &
    Miller, *J. Bus. Econ. Stat.* 29, 238, 2011); what remains is at least zero.

    Parameters
    ----------
    values
        Cluster means of the log ratio, shape ``(G,)``.
    changes
        The same under each resample of the test set, minus `values`; shape ``(n_draws, G)``.
    """
    n = len(values)
    found = float(np.mean(values))
    if n < FEWEST_CLUSTERS:
        return Estimate(found, n_clusters=n)
    variance = float(np.var(values, ddof=1)) / n
    if changes is not None:
        own = float(np.mean(np.var(changes, axis=1, ddof=1))) / n
        variance += max(0.0, float(np.var(changes.mean(axis=1), ddof=1)) - own)
    return Estimate(found, variance**0.5, n - 1, n)


def judge(estimate: Estimate, side: Side, margin: float, level: float = LEVEL) -> Judgement:
    """Compare an interval with a margin; always undecided if there is none."""
    factor = _factor(estimate.log_factor)
    if not estimate.freedom > 0 or not np.isfinite(estimate.error):
        return Judgement(factor, nan, nan, nan, "undecided")
    half = quantile(level, estimate.freedom) * estimate.error
    low, high = estimate.log_factor - half, estimate.log_factor + half
    return Judgement(
        factor,
        _factor(low),
        _factor(high),
        _p(estimate, side, log(margin)),
        _verdict(low, high, side, log(margin)),
    )


def _verdict(low: float, high: float, side: Side, margin: float) -> Verdict:
    if side == "within":
        if -margin < low and high < margin:
            return "supported"
        return "contradicted" if low > margin or high < -margin else "undecided"
    below: Verdict = "supported" if side == "below" else "contradicted"
    above: Verdict = "contradicted" if side == "below" else "supported"
    return below if high < margin else above if low > margin else "undecided"


def _p(estimate: Estimate, side: Side, margin: float) -> float:
    ends = [margin - estimate.log_factor]
    if side == "within":
        ends = [estimate.log_factor + margin, margin - estimate.log_factor]
    with np.errstate(divide="ignore", invalid="ignore"):
        t = np.array(ends) / estimate.error
    if side != "within":
        t = np.abs(t)
    return min(1.0, float(2 * np.max(stdtr(estimate.freedom, -t))))


def _factor(logarithm: float) -> float:
    return exp(min(logarithm, 700.0))
