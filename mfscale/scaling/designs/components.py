"""How much of the scatter about a law is between clusters, and how much within them.

A random intercept for each cluster (the pre-trained checkpoint) and independent noise of each run,
by restricted maximum likelihood (H. D. Patterson & R. Thompson, *Biometrika* 58 (1971) 545) of the
residuals about the law, linear in its coefficients near the estimate.
"""

from dataclasses import dataclass

import numpy as np

from mfscale.scaling.vectors import Indices, Vector

_RATIOS = np.concatenate([[0.0], np.geomspace(1e-3, 1e3, 121)])
"""Of the two variances: what the likelihood is compared at, a ratio of 1.12 apart."""


@dataclass(frozen=True)
class Components:
    """Variances of ln y: of clusters about the law, and of runs about their cluster.

    `assumed` if no cluster has two runs, so that the data cannot tell them apart: half each.
    """

    between: float
    within: float
    assumed: bool = False

    @property
    def ratio(self) -> float:
        """Between over within."""
        return self.between / self.within


def components(design: Vector, residuals: Vector, clusters: Indices) -> Components | None:
    """Estimate both variances; None if there are no more rows than coefficients.

    Parameters
    ----------
    design
        The law's Jacobian, shape ``(n, p)``.
    residuals
        Of ln y, shape ``(n,)``.
    clusters
        Integers from 0, shape ``(n,)``.
    """
    n, p = design.shape
    sizes = np.bincount(clusters)
    if n <= p:
        return None
    together = np.column_stack([design, residuals])
    squares = together.T @ together
    sums = np.zeros((len(sizes), p + 1))
    np.add.at(sums, clusters, together)
    rank = np.linalg.matrix_rank(design)
    best, found = np.inf, None
    for ratio in _RATIOS if sizes.max() > 1 else _RATIOS[:1]:
        shrink = ratio / (1 + sizes * ratio)
        weighted = squares - (sums * shrink[:, None]).T @ sums
        information, cross = weighted[:p, :p], weighted[:p, p]
        rss = float(weighted[p, p] - cross @ np.linalg.pinv(information) @ cross)
        within = max(rss, 1e-12 * n) / (n - rank)
        values = np.linalg.eigvalsh(information)[-rank:]
        deviance = (n - rank) * np.log(within) + np.sum(np.log1p(sizes * ratio))
        deviance += float(np.sum(np.log(np.maximum(values, 1e-300))))
        if deviance < best:
            best, found = deviance, Components(float(ratio * within), within)
    if found is not None and sizes.max() == 1:
        return Components(found.within / 2, found.within / 2, assumed=True)
    return found
