"""The eight claims of multi-fidelity training, as tests on result rows.

DataFrames in, verdicts out: `assess` takes the flattened rows of a store and gives each claim as
supported, contradicted or undecided, with its effect, interval and the stages that it rests on.
What each claim says, on which side of which margin, is plain data in `CLAIMS`, fixed beforehand.

**Pairs.** A comparison is of pairs of stages that are equal in everything but what the claim is
about: dataset, split, architecture, model size, dtype, cutoff, recipe, both seeds, tuning (both
tuned by the same tuning, or neither; the step before alike), fidelity and Δ-learning, the target's
labels (unless the claim is about them), and the budget. There are two kinds of budget, always
reported apart: *equal caps*, the same cap on steps, batch size and patience (in optimiser steps) of
the target's step, and of the step before it where both sides have one by the claim's nature; and
*matched total compute*, total samples seen, pre-training included, within 5%. Stages may differ in
other settings, such as the learning rate: all pairs of one cell are averaged.

**Effect.** The mean of ln(MAE of the treatment / MAE of the control) on the same test structures,
told as a factor: a geometric mean.

**Interval.** Its variance has two parts.

(a) Between independent clusters. The unit of replication is the pre-trained checkpoint: pairs that
share a root on either side, or are linked by a chain of such pairs, are one cluster (the connected
components of the graph of roots). Pairs are averaged within a cell, cells within a cluster, and
each cluster counts once; the variance of the mean is s²/G, with Student's t of G − 1 degrees of
freedom. Below three clusters a part is undecided whatever the numbers.

(b) The finite test set, which all runs share: the variance over bootstrap resamples of its
structures, the same for both sides and all pairs. Of it, what differs from cluster to cluster is in
(a) already and is not added again. If some stage has no errors structure by structure, (a) stands
alone and a note says so.

Clusters that learn from one draw of labels (one ``data_seed``), as several architectures do, share
the luck of that draw, which no cluster shows; a note says so where all do.

**Relations.** Claims that errors are log-log linear are tested on parallel lines, one per group of
otherwise equal runs, with cluster-robust covariances. Linear is tested as an equivalence: a
quadratic must nowhere in the data deviate from the best line by more than the margin.

**Verdicts.** Supported if the whole 95% interval lies on the claimed side of the margin,
contradicted if wholly on the other, else undecided. A claim is supported if all its parts are,
contradicted if any is. Where a claim says that something *can* happen, one of several groups must
show it, with Holm's adjustment. No adjustment is made across claims: if eight claims lay exactly at
their margins, about one store in three would decide one of them.

>>> from mfscale.claims import CLAIMS
>>> [claim.number for claim in CLAIMS]
[1, 2, 3, 4, 5, 6, 7, 8]
"""

from mfscale.claims.assess import assess
from mfscale.claims.errors import ClaimsError
from mfscale.claims.result import ClaimResult, PartResult
from mfscale.claims.table import CLAIMS, COSTS, Claim, Part
from mfscale.claims.text import effect, factor_of, name_of, report, verdict_of

__all__ = [
    "CLAIMS",
    "COSTS",
    "Claim",
    "ClaimResult",
    "ClaimsError",
    "Part",
    "PartResult",
    "assess",
    "effect",
    "factor_of",
    "name_of",
    "report",
    "verdict_of",
]
