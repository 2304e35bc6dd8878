"""Which rows and columns of a store a law is about; the same choice for fit, predict and plot."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

    from mfscale.scaling import Fit

POWER, LINE = "power", "line"
VARIANTS = ("dataset", "split", "architecture", "size", "dtype", "trainable")
"""Columns that part rows into groups of their own wherever they differ."""


@dataclass(frozen=True)
class Question:
    """A law to fit: rows, columns, and what counts as independent."""

    law: str
    frame: "pd.DataFrame"
    x: str
    y: str
    group: tuple[str, ...]
    cluster: str | None

    def fit(self, level: float) -> "list[Fit]":
        """One fit per group."""
        from mfscale.scaling import fit

        return fit(
            self.frame,
            self.law,
            x=self.x,
            y=self.y,
            group=self.group,
            cluster=self.cluster,
            level=level,
        )


def of_store(frame: "pd.DataFrame", law: str, target: str) -> Question:
    """Ask `law` of result rows, with the error of head `target` on its own test labels as y.

    ``power``: error against training labels of the head, a group for each pre-training.
    ``line``: error against the validation error of the parent on its own labels, a group for each
    number of fine-tuning labels and kind of pre-training.
    """
    from mfscale.scaling import FitError

    y = f"{target}_t_energy_mae_mev"
    x = f"{target}_size" if law == POWER else "parent_validation_energy_mae_mev"
    for column in (y, x):
        if column not in frame:
            raise FitError(
                f"the store has no column {column!r}: no finished stage can be asked for the {law} "
                f"law of head {target!r}; run a study with such stages, or name another --target"
            )
    rows = frame[(frame["status"] == "finished") & (frame["purpose"] == "science")]
    rows = rows[rows[y].notna() & rows[x].notna()].copy()
    if rows.empty:
        raise FitError(
            f"no finished stage has both {x!r} and {y!r}, which the {law} law of head {target!r} "
            "relates; run a study with such stages, or name another --target or --law"
        )
    rows["pretraining_kind"] = rows["pretraining"].str.replace(r":\d+", "", regex=True)
    lead = ["pretraining"] if law == POWER else [f"{target}_size"]
    candidates = VARIANTS if law == POWER else (*VARIANTS, "pretraining_kind")
    varying = [c for c in candidates if len(rows[c].unique()) > 1]
    return Question(law, rows, x, y, (*lead, *varying), "root_id")


def of_table(
    path: Path, law: str, x: str | None, y: str | None, group: str | None, cluster: str | None
) -> Question:
    """Ask `law` of any CSV or Parquet file."""
    from mfscale.results import read_table
    from mfscale.scaling import FitError

    if x is None or y is None:
        raise FitError(f"--table {path}: name its columns with --x and --y")
    groups = tuple(group.split(",")) if group else ()
    return Question(law, read_table(path), x, y, groups, cluster)
