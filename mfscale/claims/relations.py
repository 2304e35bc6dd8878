"""The runs of the claims that errors are log-log linear, as points on parallel lines."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from mfscale.claims.labels import steps_of
from mfscale.claims.runs import CAPS, OF_PARENT, PARENT_CAPS, TARGET, VARIANT


@dataclass(frozen=True)
class Relation:
    """Points to lay lines through.

    Attributes
    ----------
    points
        One row per point: ``stage_id``, ``cluster``, ``x`` and ``y`` (ln MAE), ``line`` (the group
        that has a line of its own), ``group`` (in which a slope is judged), ``x_stage``, ``x_head``
        (whose test error x is; None if it is no test error).
    notes
        What a reader should know of x and of what the points span.
    """

    points: pd.DataFrame
    notes: tuple[str, ...] = ()


def fine_tuned_and_pretrained(runs: pd.DataFrame, frame: pd.DataFrame) -> Relation:
    """2: test error fine-tuned in full, against that of the pre-trained model on its own method.

    A line for each setting, target labels, caps, and method and kind of pre-training labels.
    """
    chosen = runs[
        (runs["strategy"] == "fine-tuned")
        & (runs["trainable"] == "all")
        & (runs["pre_method"] != "")
    ]
    rows = frame.set_index("stage_id").loc[chosen["stage_id"]]
    heads = chosen["pre_method"].tolist()
    tested = _errors(rows, [f"parent_{head}_t_energy_mae_mev" for head in heads])
    x, kind = tested, "test"
    if not np.isfinite(tested).any():
        kind = "validation"
        x = _errors(rows, ["parent_validation_energy_mae_mev"] * len(rows))
    line = [
        *VARIANT,
        *TARGET,
        *CAPS,
        *PARENT_CAPS,
        *OF_PARENT,
        "pre_method",
        "pre_subset",
        "pre_forces",
    ]
    points = _points(chosen, x, line)
    points["x_stage"] = chosen["parent_id"].to_numpy()
    points["behind_x"] = points["pre_size"]
    points["x_head"] = heads if kind == "test" else None
    points["group"] = points["target_size"].astype(str) + " target labels"
    points = points[np.isfinite(points["x"])]
    points = points.sort_values("target_size", kind="stable", ignore_index=True)
    notes = (f"pre-trained error: the {kind} error on its own method's labels", *_span(points))
    return Relation(points, notes if len(points) else ())


def heads_of_one_model(runs: pd.DataFrame, frame: pd.DataFrame, target: str) -> Relation:
    """6: test error of the target's head, against that of each other head of the same model.

    Heads are named after their methods. A line for each setting, target labels, caps, and kinds of
    the other heads' labels.
    """
    chosen = runs[runs["strategy"] == "multi-headed"]
    rows = frame.set_index("stage_id").loc[chosen["stage_id"]]
    kinds = chosen["others"].str.replace(r":\d+(?=\+| |$)", "", regex=True)
    parts = []
    for head in sorted(
        {s.method for text in chosen["others"] for step in steps_of(text) for s in step} - {target}
    ):
        x = _errors(rows, [f"{head}_t_energy_mae_mev"] * len(rows))
        points = _points(chosen.assign(kinds=kinds), x, [*VARIANT, *TARGET, *CAPS, "kinds"])
        points["x_stage"], points["x_head"] = chosen["stage_id"].to_numpy(), head
        points["behind_x"] = points["others"]
        points["group"] = f"against the {head} head"
        points["line"] = head + "/" + points["line"].astype(str)
        parts.append(points[np.isfinite(points["x"])])
    points = pd.concat(parts, ignore_index=True) if parts else _points(chosen, np.empty(0), [])
    return Relation(points)


def _points(chosen: pd.DataFrame, x: np.ndarray, line: list[str]) -> pd.DataFrame:
    points = chosen.copy()
    points["cluster"] = chosen["root_id"]
    points["x"], points["y"] = x, np.log(chosen["error"])
    points["line"] = chosen.groupby(line, dropna=False).ngroup() if line else 0
    points["group"], points["x_stage"], points["x_head"], points["behind_x"] = "", None, None, ""
    return points.reset_index(drop=True)


def _errors(rows: pd.DataFrame, columns: list[str]) -> np.ndarray:
    """The logarithm of a column of each row; NaN where there is none."""
    values = np.full(len(rows), np.nan)
    for column in set(columns) & set(map(str, rows.columns)):
        here = np.array([name == column for name in columns])
        numbers = pd.to_numeric(rows[column], errors="coerce")
        values[here] = numbers.to_numpy(dtype=float, na_value=np.nan)[here]
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(values > 0, np.log(values), np.nan)


def _span(points: pd.DataFrame) -> tuple[str, ...]:
    """Which architectures, model sizes and methods the points are from."""
    told = [
        f"{name} {', '.join(sorted(set(points[column])))}"
        for name, column in (
            ("architectures", "architecture"),
            ("model sizes", "size"),
            ("methods", "pre_method"),
        )
    ]
    return ("the runs span " + "; ".join(told),) if len(points) else ()
