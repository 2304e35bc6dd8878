"""From a DataFrame to the rows of each group that a law can be fitted to, and those it cannot."""

import difflib
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from mfscale.scaling.errors import FitError
from mfscale.scaling.vectors import Indices, Vector

Scalar = bool | int | float | str | None


@dataclass(frozen=True)
class Exclusion:
    """A row left out of a fit: its label in the DataFrame's index, and why."""

    row: str
    reason: str


@dataclass(frozen=True)
class Rows:
    """The rows of one group.

    Attributes
    ----------
    group
        Column → the value that these rows share.
    predictors
        Role of each predictor in the law → its values, finite and positive (or 0 where the law
        allows that), shape ``(n,)``.
    y
        Positive and finite, shape ``(n,)``.
    clusters
        Shape ``(n,)``, integers from 0: equal for rows that share a cluster.
    cluster_names
        By those integers.
    exclusions
        Rows of the group that are in none of the arrays.
    fingerprint
        SHA-256 of the group, predictors, y and cluster values; the order of the rows does not
        matter.
    """

    group: dict[str, Scalar]
    predictors: dict[str, Vector]
    y: Vector
    clusters: Indices
    cluster_names: tuple[str, ...]
    exclusions: tuple[Exclusion, ...]
    fingerprint: str


@dataclass(frozen=True)
class Columns:
    """The columns that a law is asked of.

    Attributes
    ----------
    predictors
        Role in the law → column.
    y, group, cluster
        Columns; without a cluster column every row is a cluster.
    may_be_zero
        Roles whose columns may hold 0.
    """

    predictors: Mapping[str, str]
    y: str
    group: tuple[str, ...]
    cluster: str | None
    may_be_zero: tuple[str, ...] = ()


def rows_by_group(frame: pd.DataFrame, columns: Columns) -> list[Rows]:
    """Divide `frame` by its group columns, in natural order (2 before 10, missing last).

    Raises
    ------
    FitError
        For an empty table, a missing or repeated column, or a value that is not numeric.
    """
    x = list(columns.predictors.values())
    y, group, cluster = columns.y, columns.group, columns.cluster
    _check_columns(frame, [*x, y, *group, *([cluster] if cluster else [])])
    if len({*x, y}) <= len(x):
        again = next(column for column in x if [*x, y].count(column) > 1)
        names = "x and y are" if again == y else "two predictors are"
        raise FitError(f"{names} the same column, {again!r}; a law relates different columns")
    numbers = {role: _numbers(frame[column]) for role, column in columns.predictors.items()}
    y_values = _numbers(frame[y])
    clusters = [scalar_of(v) for v in frame[cluster]] if cluster else [*map(str, range(len(frame)))]
    labels = [str(label) for label in frame.index]
    keys = zip(*([scalar_of(v) for v in frame[column]] for column in group), strict=True)
    positions: dict[tuple[Scalar, ...], list[int]] = {}
    for position, key in enumerate(keys if group else [()] * len(frame)):
        positions.setdefault(key, []).append(position)
    return [
        _rows(
            columns,
            dict(zip(group, key, strict=True)),
            {role: values[positions[key]] for role, values in numbers.items()},
            y_values[positions[key]],
            [clusters[position] for position in positions[key]],
            [labels[position] for position in positions[key]],
        )
        for key in sorted(positions, key=lambda key: [_natural(value) for value in key])
    ]


def _rows(
    columns: Columns,
    group: dict[str, Scalar],
    predictors: dict[str, Vector],
    y: Vector,
    clusters: list[Scalar],
    labels: list[str],
) -> Rows:
    named = [
        (column, predictors[role], role in columns.may_be_zero)
        for role, column in columns.predictors.items()
    ]
    named.append((columns.y, y, False))
    reasons = [
        next(
            filter(
                None,
                (
                    *(_bad_number(column, values[i], zero=zero) for column, values, zero in named),
                    _missing(columns.cluster or "", clusters[i]),
                ),
            ),
            None,
        )
        for i in range(len(y))
    ]
    usable = np.array([reason is None for reason in reasons], dtype=bool)
    names = [
        str(cluster) if columns.cluster else label
        for cluster, label, kept in zip(clusters, labels, usable, strict=True)
        if kept
    ]
    kept_x = {role: values[usable] for role, values in predictors.items()}
    stated = names if columns.cluster else [""] * len(names)
    numbers = [values.tolist() for values in (*kept_x.values(), y[usable])]
    content = sorted(map(repr, zip(*numbers, stated, strict=True)))
    of = [dict(columns.predictors), columns.y, columns.cluster]
    identities = names if columns.cluster else [f"{i:09d}" for i in range(len(names))]
    _, first, where = np.unique(
        np.array(identities, dtype=str), return_index=True, return_inverse=True
    )
    return Rows(
        group=group,
        predictors=kept_x,
        y=y[usable],
        clusters=where,
        cluster_names=tuple(names[i] for i in first),
        exclusions=tuple(
            Exclusion(row, reason)
            for row, reason in zip(labels, reasons, strict=True)
            if reason is not None
        ),
        fingerprint=hashlib.sha256(
            "\n".join([repr(of), repr(group), *content]).encode()
        ).hexdigest(),
    )


def _check_columns(frame: pd.DataFrame, columns: list[str]) -> None:
    if frame.empty:
        raise FitError("the table has no rows; a fit needs at least two different values of x")
    for column in columns:
        if column not in frame.columns:
            names = [str(name) for name in frame.columns]
            close = difflib.get_close_matches(column, names, n=3) or names
            raise FitError(f"the table has no column {column!r}; did you mean {', '.join(close)}?")
        if isinstance(frame[column], pd.DataFrame):
            raise FitError(f"the table has several columns named {column!r}; rename all but one")


def _numbers(series: "pd.Series[float]") -> Vector:
    numbers = pd.to_numeric(series, errors="coerce")
    wrong = series[numbers.isna() & series.notna()]
    if len(wrong):
        raise FitError(
            f"column {series.name!r} holds {wrong.iloc[0]!r} in row {wrong.index[0]}, which is not "
            "a number; a law is fitted to numbers"
        )
    return numbers.to_numpy(dtype=float, na_value=np.nan)


def _bad_number(column: str, value: float, *, zero: bool) -> str | None:
    if not np.isfinite(value):
        return f"{column} is missing or not finite"
    if value > 0 or (zero and value == 0):
        return None
    return f"{column} = {value:g} has no logarithm"


def _missing(column: str, name: Scalar) -> str | None:
    return f"{column} is missing" if name is None else None


def scalar_of(value: object) -> Scalar:
    """A plain Python value that JSON can hold; None for anything missing."""
    plain = value.item() if isinstance(value, np.generic) else value
    if plain is None or plain is pd.NaT or plain is pd.NA or plain != plain:  # noqa: PLR0124 - NaN
        return None
    return plain if isinstance(plain, bool | int | float | str) else str(plain)


def _natural(value: Scalar) -> tuple[int, list[tuple[int, float, str]]]:
    if value is None:
        return 2, []
    if not isinstance(value, str):
        return 0, [(0, float(value), "")]
    pieces = [piece for piece in re.split(r"(\d+)", value) if piece]
    return 1, [(0, float(p), "") if p.isdigit() else (1, 0.0, p) for p in pieces]
