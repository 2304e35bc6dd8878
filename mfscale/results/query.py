"""Filter, group and pivot a data frame by short expressions, and read one from any file."""

import difflib
import operator
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from mfscale.results import parquet
from mfscale.results.buffers import owned
from mfscale.results.errors import StoreError
from mfscale.results.flat import flatten
from mfscale.results.schema import SCHEMA

_CONDITION = re.compile(
    r"\s*(?P<column>.+?)(?P<op>\s+in\s+|\s*(?:!=|<=|>=|==|=|<|>)\s*)(?P<value>.*?)\s*", re.DOTALL
)
_COMPARISONS: dict[str, Callable[..., "pd.Series[bool]"]] = {
    "=": operator.eq,
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_TRUTH = {"true": True, "false": False}


def select(
    frame: pd.DataFrame, where: Sequence[str] = (), columns: Sequence[str] = ()
) -> pd.DataFrame:
    """Keep the rows that meet every condition, and the columns named.

    Parameters
    ----------
    frame
        Any data frame.
    where
        Conditions ``column op value`` with ``=  !=  <  <=  >  >=``, or ``column in a,b,c``:
        ``"size=tiny"``, ``"cc_size>=100"``, ``"seed in 0,1"``. As in SQL, a missing value
        meets no condition.
    columns
        Columns to keep, in this order; all if empty.

    Raises
    ------
    StoreError
        If a condition cannot be read, a column does not exist (with the nearest names), or a
        value does not suit its column.
    """
    for condition in where:
        frame = frame[_matches(frame, condition)]
    if not columns:
        return frame
    return frame[[_known(frame, column) for column in columns]]


def group(frame: pd.DataFrame, by: Sequence[str], values: Sequence[str]) -> pd.DataFrame:
    """Summarise number columns within groups of equal values.

    Returns
    -------
    pandas.DataFrame
        One row per group and value column: the columns of ``by``, ``column`` (the name of the
        value column), ``n`` (values that are not missing), ``mean``, ``std`` (with n − 1; NaN
        for one value), ``min`` and ``max``. A missing value in ``by`` is a group of its own.

    Raises
    ------
    StoreError
        If a column does not exist or a value column does not hold numbers.
    """
    if not by or not values:
        raise StoreError("grouping needs at least one column to group by and one value column")
    keys = [_known(frame, column) for column in dict.fromkeys(by)]
    parts = []
    for value in values:
        grouped = _numbers(frame, value).groupby([frame[key] for key in keys], dropna=False)
        part = grouped.agg(["count", "mean", "std", "min", "max"]).reset_index()
        part.insert(len(keys), "column", value)
        parts.append(in_natural_order(part.rename(columns={"count": "n"}), keys))
    return pd.concat(parts, ignore_index=True)


def in_natural_order(frame: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
    """Sort rows as people count: ``dft:b:350`` before ``dft:b:1200``; equal rows stay in order."""
    return frame.sort_values(list(by), key=_natural, kind="stable", ignore_index=True)


def pivot(frame: pd.DataFrame, index: Sequence[str], columns: str, values: str) -> pd.DataFrame:
    """Lay out the mean of a number column over two axes.

    Returns
    -------
    pandas.DataFrame
        One row per distinct ``index``, whose columns come first; then a column ``name=value``
        for each distinct value of ``columns``, NaN where there is none.

    Raises
    ------
    StoreError
        If a column does not exist or ``values`` does not hold numbers.
    """
    if not index:
        raise StoreError("a pivot needs at least one index column")
    keys = [_known(frame, column) for column in (*index, columns)]
    if len(set(keys)) < len(keys):
        raise StoreError(f"a pivot needs different columns for its axes, not {', '.join(keys)}")
    means = _numbers(frame, values).groupby([frame[key] for key in keys], dropna=False).mean()
    table = means.unstack(columns)  # noqa: PD010 - pivot_table would drop missing keys
    present = table.columns.notna()
    table.columns = pd.Index(
        f"{columns}={value}" if known else f"{columns} missing"
        for value, known in zip(table.columns, present, strict=True)
    )
    return in_natural_order(table.reset_index(), list(index))


def read_table(path: str | os.PathLike[str]) -> pd.DataFrame:
    """Read any CSV or Parquet file; rows of a results store come flattened.

    Raises
    ------
    StoreError
        If there is no such file, or it is neither.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            magic = file.read(4)
        frame = _read_parquet(path) if magic == b"PAR1" else pd.read_csv(path)
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror or error}") from error
    except MemoryError as error:
        raise StoreError(f"{path} cannot be read: it needs more memory than there is") from error
    except parquet.NewerFormatError as error:
        raise StoreError(f"{path} is in the newer format {error}: upgrade mfscale") from error
    except (parquet.DamagedError, pa.ArrowException, ValueError) as error:
        raise StoreError(f"{path} is neither CSV nor Parquet, or is damaged: {error}") from error
    return frame


def _read_parquet(path: Path) -> pd.DataFrame:
    if not parquet.is_ours(pq.read_schema(path)):
        return pd.read_parquet(path)
    return flatten(parquet.decode(owned(path.read_bytes()), SCHEMA))


def _matches(frame: pd.DataFrame, condition: str) -> "pd.Series[bool]":
    parsed = _CONDITION.fullmatch(condition)
    if parsed is None:
        raise StoreError(
            f"cannot read the condition {condition!r}: write column=value, with "
            "= != < <= > >= or 'in' between, such as cc_size>=100 or seed in 0,1"
        )
    series = frame[_known(frame, parsed["column"])]
    op = parsed["op"].strip()
    texts = parsed["value"].split(",") if op == "in" else [parsed["value"]]
    values = [_value(text.strip(), series, condition) for text in texts]
    if op in ("<", "<=", ">", ">=") and isinstance(values[0], str | bool):
        raise StoreError(f"in {condition!r}, {series.name} has no order: use =, != or in")
    met = series.isin(values) if op == "in" else _COMPARISONS[op](series, values[0])
    return (met.fillna(False) & series.notna()).astype(bool)


def _value(text: str, series: pd.Series, condition: str) -> float | str | bool | pd.Timestamp:
    """Read a value of a condition as the kind of value that its column holds."""
    try:
        if pd.api.types.is_bool_dtype(series):
            return _TRUTH[text.lower()]
        if pd.api.types.is_integer_dtype(series) and text.lstrip("+-").isdecimal():
            return int(text)  # not through a float, which cannot hold a large seed
        if pd.api.types.is_numeric_dtype(series):
            return float(text)
        if pd.api.types.is_datetime64_any_dtype(series):
            time = pd.Timestamp(text)
            return time.tz_localize("UTC") if series.dt.tz and time.tz is None else time
    except (KeyError, ValueError) as error:
        raise StoreError(
            f"in {condition!r}, {text!r} is no value of {series.name}, which holds {_kind(series)}"
        ) from error
    return text


def _kind(series: pd.Series) -> str:
    if pd.api.types.is_bool_dtype(series):
        return "true or false"
    return "numbers" if pd.api.types.is_numeric_dtype(series) else "times, such as 2025-01-31"


def _natural(values: "pd.Series[Any]") -> "pd.Series[Any]":
    if not pd.api.types.is_string_dtype(values.dtype):
        return values
    return values.str.replace(r"\d+", lambda digits: digits[0].zfill(20), regex=True)


def _known(frame: pd.DataFrame, column: str) -> str:
    names = [str(name) for name in frame.columns]
    if column in names:
        return column
    near = difflib.get_close_matches(column, names, n=4, cutoff=0.5)
    hint = f"did you mean {', '.join(near)}?" if near else f"there are {', '.join(names[:12])} …"
    raise StoreError(f"there is no column {column!r}: {hint}")


def _numbers(frame: pd.DataFrame, column: str) -> "pd.Series[float]":
    series = frame[_known(frame, column)]
    if not pd.api.types.is_numeric_dtype(series) or pd.api.types.is_bool_dtype(series):
        raise StoreError(f"column {column!r} does not hold numbers")
    return series.astype("float64")
