"""Runs that could be made as rows of a question: its predictors, its groups, and what they cost."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import exp, log
from typing import TYPE_CHECKING, Any

from mfscale.cli import _analysis
from mfscale.cli._analysis import Question
from mfscale.cli._runs import Run

if TYPE_CHECKING:
    import pandas as pd

    from mfscale.study import Stage

Cost = Callable[["Stage"], float]


class Unit(StrEnum):
    """What a budget counts."""

    labels_cost = "labels-cost"
    seconds = "seconds"
    stages = "stages"


@dataclass(frozen=True)
class Candidates:
    """Runs that would be rows of a question.

    Attributes
    ----------
    runs
        By the index of `table`.
    table
        What `mfscale.scaling.suggest` chooses from.
    """

    runs: tuple[Run, ...]
    table: "pd.DataFrame"


def candidates_of(
    question: Question,
    runs: Sequence[Run],
    *,
    target: str,
    finished: "frozenset[str]",
    cost: Cost,
) -> Candidates:
    """The runs that are not finished, as rows of the question.

    A run is of the group of a finished one that differs from it in seeds, and in what the question
    is about, alone. Runs whose predictor cannot be foretold are left out.
    """
    import pandas as pd

    of_labels = question.law in _analysis.AGAINST_LABELS
    known = {
        row["stage_id"]: {column: row[column] for column in question.group}
        for row in question.frame.to_dict("records")
    }
    groups = {
        _twins(run, target, of_labels=of_labels): known[run.last.id]
        for run in runs
        if run.last.id in known
    }
    foretell = _labels(target) if of_labels else _pretrained(question, runs)
    kept, rows = [], []
    for run in {run.last.id: run for run in reversed(runs)}.values():
        group = groups.get(_twins(run, target, of_labels=of_labels))
        if run.last.id in finished or group is None or target not in run.last.heads:
            continue
        x = foretell(run)
        if x is None:
            continue
        before = [stage for stage in run.stages[:-1] if stage.id not in finished]
        kept.append(run)
        rows.append(
            {
                **group,
                question.x: x,
                question.cluster or "root_id": run.last.root_id,
                "cost": cost(run.last),
                "setup": before[-1].id if before else None,
                "setup_cost": sum(map(cost, before)),
            }
        )
    columns = [*question.group, question.x, "root_id", "cost", "setup", "setup_cost"]
    return Candidates(tuple(kept), pd.DataFrame(rows, columns=columns))


def labels_cost(costs: Mapping[str, float], target: str) -> Cost:
    """The training labels of a stage, in labels of the target method."""

    def cost(stage: "Stage") -> float:
        methods = [
            (m, head.size) for head in stage.heads.values() for m in (head.method, head.minus) if m
        ]
        return sum(costs.get(m, 0.0) * size for m, size in methods) / costs[target]

    return cost


def _twins(run: Run, target: str, *, of_labels: bool) -> tuple[object, ...]:
    """What runs of one group of a question have in common: all but seeds and what it is about."""
    last = len(run.stages) - 1

    def step(i: int, stage: "Stage") -> tuple[object, ...]:
        heads = []
        for name, head in stage.heads.items():
            about = (i == last and name == target) if of_labels else i < last
            labels = (head.method, head.minus, head.subset, head.forces, head.inherit)
            heads.append((name, *labels, head.weight, head.sampling_ratio, about or head.size))
        return (
            stage.dataset,
            stage.split,
            stage.model.model_dump_json(),
            stage.trainable,
            stage.kept,
            stage.hyperparameters.model_dump_json(),
            *heads,
        )

    return tuple(step(i, stage) for i, stage in enumerate(run.stages))


def _labels(target: str) -> Callable[[Run], float | None]:
    return lambda run: float(run.last.heads[target].size)


def _pretrained(question: Question, runs: Sequence[Run]) -> Callable[[Run], float | None]:
    """The pre-trained error: measured, or of checkpoints alike, or by their power law."""
    measured: dict[str, float] = {}
    for row in question.frame.to_dict("records"):
        measured[str(row["parent_id"])] = float(row[question.x])
    alike: dict[object, dict[int, list[float]]] = {}
    for run in {run.last.parent_id: run for run in runs}.values():
        if str(run.last.parent_id) in measured:
            sizes = alike.setdefault(_twins(run, "", of_labels=False)[:-1], {})
            sizes.setdefault(_size(run), []).append(log(measured[str(run.last.parent_id)]))

    def foretold(run: Run) -> float | None:
        if str(run.last.parent_id) in measured:
            return measured[str(run.last.parent_id)]
        known = alike.get(_twins(run, "", of_labels=False)[:-1], {})
        if _size(run) in known:
            return exp(sum(known[_size(run)]) / len(known[_size(run)]))
        return _power(known, _size(run))

    return foretold


def _size(run: Run) -> int:
    return sum(head.size for stage in run.stages[:-1] for head in stage.heads.values())


def _power(known: Mapping[int, list[float]], size: int) -> float | None:
    """From a straight line of ln error against ln size; None with fewer than two sizes."""
    import numpy as np

    if len(known) < 2:
        return None
    pairs: list[tuple[float, Any]] = [(log(n), e) for n, errors in known.items() for e in errors]
    slope, height = np.polyfit(*np.array(pairs).T, 1)
    return exp(float(height + slope * log(size)))
