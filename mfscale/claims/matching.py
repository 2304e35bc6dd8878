"""Pairs of stages that are equal in everything but what a claim is about, under one budget."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from mfscale.claims.runs import CAPS, OF_PARENT, PARENT_CAPS
from mfscale.claims.table import EQUAL_CAPS, Budget

SAME_COMPUTE = 1.05
"""Total samples seen that differ by no more than this factor count as equal."""


@dataclass(frozen=True, kw_only=True)
class Match:
    """Which runs to pair.

    Attributes
    ----------
    treatments, controls
        Rows of ``runs_of``.
    equal
        Columns in which a pair must not differ.
    apart
        Columns of the pairs (``<column>_t`` of the treatment, ``<column>_c`` of the control) that
        further tell cells apart.
    keep
        Of all pairs equal in that, a flag for those to keep.
    group
        Of pairs, the group that each is judged in; by default all are in one.
    per_doubling
        Column whose doubling the effect is per; by default the effect is that of the pair.
    with_parents
        Whether caps and tuning of the pre-training must be equal too.
    """

    treatments: pd.DataFrame
    controls: pd.DataFrame
    equal: tuple[str, ...]
    apart: tuple[str, ...] = ()
    keep: Callable[[pd.DataFrame], pd.Series] | None = None
    group: Callable[[pd.DataFrame], pd.Series] | None = None
    per_doubling: str | None = None
    with_parents: bool = False


def pairs_of(match: Match, budget: Budget) -> pd.DataFrame:
    """Pair treatments and controls.

    Returns
    -------
    pandas.DataFrame
        One row per pair: ``stage_id_t``, ``stage_id_c`` and the other columns of ``runs_of``, with
        these suffixes unless they are equal; ``cell``, an integer; ``group``; ``doublings``, by
        which the logarithm of the ratio of errors is to be divided.
    """
    equal = [*match.equal, *(OF_PARENT if match.with_parents else ())]
    treatments, controls = match.treatments, match.controls
    if budget == EQUAL_CAPS:
        caps = [*CAPS, *(PARENT_CAPS if match.with_parents else ())]
        treatments, controls = treatments.dropna(subset=caps), controls.dropna(subset=caps)
        equal += caps
    suffixed = [
        side.rename(columns={c: f"{c}{suffix}" for c in side.columns if c not in equal})
        for side, suffix in ((treatments, "_t"), (controls, "_c"))
    ]
    pairs = suffixed[0].merge(suffixed[1], on=equal)
    keep = pairs["stage_id_t"] != pairs["stage_id_c"]
    if budget != EQUAL_CAPS:
        keep &= within_factor(pairs["compute_t"], pairs["compute_c"], SAME_COMPUTE)
    if match.keep is not None:
        keep &= match.keep(pairs)
    pairs = pairs[keep].reset_index(drop=True)
    pairs["cell"] = pairs.groupby([*equal, *match.apart], dropna=False).ngroup()
    pairs["group"] = match.group(pairs) if match.group is not None else ""
    pairs["doublings"] = _doublings(pairs, match.per_doubling)
    return pairs


def within_factor(a: pd.Series, b: pd.Series, factor: float) -> pd.Series:
    """Whether two columns are within a factor of each other; never where one is unknown."""
    return (a / b <= factor) & (b / a <= factor)


def _doublings(pairs: pd.DataFrame, column: str | None) -> pd.Series:
    if column is None:
        return pd.Series(1.0, index=pairs.index)
    ratio = (pairs[f"{column}_t"] / pairs[f"{column}_c"]).to_numpy(dtype=float)
    return pd.Series(np.log2(ratio), index=pairs.index)


def linked(pairs: pd.DataFrame) -> pd.Series:
    """The independent cluster of each pair: pairs that share a checkpoint, or a chain of them."""
    ends = pd.concat([pairs["root_id_t"], pairs["root_id_c"]], ignore_index=True)
    nodes, names = pd.factorize(ends)
    first, second = nodes[: len(pairs)], nodes[len(pairs) :]
    shape = (len(names), len(names))
    graph = coo_array((np.ones(len(pairs)), (first, second)), shape=shape)
    _, component = connected_components(graph, directed=False)
    return pd.Series(pd.factorize(component[first])[0], index=pairs.index)
