"""Which rows of a store, or of a table, a law in several numbers of labels is about."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from mfscale.cli._analysis import VARIANTS, Table, cautions_of, settings_of
from mfscale.cli._asked import Asked

if TYPE_CHECKING:
    import pandas as pd

    from mfscale.scaling import Fit

COUNTS = "n_labels_"
KIND = "pretraining_kind"
PAPER = {"xtb": 1.0, "dft": 100.0, "cc": 1000.0}
"""Relative costs of a label, of the paper: for tables, and datasets that cannot be opened."""


@dataclass(frozen=True)
class Mixing:
    """Groups of rows, and what their columns count.

    Attributes
    ----------
    parts
        The rows of each group; a run without pre-training belongs to each kind of pre-training.
    labels
        Method → column of its number of labels.
    target, y, group, cluster
        The method asked for, its error, and columns as for any law.
    costs
        Method → relative cost of a label, as far as known.
    """

    parts: "tuple[pd.DataFrame, ...]"
    labels: dict[str, str]
    target: str
    y: str
    group: tuple[str, ...]
    cluster: str | None
    costs: dict[str, float]
    of_store: bool = False

    def fits(self, law: str | None, level: float) -> "list[Fit]":
        """The law of each group that determines one."""
        from mfscale.scaling import FitError, fit_mix

        found, reasons = [], []
        for rows in self.parts:
            try:
                fitted = fit_mix(
                    rows,
                    self.labels,
                    target=self.target,
                    y=self.y,
                    law=law,
                    group=self.group,
                    cluster=self.cluster,
                    level=level,
                )
            except FitError as error:
                reasons.append(str(error))
                continue
            extra = cautions_of(rows) if self.of_store else []
            found.append(replace(fitted, warnings=(*fitted.warnings, *extra)))
        if not found:
            raise FitError("; ".join(dict.fromkeys(reasons)))
        return found


def asked_for(asked: Asked) -> Mixing:
    """The rows of a mix, of a table or a store."""
    if (table := asked.of_table()) is not None:
        return mixes_of_table(table, asked.target)
    if asked.x is not None:
        from mfscale.scaling import FitError

        raise FitError(f"--x {asked.x}: the labels of a store are counted by method; leave it out")
    return mixes_of_store(asked.rows(), asked.target)


def mixes_of_store(frame: "pd.DataFrame", target: str) -> Mixing:
    """Ask for the error of head `target` against the labels of the whole lineage, by method.

    Rows of one kind of pre-training form a group, with those that leave out a part of it: direct
    training is every mix without other labels. Settings that vary within a kind part it.
    """
    from mfscale.scaling import FitError

    y, count = f"{target}_t_energy_mae_mev", f"{COUNTS}{target}"
    for column in (y, count):
        if column not in frame:
            raise FitError(
                f"the store has no column {column!r}: no finished stage learned from labels of "
                f"{target!r}; run a study with such stages, or name another --target"
            )
    rows = frame[(frame["status"] == "finished") & (frame["purpose"] == "science")]
    rows = rows[rows[y].notna() & (rows[count].fillna(0) > 0)].copy()
    if rows.empty:
        raise FitError(
            f"no finished stage has {y!r}; run a study with such stages, or name another --target"
        )
    columns = [str(c) for c in rows.columns if str(c).startswith(COUNTS)]
    labels = {c.removeprefix(COUNTS): c for c in columns if (rows[c].fillna(0) > 0).any()}
    kinds = [
        _kind(p, b) for p, b in zip(rows["pretraining"], rows[f"{target}_beside"], strict=True)
    ]
    rows[KIND] = [" > ".join(kind) or "none" for kind in kinds]
    candidates = [*VARIANTS, *settings_of(rows)]
    within = rows.groupby(KIND)[candidates].nunique(dropna=False)
    varying = [c for c in candidates if (within[c] > 1).any()]
    largest = [k for k in dict.fromkeys(kinds) if not any(_within(k, o) for o in kinds if o != k)]
    parts = tuple(part for kind in largest for part in _parts(rows, kind, varying))
    costs = costs_of(str(rows["dataset"].iloc[0]))
    return Mixing(parts, labels, target, y, (KIND, *varying), "root_id", costs, of_store=True)


def mixes_of_table(table: Table, target: str) -> Mixing:
    """Ask of any file; --x names the columns that count labels, each called after its method."""
    from mfscale.results import read_table
    from mfscale.scaling import FitError

    if table.x is None or table.y is None:
        raise FitError(
            f"--table {table.path}: name the columns that count labels with --x cc,dft and the "
            "error with --y"
        )
    frame = read_table(table.path)
    groups = tuple(table.group.split(",")) if table.group else ()
    for column in groups:
        if column not in frame:
            raise FitError(f"--group {column}: {table.path} has no such column")
    parts = tuple(part for _, part in frame.groupby(list(groups))) if groups else (frame,)
    labels = {column.removeprefix(COUNTS): column for column in table.x.split(",")}
    if target not in labels:
        raise FitError(
            f"--x {table.x}: none of these counts labels of the target {target!r}; name another "
            "--target, or the column that is called after it in --x"
        )
    return Mixing(parts, labels, target, table.y, groups, table.cluster, dict(PAPER))


def read_pairs(option: str, pairs: list[str]) -> dict[str, float]:
    """``name=number`` of a repeated option."""
    from mfscale.scaling import FitError

    found = {}
    for pair in pairs:
        name, _, number = pair.partition("=")
        try:
            found[name] = float(number)
        except ValueError:
            raise FitError(f"{option} {pair}: write a name and a number, such as cc=100") from None
    return found


def by_column(mixing: Mixing, point: Mapping[str, float], columns: set[str]) -> dict[str, float]:
    """Column → number of labels, of methods or columns; a method that is not named counts none."""
    from mfscale.scaling import FitError

    named = {**{c: c for c in mixing.labels.values()}, **mixing.labels}
    for name in point:
        if named.get(name) not in columns:
            raise FitError(f"{name} = {point[name]:g}: the law is of {', '.join(sorted(columns))}")
    return dict.fromkeys(sorted(columns), 0.0) | {named[n]: v for n, v in point.items()}


def prices(mixing: Mixing, given: Mapping[str, float], found: "Fit") -> dict[str, float]:
    """Column → cost of a label of this fit, of those given or else the dataset's own."""
    from mfscale.scaling import FitError

    for name in given:
        if name not in mixing.labels:
            known = ", ".join(mixing.labels)
            raise FitError(f"--cost {name}: no such method among these rows, which have {known}")
    columns = {axis.column for axis in found.axes.values()}
    costs = {**mixing.costs, **given}
    return {c: costs[m] for m, c in mixing.labels.items() if c in columns and m in costs}


def costs_of(dataset: str) -> dict[str, float]:
    """Method → relative cost of a label, as the dataset states it."""
    from mfscale.data import DatasetError, open_dataset

    try:
        return {m.name: m.cost for m in open_dataset(dataset).methods.values()}
    except DatasetError:  # a store outlives its dataset
        return dict(PAPER)


def _kind(pretraining: str, beside: str) -> tuple[str, ...]:
    """The labelled sets of each step without their sizes, and those learned beside the target."""
    steps = [] if pretraining == "none" else pretraining.split(" > ")
    if beside != "none":
        steps = [*steps, f"with {beside}"]
    return tuple(re.sub(r":\d+", "", step) for step in steps)


def _within(kind: tuple[str, ...], other: tuple[str, ...]) -> bool:
    """Whether `kind` leaves out steps of `other`, in the same order."""
    left = iter(other)
    return all(step in left for step in kind)


def _parts(
    rows: "pd.DataFrame", kind: tuple[str, ...], varying: list[str]
) -> "Iterator[pd.DataFrame]":
    import pandas as pd

    name = " > ".join(kind) or "none"
    core = rows[rows[KIND] == name]
    smaller = rows[[k != name and _within(_steps(k), kind) for k in rows[KIND]]]
    groups = [part for _, part in core.groupby(varying, dropna=False)] if varying else [core]
    for part in groups:
        joined = smaller[_fits_in(smaller, part, varying)].assign(
            **{column: part[column].iloc[0] for column in (KIND, *varying)}
        )
        yield pd.concat([joined, part]) if len(joined) else part


def _steps(kind: str) -> tuple[str, ...]:
    return () if kind == "none" else tuple(kind.split(" > "))


def _fits_in(
    smaller: "pd.DataFrame", part: "pd.DataFrame", varying: list[str]
) -> "pd.Series[bool]":
    """Whether runs that leave out steps were trained like `part`, or like what it started from."""
    import pandas as pd

    fits = pd.Series(data=True, index=smaller.index)
    for column in varying:
        if column == "trainable":  # direct training has nothing to freeze
            continue
        like = smaller[column].isna() | smaller[column].eq(part[column].iloc[0]).fillna(value=False)
        parent = f"parent_{column}"
        if parent in part:
            like |= smaller[column].eq(part[parent].iloc[0]).fillna(value=False)
        fits &= like.astype(bool)
    return fits
