"""Which rows and columns of a store a law is about; the same choice for fit, predict and plot."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

    from mfscale.scaling import Fit, FitWarning, Intervals

POWER, LINE = "power", "line"
AGAINST_LABELS = (POWER, "saturating power")
"""Laws against labels; the others are against the pre-trained error."""
VARIANTS = (
    *("dataset", "split", "recipe", "architecture", "size", "dtype", "cutoff_a", "fidelity"),
    *("trainable", "parent_trainable", "tuning", "parent_tuning"),
)
"""Columns that, with the settings, part a group wherever they differ within it."""
PRETRAINED = "parent_validation_energy_mae_mev"
"""What a line is drawn against unless another column is named."""
_SETTING = ("hp_", "parent_hp_")
_OF_HEAD = ("_weight", "_sampling_ratio", "_minus", "_inherit")


@dataclass(frozen=True)
class Table:
    """A file of one's own and the columns meant, by commas where there may be several."""

    path: Path
    x: str | None
    y: str | None
    group: str | None
    cluster: str | None
    replicate: str | None = None


@dataclass(frozen=True)
class Question:
    """A law to fit: rows, columns, what counts as independent, and what a replicate repeats."""

    law: str
    frame: "pd.DataFrame"
    x: str
    y: str
    group: tuple[str, ...]
    cluster: str | None
    of_store: bool = False
    replicate: tuple[str, ...] = ()

    def fit(self, level: float, intervals: "Intervals" = "auto") -> "list[Fit]":
        """One fit per group, with what its rows have in common or lack as warnings."""
        from mfscale.scaling import fit

        fits = fit(
            self.frame,
            self.law,
            x=self.x,
            y=self.y,
            group=self.group,
            cluster=self.cluster,
            level=level,
            intervals=intervals,
        )
        return [self.with_cautions(found) for found in fits]

    def with_cautions(self, found: "Fit") -> "Fit":
        """The fit, with what its rows have in common or lack as warnings too."""
        rows = self.rows_of(found)
        more = cautions_of(rows) if self.of_store else []
        if found.determined and self.law == LINE and self.replicate:
            from mfscale.scaling import noisy_x

            noisy = noisy_x(
                rows, x=self.x, y=self.y, replicate=self.replicate, cluster=self.cluster
            )
            more += [] if noisy is None else [noisy]
        return replace(found, warnings=(*found.warnings, *more))

    def rows_of(self, found: "Fit") -> "pd.DataFrame":
        rows = self.frame
        for column, value in found.group.items():
            rows = rows[rows[column].isna() if value is None else rows[column] == value]
        return rows


def of_store(frame: "pd.DataFrame", law: str, target: str, against: str | None = None) -> Question:
    """Ask `law` of result rows, with the error of head `target` on its own test labels as y.

    ``power``, ``saturating power``: error against training labels of the head, a group for each
    pre-training.
    ``line``: error against the validation error of the parent on its own labels, a group for each
    number of fine-tuning labels and kind of pre-training; or against another column, `against`,
    such as the parent's error on the test labels of its own method, which are many more.
    """
    y = f"{target}_t_energy_mae_mev"
    x = f"{target}_size" if law in AGAINST_LABELS else against or PRETRAINED
    if against is not None:
        _require_choice(frame, law, x, against)
    rows = science_rows(frame, (y, x), law, target)
    rows["pretraining_kind"] = rows["pretraining"].str.replace(r":\d+", "", regex=True)
    lead = ["pretraining"] if law in AGAINST_LABELS else [f"{target}_size"]
    beside = f"{target}_beside"
    lead += [beside] if len(rows[beside].unique()) > 1 else []
    settings = settings_of(rows)
    candidates = [*VARIANTS, *settings, *([] if law in AGAINST_LABELS else ["pretraining_kind"])]
    varying = varying_within(rows, lead, candidates)
    of_what = () if law in AGAINST_LABELS else ("pretraining",)
    group = (*lead, *varying)
    return Question(law, rows, x, y, group, "root_id", of_store=True, replicate=of_what)


def science_rows(
    frame: "pd.DataFrame", columns: tuple[str, ...], law: str, target: str
) -> "pd.DataFrame":
    """Rows of finished stages that have all these columns; FitError without any."""
    from mfscale.scaling import FitError

    for column in columns:
        if column not in frame:
            raise FitError(
                f"the store has no column {column!r}: no finished stage can be asked for the {law} "
                f"law of head {target!r}; run a study with such stages, or name another --target"
            )
    rows = frame[(frame["status"] == "finished") & (frame["purpose"] == "science")]
    rows = rows[rows[list(columns)].notna().all(axis=1)].copy()
    if rows.empty:
        names = " and ".join(repr(column) for column in reversed(columns))
        raise FitError(
            f"no finished stage has both {names}, which the {law} law of head {target!r} "
            "relates; run a study with such stages, or name another --target or --law"
        )
    return rows


def varying_within(
    rows: "pd.DataFrame", lead: Sequence[str], candidates: Sequence[str]
) -> list[str]:
    """Those candidates that take several values within a group of `lead`."""
    within = rows.groupby(list(lead), dropna=False)[list(candidates)].nunique(dropna=False)
    return [column for column in candidates if (within[column] > 1).any()]


def _require_choice(frame: "pd.DataFrame", law: str, x: str, against: str) -> None:
    """Refuse a column that the law cannot be asked against."""
    from mfscale.scaling import FitError

    if law in AGAINST_LABELS and against != x:
        raise FitError(
            f"--x {against}: the {law} law of a store is against {x}; --x chooses what a line is "
            "drawn against (--law line), or names the predictors of a law in several"
        )
    if against in frame and frame[against].notna().any():
        if frame[against].dtype.kind in "iuf":
            return
        raise FitError(f"--x {against} holds no numbers; a law is fitted to numbers")
    errors = [
        c
        for c in map(str, frame.columns)
        if c.startswith("parent_") and c.endswith("energy_mae_mev") and frame[c].notna().any()
    ]
    near = [c for c in errors if "_vs_" not in c] or errors
    raise FitError(
        f"--x {against}: no row has it; pre-trained errors are {', '.join(near) or 'not there'}"
    )


def settings_of(rows: "pd.DataFrame") -> list[str]:
    """Columns of how the stages and their parents were trained."""
    return [c for c in map(str, rows.columns) if c.startswith(_SETTING) or c.endswith(_OF_HEAD)]


def cautions_of(rows: "pd.DataFrame") -> "list[FitWarning]":
    """What the rows behind a fit say of it that their x and y do not."""
    from mfscale.scaling import FitWarning

    found = []
    if len(rows) > 1 and (rows["data_seed"] == rows["data_seed"].iloc[0]).all():
        found.append(
            FitWarning(
                "one-draw",
                "all runs learn from one draw of labels (one data_seed): the intervals cover "
                "initialisation, not the choice of labels",
            )
        )
    parents = rows.get("parent_converged", rows["converged"])
    short = int((~(rows["converged"].fillna(True) & parents.fillna(True)).astype(bool)).sum())
    if short:
        found.append(
            FitWarning(
                "unconverged",
                f"{short} of {len(rows)} runs, or what they start from, were still improving at "
                "the cap of steps: more training would lower these errors",
            )
        )
    return found


def of_table(table: Table, law: str) -> Question:
    """Ask `law` of any CSV or Parquet file."""
    from mfscale.results import read_table
    from mfscale.scaling import FitError

    if table.x is None or table.y is None:
        raise FitError(f"--table {table.path}: name its columns with --x and --y")
    groups = tuple(table.group.split(",")) if table.group else ()
    frame, again = read_table(table.path), tuple((table.replicate or "").split(","))
    for column in filter(None, again):
        if column not in frame:
            raise FitError(f"--replicate {column}: {table.path} has no such column")
    return Question(
        law, frame, table.x, table.y, groups, table.cluster, replicate=tuple(filter(None, again))
    )
