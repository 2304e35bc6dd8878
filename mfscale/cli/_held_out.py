"""The most labels of each group, held out from its power law; for ``plot`` and ``report``."""

from dataclasses import replace
from typing import TYPE_CHECKING

from mfscale.cli import _analysis

if TYPE_CHECKING:
    import pandas as pd

_LEAST = 3
"""Numbers of labels a group needs, of which one is held out and two determine a law."""


def hold_out(asked: _analysis.Question) -> "tuple[_analysis.Question, pd.DataFrame, str | None]":
    """Part a question into what to fit and the rows of the most labels of each group.

    Returns
    -------
    tuple
        The question without these rows and without groups of fewer than three numbers of labels;
        these rows; and a sentence on the groups left out, if any.

    Raises
    ------
    ReportError
        If no group has three numbers of labels.
    """
    from mfscale.report import ReportError

    groups = asked.frame.groupby(list(asked.group), dropna=False)
    sizes = groups[asked.x]
    enough = sizes.transform("nunique") >= _LEAST
    held_out = enough & (asked.frame[asked.x] == sizes.transform("max"))
    if not held_out.any():
        raise ReportError("no group has three numbers of labels, of which one can be held out")
    few = int((sizes.nunique() < _LEAST).sum())
    note = (
        f"{few} of {groups.ngroups} groups have fewer than three numbers of labels, of which none "
        "can be held out"
    )
    rest = replace(asked, frame=asked.frame[enough & ~held_out])
    return rest, asked.frame[held_out], note if few else None
