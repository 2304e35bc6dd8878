"""Result rows as the claims need them: what was learned, how, under which budget, to what error."""

from collections.abc import Mapping
from math import nan
from typing import Any

import numpy as np
import pandas as pd

from mfscale.claims.errors import ClaimsError
from mfscale.claims.labels import LabelledSet, cost_of, steps_of, text_of

SEEDS = ("seed", "data_seed")
VARIANT = (
    "dataset",
    "split",
    "architecture",
    "size",
    "dtype",
    "cutoff_a",
    "recipe",
    "tuning",
    "fidelity",
    "minus",
)
"""What any two runs that are compared, or lie on one line, have in common."""
SETTING = (*VARIANT, *SEEDS)
TARGET = ("target_subset", "target_size", "target_forces")
CAPS = ("max_steps", "batch_size", "patience")
OF_PARENT = ("parent_tuning",)
"""What the steps before must have in common where both sides have one."""
PARENT_CAPS = tuple(f"parent_{name}" for name in CAPS)

_UNKNOWN = "?"
_UNLESS_TOLD = {
    "fidelity": "readout",
    "parent_fidelity": "readout",
    "tuning": "",
    "trainable": "all",
}


def runs_of(frame: pd.DataFrame, target: str, costs: Mapping[str, float]) -> pd.DataFrame:
    """Describe the finished science stages that have a test error of head `target`.

    Parameters
    ----------
    frame
        Flattened result rows.
    target
        Head whose error on its own test labels the claims are about.
    costs
        Method → relative cost of a label.

    Returns
    -------
    pandas.DataFrame
        One row per stage: ``stage_id``, ``root_id``, ``parent_id``, ``method`` (of the target's
        labels), ``error`` (meV), ``log_error``, ``converged``; ``SETTING``, ``OF_PARENT`` and
        ``TARGET``; ``CAPS`` and ``PARENT_CAPS``, where patience is in optimiser steps, and
        ``compute`` (samples seen, ancestors included), NaN where unknown; ``strategy`` (``direct``,
        ``fine-tuned``, ``multi-headed`` or ``other``), ``trainable``, ``pretraining``;
        ``pre_method``, ``pre_subset``, ``pre_size``, ``pre_forces`` of pre-training that is one
        labelled set (``""`` and NaN of any other), ``n_steps`` of pre-training and ``n_before``,
        its methods; ``others`` (all labelled sets but the target's), ``n_methods`` among them,
        ``beside`` (those learned in the same step), ``mixes_target`` (whether the target's method
        is among them); ``pre_cost``, and ``cost`` of all labels. Columns of text write ``?`` for
        what is unknown.

    Raises
    ------
    ClaimsError
        If no finished science stage has such an error.
    """
    error = f"{target}_t_energy_mae_mev"
    if error not in frame:
        raise ClaimsError(
            f"the store has no column {error!r}: no stage was tested with a head {target!r}; run a "
            "study with such stages, or name another --target"
        )
    rows = frame[(frame["status"] == "finished") & (frame["purpose"] == "science")]
    trained = ~_column(rows, "stop_reason").eq("adopted").fillna(value=False).astype(bool)
    rows = rows[rows[error].gt(0).fillna(value=False) & trained]
    rows = rows[_column(rows, f"{target}_size").notna()].reset_index(drop=True)
    if rows.empty:
        raise ClaimsError(
            f"no finished stage of purpose science was trained with a head {target!r} and has "
            f"{error!r}; run a study with such stages, or name another --target"
        )
    runs = pd.DataFrame({"stage_id": rows["stage_id"].astype(str)})
    runs["root_id"] = rows["root_id"].fillna(rows["stage_id"]).astype(str)
    runs["parent_id"] = _text(rows, "parent_id")
    runs["error"] = rows[error].astype(float)
    runs["log_error"] = np.log(runs["error"])
    runs["converged"] = _converged(rows)
    runs["trainable"] = _text(rows, "trainable")
    for name in SETTING:
        runs[name] = _differing(rows, frame) if name == "minus" else _text(rows, name)
    runs["fidelity"] += "/" + _text(rows, "parent_fidelity")
    runs["parent_tuning"] = _of_parent(rows, frame, "tuning")
    runs["target_subset"] = _text(rows, f"{target}_subset")
    runs["target_size"] = rows[f"{target}_size"].astype(int)
    runs["target_forces"] = _text(rows, f"{target}_forces")
    runs = runs.join(_budget(rows, frame))
    learned = [
        _learned(str(labels), str(pretraining), str(beside), str(minus), target, costs)
        for labels, pretraining, beside, minus in zip(
            _text(rows, "labels"),
            _filled(rows, "pretraining", "none"),
            _filled(rows, f"{target}_beside", "none"),
            _filled(rows, f"{target}_minus", ""),
            strict=True,
        )
    ]
    return runs.join(pd.DataFrame(learned, index=runs.index))


def _learned(
    labels: str,
    pretraining: str,
    beside: str,
    minus: str,
    target: str,
    costs: Mapping[str, float],
) -> dict[str, Any]:
    """What a stage learned from, and what sort of strategy that makes it."""
    steps, next_to = steps_of(pretraining), [s for step in steps_of(beside) for s in step]
    here = [s for step in steps_of(labels) for s in step] if labels != _UNKNOWN else []
    own = [s for s in here if s not in next_to]
    told_as = own[0].method if own else target
    method = told_as.removesuffix(f"-{minus}") if minus else told_as
    before = [s for step in steps for s in step]
    others = [*before, *next_to]
    strategy = "other"
    if all(s.method != method for s in others):
        told = {
            (False, False): "direct",
            (True, False): "fine-tuned",
            (False, True): "multi-headed",
        }
        strategy = told.get((bool(before), bool(next_to)), "other")
    single = before[0] if len(before) == 1 else None
    return {
        "method": method,
        "strategy": strategy,
        "pretraining": " > ".join(text_of(step) for step in steps),
        "pre_method": single.method if single else "",
        "pre_subset": single.subset if single else "",
        "pre_size": single.size if single else nan,
        "pre_forces": str(single.forces) if single else "",
        "n_steps": len(steps),
        "n_before": len({s.method for s in before}),
        "n_methods": len({s.method for s in others}),
        "others": text_of(others),
        "beside": text_of(next_to),
        "mixes_target": any(s.method == method for s in others),
        "pre_cost": cost_of(before, costs),
        "cost": cost_of([*others, *own], costs),
    }


def _budget(rows: pd.DataFrame, frame: pd.DataFrame) -> pd.DataFrame:
    """Caps of the step and of the one before it, and compute; NaN where unknown."""
    budget: dict[str, pd.Series] = {}
    for prefix in ("", "parent_"):
        between = _number(rows, f"{prefix}hp_validate_every")
        budget[f"{prefix}max_steps"] = _number(rows, f"{prefix}hp_max_steps")
        budget[f"{prefix}batch_size"] = _number(rows, f"{prefix}hp_batch_size")
        budget[f"{prefix}patience"] = _number(rows, f"{prefix}hp_patience") * between
    seen = _number(rows, "total_samples_seen")
    adopted = frame.loc[_column(frame, "stop_reason").eq("adopted").fillna(value=False), "stage_id"]
    budget["compute"] = seen.mask(rows["root_id"].isin(adopted))
    return pd.DataFrame(budget)


def _converged(rows: pd.DataFrame) -> pd.Series:
    """Whether neither the stage nor its parent was still improving at the cap."""
    own, parents = (
        _column(rows, name).fillna(value=True).astype(bool)
        for name in ("converged", "parent_converged")
    )
    return own & parents


def _differing(rows: pd.DataFrame, frame: pd.DataFrame) -> pd.Series:
    """Which labels, of the stage, its parent or older ancestors, are differences to a method.

    The labels of a head with minus are told as ``method-minus``, by which those of ancestors beyond
    the parent are recognised.
    """
    found = pd.Series("", index=rows.index)
    columns = sorted(c for c in map(str, frame.columns) if c.endswith("_minus"))
    subtracted = {str(m) for c in columns for m in frame[c].dropna().unique() if m}
    for column in columns:
        told = rows[column].notna() & rows[column].ne("").fillna(value=False)
        found = found.where(~told, found + f"{column}:" + rows[column].astype(str) + " ")
    older = [
        text_of(s for step in steps_of(str(text)) for s in step if _is_difference(s, subtracted))
        for text in _filled(rows, "pretraining", "none")
    ]
    return found + pd.Series(older, index=rows.index, dtype=object)


def _is_difference(labels: LabelledSet, subtracted: set[str]) -> bool:
    return any(labels.method.endswith(f"-{method}") for method in subtracted)


def _of_parent(rows: pd.DataFrame, frame: pd.DataFrame, name: str) -> pd.Series:
    """A column of the parent, as text; of a root, or of a parent not in `frame`, unknown."""
    told = dict(zip(frame["stage_id"], _text(frame, name), strict=True))
    return _column(rows, "parent_id").map(told).fillna(_UNKNOWN).astype(str)


def _column(rows: pd.DataFrame, name: str) -> pd.Series:
    if name in rows:
        return rows[name]
    return pd.Series(None, index=rows.index, dtype=object, name=name)


def _text(rows: pd.DataFrame, name: str) -> pd.Series:
    return _filled(rows, name, _UNLESS_TOLD.get(name, _UNKNOWN))


def _filled(rows: pd.DataFrame, name: str, default: str) -> pd.Series:
    values = _column(rows, name)
    return values.astype(str).mask(values.isna().to_numpy(), default)


def _number(rows: pd.DataFrame, name: str) -> pd.Series:
    numbers = pd.to_numeric(_column(rows, name), errors="coerce")
    return pd.Series(numbers.to_numpy(dtype=float, na_value=np.nan), index=rows.index)
