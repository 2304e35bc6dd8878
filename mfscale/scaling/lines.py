"""The lines of several groups in one model: slopes of their own, and heights at a common slope."""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from mfscale.scaling.covariance import linear_covariance
from mfscale.scaling.result import Fit
from mfscale.scaling.rows import Columns, Rows, rows_by_group
from mfscale.scaling.vectors import Vector
from mfscale.scaling.wald import Estimates


def lines_of(
    frame: pd.DataFrame, fits: Sequence[Fit]
) -> Callable[[Sequence[Fit]], list[Estimates]]:
    """Make the function that estimates slope and height of some of `fits` in one model.

    Parameters
    ----------
    frame
        The table that was fitted.
    fits
        Straight lines of its groups, at a common reference.
    """
    one = fits[0]
    columns = Columns(
        {role: axis.column for role, axis in one.axes.items()},
        one.y,
        tuple(one.group),
        one.cluster,
        one.form.may_be_zero,
    )
    by_group = {tuple(rows.group.values()): rows for rows in rows_by_group(frame, columns)}

    def estimates(some: Sequence[Fit]) -> list[Estimates]:
        return _estimates(some, [by_group[tuple(found.group.values())] for found in some])

    return estimates


def _estimates(fits: Sequence[Fit], groups: Sequence[Rows]) -> list[Estimates]:
    law, reference = fits[0].form, fits[0].reference
    distance = np.concatenate([np.log(x) for g in groups for x in g.predictors.values()])
    distance -= np.log(reference)
    ln_y = np.concatenate([np.log(g.y) for g in groups])
    belongs = np.repeat(np.eye(len(groups)), [len(g.y) for g in groups], axis=0)
    k = len(groups)
    own = _fitted(
        np.column_stack([belongs, belongs * distance[:, None]]), ln_y, groups, fits[0].cluster
    )
    common = _fitted(np.column_stack([belongs, distance]), ln_y, groups, fits[0].cluster)
    slopes = slice(k, 2 * k)
    return [
        Estimates(
            quantity=law.names[0],
            found=law.straight * own.found[slopes],
            covariance=own.covariance[slopes, slopes],
            freedom=own.freedom,
            exact=own.exact,
            ratio=False,
        ),
        Estimates(
            quantity="height",
            found=common.found[:k],
            covariance=common.covariance[:k, :k],
            freedom=common.freedom,
            exact=common.exact,
            ratio=True,
        ),
    ]


def _fitted(design: Vector, ln_y: Vector, groups: Sequence[Rows], cluster: str | None) -> Estimates:
    names = [
        (g.cluster_names[c] if cluster else str(c), None if cluster else i)
        for i, g in enumerate(groups)
        for c in g.clusters
    ]
    places = {name: place for place, name in enumerate(dict.fromkeys(names))}
    clusters = np.array([places[name] for name in names], dtype=np.intp)
    found, _ = linear_covariance(design, ln_y, clusters)
    exact = found.method == "classical"
    freedom = found.degrees_of_freedom
    if not exact and freedom:  # each group has used up one cluster, as a single fit has
        freedom = len(places) - len(groups)
    return Estimates(
        quantity="",
        found=np.asarray(np.linalg.lstsq(design, ln_y, rcond=None)[0], dtype=float),
        covariance=found.matrix,
        freedom=max(freedom, 0),
        exact=exact,
        ratio=False,
    )
