"""Replicates in a figure: runs that differ in their seeds alone, and their mean."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mfscale.report.selection import DrawnLaw

_PRETRAINING = "pretraining"


def replicate_means(law: DrawnLaw) -> NDArray[np.float64]:
    """Geometric means of x and y over replicates, as laws of logarithms see them.

    Returns
    -------
    NDArray
        Shape ``(n, 2)``, in order of x; a place for each x of a law against labels, or for each
        pre-training of a line of two errors. Places with a single run are left out.
    """
    logs = pd.DataFrame({"x": np.log(law.x), "y": np.log(law.y)})
    if law.fit.law != "line":
        place = law.x
    elif _PRETRAINING in law.rows:
        place = law.rows[_PRETRAINING].to_numpy()
    else:
        return np.empty((0, 2))
    grouped = logs.groupby(place)
    means = grouped.mean()[grouped.size() > 1].sort_values("x")
    return np.asarray(np.exp(means.to_numpy(dtype=float)))
