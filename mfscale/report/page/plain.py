"""Values of tables as plain data that strict JSON holds."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

Plain = str | int | float | bool | None
_DIGITS = 6


def plain(value: Any) -> Plain:  # noqa: ANN401 - any cell of a table
    """A cell; None where it is missing or not finite, numbers to six digits, the rest as text."""
    if value is None or value is pd.NA or value is pd.NaT:
        return None
    if isinstance(value, (np.generic, np.ndarray)):
        value = value.item()
    if isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return rounded(value) if np.isfinite(value) else None
    return str(value)


def rounded(value: float) -> float:
    """To six digits, which no eye can tell from all of them and which take half the space."""
    return float(f"{value:.{_DIGITS}g}")


def numbers(values: Iterable[Any]) -> list[float | None]:
    """Real numbers, None where there is none."""
    return [
        None if value is None or value is pd.NA or not np.isfinite(value) else rounded(float(value))
        for value in values
    ]
