"""What a page is made of: rows, the laws and claims that they gave, and learning curves."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pandas as pd

from mfscale.claims import ClaimResult
from mfscale.scaling import Fit

CurveOf = Callable[[str], pd.DataFrame | None]
"""Stage id → its learning curve, one row per validation; None if there is none to read."""


@dataclass(frozen=True, kw_only=True)
class FittedLaws:
    """The laws of one kind, and the table that they were fitted to.

    Attributes
    ----------
    law
        ``power`` or ``line``.
    frame
        The rows fitted, with ``stage_id``.
    x, y, group
        Columns, as they were fitted.
    fits
        One per group.
    held_out
        Rows of the same columns that were not fitted, to be told apart.
    """

    law: str
    frame: pd.DataFrame
    x: str
    y: str
    group: tuple[str, ...]
    fits: Sequence[Fit]
    held_out: pd.DataFrame | None = None


@dataclass(frozen=True, kw_only=True)
class Contents:
    """All that a page shows.

    Attributes
    ----------
    name
        What the page is about, such as the names of the store and the study.
    target
        The head whose test error is meant.
    frame
        Flattened rows of a store, of every status and purpose.
    laws, claims
        What was made of them; empty where they do not answer.
    curve_of
        Where learning curves are read from.
    notes
        What else a reader must know, such as why a law is missing.
    """

    name: str
    target: str
    frame: pd.DataFrame
    laws: Sequence[FittedLaws]
    claims: Sequence[ClaimResult]
    curve_of: CurveOf
    notes: Sequence[str] = ()

    @property
    def science(self) -> pd.DataFrame:
        """The rows that are results, not tuning trials."""
        rows = self.frame[self.frame["purpose"] == "science"]
        return rows.reset_index(drop=True)
