"""Which of several rows of one stage counts: finished over diverged over failed over skipped."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mfscale.results.schema import STATUSES


def best_rows(rows: pa.Table) -> pa.Table:
    """Keep one row per stage: the best status, and of equals the latest attempt.

    Parameters
    ----------
    rows
        Any number of rows per stage, with at least ``stage_id``, ``attempt`` and ``status``. Of
        rows equal in all three the first is kept.

    Returns
    -------
    pa.Table
        The same columns, one row per stage, sorted by ``stage_id``.
    """
    keys = rows.select(["stage_id", "attempt"]).append_column(
        "rank", pc.index_in(rows["status"], value_set=pa.array(STATUSES))
    )
    order = pc.sort_indices(
        keys,
        sort_keys=[("stage_id", "ascending"), ("rank", "ascending"), ("attempt", "descending")],
    )
    stages = keys["stage_id"].take(order)
    if len(stages) == 0:
        return rows
    changes = pc.not_equal(stages[1:], stages[:-1]).to_numpy()
    return rows.take(order.filter(pa.array(np.concatenate([[True], changes]))))
