"""What runs tell of a law: the information matrix with clusters, and variances that follow from it.

With J the law's Jacobian at the runs of a cluster, its scatter σ²(I + r·11ᵀ) for the ratio r of
variances between and within clusters, a cluster of n runs adds (JᵀJ − r/(1 + n·r)·ssᵀ)/σ², s = Jᵀ1
(the inverse by Sherman & Morrison). A prediction gᵀθ then has the variance gᵀM⁻¹g.
"""

from dataclasses import dataclass

import numpy as np

from mfscale.scaling.designs.components import Components
from mfscale.scaling.vectors import Indices, Vector

_RIDGE = 1e-12  # relative: what the runs do not tell at all keeps a huge variance, not an infinite


@dataclass(frozen=True, eq=False)
class Information:
    """One law, the runs there are and those that there may be.

    Attributes
    ----------
    variances
        Of clusters and runs.
    design, clusters
        Jacobian of the runs there are, ``(n, p)``, and their clusters, ``(n,)``.
    candidates, of
        Likewise of those that there may be, ``(N, p)`` and ``(N,)``; clusters are integers of one
        numbering. Candidates of other laws have a row of zeros and the cluster −1.
    asked
        Gradients of what is asked for, ``(q, p)``.
    """

    variances: Components
    design: Vector
    clusters: Indices
    candidates: Vector
    of: Indices
    asked: Vector

    def variance(self, chosen: Indices) -> Vector:
        """Of what is asked for, with some candidates run too; shape ``(q,)``."""
        return np.asarray(self._variances(self._matrix(*self._sums(chosen))[None])[0])

    def variances_with_one_more(self, chosen: Indices, more: Indices) -> Vector:
        """Likewise with each of `more` in turn; shape ``(len(more), q)``."""
        squares, sums, counts = self._sums(chosen)
        base = self._matrix(squares, sums, counts)
        own = self.of[more] >= 0
        at = np.where(own, self.of[more], 0)
        j = self.candidates[more]
        n, s, r = counts[at].astype(float), sums[at], self.variances.ratio
        before, after = r / (1 + n * r), r / (1 + (n + 1) * r)
        added = j[:, :, None] * j[:, None, :]
        added = added + before[:, None, None] * s[:, :, None] * s[:, None, :]
        s = s + j
        added = added - after[:, None, None] * s[:, :, None] * s[:, None, :]
        added = np.where(own[:, None, None], added, 0.0) / self.variances.within
        return self._variances(base + added)

    def n_clusters(self, chosen: Indices) -> int:
        """Clusters with runs, the chosen candidates' among them."""
        of = self.of[chosen]
        return len(np.union1d(self.clusters, of[of >= 0]))

    def _sums(self, chosen: Indices) -> tuple[Vector, Vector, Indices]:
        chosen = chosen[self.of[chosen] >= 0]
        rows = np.concatenate([self.design, self.candidates[chosen]])
        clusters = np.concatenate([self.clusters, self.of[chosen]])
        n_clusters = 1 + int(max(self.clusters.max(), self.of.max(initial=0)))
        sums = np.zeros((n_clusters, rows.shape[1]))
        np.add.at(sums, clusters, rows)
        return rows.T @ rows, sums, np.bincount(clusters, minlength=n_clusters)

    def _matrix(self, squares: Vector, sums: Vector, counts: Indices) -> Vector:
        r = self.variances.ratio
        shrink = r / (1 + counts * r)
        found = (squares - (sums * shrink[:, None]).T @ sums) / self.variances.within
        return np.asarray(found + _RIDGE * np.trace(found) * np.eye(len(found)))

    def _variances(self, matrices: Vector) -> Vector:
        solved = np.linalg.solve(
            matrices, np.broadcast_to(self.asked.T, (len(matrices), *self.asked.T.shape))
        )
        return np.asarray(np.einsum("qp,mpq->mq", self.asked, solved))
