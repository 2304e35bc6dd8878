"""From a DataFrame to the rows of each group that a law can be fitted to, and those it cannot."""

import difflib
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mfscale.scaling.errors import FitError

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
    x, y
        Positive and finite, shape ``(n,)``.
    clusters
        Shape ``(n,)``, integers from 0: equal for rows that share a cluster.
    exclusions
        Rows of the group that are in none of the arrays.
    fingerprint
        SHA-256 of the group, x, y and cluster values; the order of the rows does not matter.
    """

    group: dict[str, Scalar]
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    clusters: NDArray[np.intp]
    exclusions: tuple[Exclusion, ...]
    fingerprint: str


def rows_by_group(
    frame: pd.DataFrame, *, x: str, y: str, group: Sequence[str], cluster: str | None
) -> list[Rows]:
    """Divide `frame` by its `group` columns, in natural order (2 before 10, missing last).

    Raises
    ------
    FitError
        For an empty table, a missing or repeated column, or an x or y that is not numeric.
    """
    used = [x, y, *group, *([cluster] if cluster else [])]
    _check_columns(frame, used)
    if x == y:
        raise FitError(f"x and y are the same column, {x!r}; a law relates two columns")
    table = pd.DataFrame(
        {
            "row": [str(label) for label in frame.index],
            "x": _numbers(frame[x]),
            "y": _numbers(frame[y]),
            "cluster": [_scalar(v) for v in frame[cluster]] if cluster else range(len(frame)),
        },
        dtype=object,  # or None would become NaN
    )
    names = {"x": x, "y": y, "cluster": cluster or ""}
    keys = zip(*([_scalar(v) for v in frame[column]] for column in group), strict=True)
    positions: dict[tuple[Scalar, ...], list[int]] = {}
    for position, key in enumerate(keys if group else [()] * len(frame)):
        positions.setdefault(key, []).append(position)
    return [
        _rows(dict(zip(group, key, strict=True)), table.iloc[positions[key]], names)
        for key in sorted(positions, key=lambda key: [_natural(value) for value in key])
    ]


def _rows(group: dict[str, Scalar], table: pd.DataFrame, names: dict[str, str]) -> Rows:
    reasons = [
        _bad_number(names["x"], x)
        or _bad_number(names["y"], y)
        or _missing(names["cluster"], cluster)
        for x, y, cluster in zip(table["x"], table["y"], table["cluster"], strict=True)
    ]
    usable = table[[reason is None for reason in reasons]]
    x, y = usable["x"].to_numpy(dtype=float), usable["y"].to_numpy(dtype=float)
    clusters = [str(cluster) for cluster in usable["cluster"]]
    stated = clusters if names["cluster"] else [""] * len(clusters)
    content = sorted(map(repr, zip(x.tolist(), y.tolist(), stated, strict=True)))
    return Rows(
        group=group,
        x=x,
        y=y,
        clusters=np.unique(np.array(clusters, dtype=str), return_inverse=True)[1],
        exclusions=tuple(
            Exclusion(row, reason)
            for row, reason in zip(table["row"], reasons, strict=True)
            if reason is not None
        ),
        fingerprint=hashlib.sha256(
            "\n".join([repr(names), repr(group), *content]).encode()
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


def _numbers(series: "pd.Series[float]") -> NDArray[np.float64]:
    numbers = pd.to_numeric(series, errors="coerce")
    wrong = series[numbers.isna() & series.notna()]
    if len(wrong):
        raise FitError(
            f"column {series.name!r} holds {wrong.iloc[0]!r} in row {wrong.index[0]}, which is not "
            "a number; a law is fitted to numbers"
        )
    return numbers.to_numpy(dtype=float, na_value=np.nan)


def _bad_number(column: str, value: float) -> str | None:
    if not np.isfinite(value):
        return f"{column} is missing or not finite"
    return None if value > 0 else f"{column} = {value:g} has no logarithm"


def _missing(column: str, name: Scalar) -> str | None:
    return f"{column} is missing" if name is None else None


def _scalar(value: object) -> Scalar:
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
