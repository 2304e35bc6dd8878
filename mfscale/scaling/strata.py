"""Do groups share a law, all else being equal? Compared within strata, adjusted over them all."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from mfscale.scaling.comparison import Comparison, compare
from mfscale.scaling.errors import FitError
from mfscale.scaling.laws import Law
from mfscale.scaling.rows import scalar_of
from mfscale.scaling.wald import holm


def compare_within(
    frame: pd.DataFrame,
    law: str | Law,
    *,
    x: str | Mapping[str, str],
    y: str,
    group: Sequence[str] | str,
    within: Sequence[str] | str,
    cluster: str | None = None,
    level: float = 0.95,
    **options: Any,  # noqa: ANN401 - of `fit`, which checks them
) -> list[Comparison]:
    """Compare groups within each stratum: MACE with Allegro at the same pre-training and size.

    Parameters
    ----------
    frame, law, x, y, group, cluster, level, options
        As in `compare`.
    within
        Column or columns whose values the compared groups share.

    Returns
    -------
    list of Comparison
        One for each stratum where two groups or more determine the law; `Comparison.within` says
        which it is. Tests are of the stratum; ``p_holm`` is adjusted for the pairs of a quantity
        in *all* strata.

    Raises
    ------
    FitError
        As in `compare`, and if no stratum has two groups that determine the law.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> x = np.tile([10, 20, 40, 80, 160], 4)
    >>> code, kind = np.repeat(["allegro", "mace"] * 2, 5), np.repeat(["direct", "tuned"], 10)
    >>> noise = np.exp(0.02 * np.sin(np.arange(20.0) ** 2))
    >>> mae = np.where(code == "mace", 3.0, 4.0) * (x / 40) ** -0.5 * noise
    >>> table = pd.DataFrame({"labels": x, "mae": mae, "code": code, "kind": kind})
    >>> both = compare_within(table, "power", x="labels", y="mae", group="code", within="kind")
    >>> [found.within for found in both]
    [{'kind': 'direct'}, {'kind': 'tuned'}]
    """
    within = [within] if isinstance(within, str) else list(within)
    missing = [column for column in within if column not in frame]
    if missing:
        raise FitError(f"within: the table has no column {missing[0]!r}")
    parts = frame.groupby(within, dropna=False, sort=False) if within else [((), frame)]
    found, reasons = [], []
    for key, rows in parts:
        try:
            one = compare(rows, law, x=x, y=y, group=group, cluster=cluster, level=level, **options)
        except FitError as error:
            reasons.append(str(error))
            continue
        shared = dict(zip(within, map(scalar_of, key), strict=True))
        found.append(replace(one, within=shared))
    if not found:
        of = f"within {', '.join(within)}" if within else "at all"
        told = "; ".join(list(dict.fromkeys(reasons))[:3])
        raise FitError(f"no groups of {group} can be compared {of}: {told}")
    return _adjusted(found)


def _adjusted(found: Sequence[Comparison]) -> list[Comparison]:
    pairs = pd.concat([one.pairs.assign(stratum=i) for i, one in enumerate(found)])
    pairs["p_holm"] = pairs.groupby("quantity")["p"].transform(lambda p: holm(p.to_numpy()))
    return [
        replace(one, pairs=pairs[pairs["stratum"] == i].drop(columns="stratum"))
        for i, one in enumerate(found)
    ]
