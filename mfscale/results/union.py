"""Which of several rows of one stage counts: finished over diverged over failed over skipped."""

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
    # By flags: an array of words to look up would import pandas, which takes longer than the rest.
    flags = {status: pc.starts_with(rows["status"], status) for status in STATUSES}
    keys = pa.table({"stage_id": rows["stage_id"], "attempt": rows["attempt"], **flags})
    best_first = [(status, "descending") for status in STATUSES]
    order = pc.sort_indices(
        keys,
        sort_keys=[("stage_id", "ascending"), *best_first, ("attempt", "descending")],
    )
    stages = keys["stage_id"].take(order)
    if len(stages) == 0:
        return rows
    changes = pc.not_equal(stages[1:], stages[:-1]).combine_chunks()
    return rows.take(pa.concat_arrays([order[:1], order[1:].filter(changes)]))
