"""Runs that could be made as rows of a question: its predictors, its groups, and what they cost."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import exp, log
from typing import TYPE_CHECKING

from mfscale.cli import _analysis
from mfscale.cli._analysis import Question
from mfscale.cli._mixing import Mixing
from mfscale.cli._parameters import model_of, parameters_foretold
from mfscale.cli._runs import Run
from mfscale.cli._several import SIZE

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


@dataclass(frozen=True)
class About:
    """What a question is about, of a run.

    Attributes
    ----------
    known
        Id of a finished stage → the columns of its group.
    predictors
        Column → value; None where it cannot be foretold.
    free
        Of a head (in the last step or an earlier one, and its name), whether runs of one group
        differ in its number of labels.
    cluster
        Column of the unit of replication.
    columns
        Of the groups and the predictors.
    of_sizes
        Whether runs of one group differ in the size of the model too.
    """

    known: Mapping[str, Mapping[str, object]]
    predictors: Callable[[Run], Mapping[str, float] | None]
    free: Callable[[bool, str], bool]
    cluster: str
    columns: tuple[str, ...]
    of_sizes: bool = False


def about_question(question: Question, runs: Sequence[Run], target: str) -> About:
    """Of a law of one predictor."""
    x = question.x
    if question.law in _analysis.AGAINST_LABELS:

        def free(last: bool, head: str) -> bool:
            return last and head == target

        def predictors(run: Run) -> dict[str, float] | None:
            return {x: float(run.last.heads[target].size)}

    else:
        pretrained = _pretrained(question, runs)
        free = _earlier

        def predictors(run: Run) -> dict[str, float] | None:
            found = pretrained(run)
            return None if found is None else {x: found}

    columns = (*question.group, x)
    return About(_known(question), predictors, free, question.cluster or "root_id", columns)


def about_sizes(question: Question, runs: Sequence[Run], target: str) -> About:
    """Of a law over model size and labels of the target."""
    labels = f"{target}_size"
    n_parameters = parameters_foretold(question.frame, runs)

    def predictors(run: Run) -> dict[str, float] | None:
        n = n_parameters(run)
        return None if n is None else {SIZE: n, labels: float(run.last.heads[target].size)}

    def free(last: bool, head: str) -> bool:
        return last and head == target

    columns = (*question.group, SIZE, labels)
    cluster = question.cluster or "root_id"
    return About(_known(question), predictors, free, cluster, columns, of_sizes=True)


def about_mix(mixing: Mixing) -> About:
    """Of a law in numbers of labels; a run that is of several groups counts for the first."""
    known: dict[str, dict[str, object]] = {}
    for part in mixing.parts:
        for row in part.to_dict("records"):
            group = {column: row[column] for column in mixing.group}
            known.setdefault(str(row["stage_id"]), group)

    def predictors(run: Run) -> dict[str, float]:
        sizes: dict[tuple[str, str], int] = {}
        for labels in run.last.lineage:
            place = (labels.method, labels.subset)
            sizes[place] = max(labels.size, sizes.get(place, 0))
        return {
            column: float(sum(n for (m, _), n in sizes.items() if m == method))
            for method, column in mixing.labels.items()
        }

    columns = (*mixing.group, *mixing.labels.values())
    return About(known, predictors, lambda *_: True, mixing.cluster or "root_id", columns)


def candidates_of(
    about: About, runs: Sequence[Run], *, target: str, finished: frozenset[str], cost: Cost
) -> Candidates:
    """The runs that are not finished, as rows of the question.

    A run is of the group of a finished one that differs from it in seeds, and in what the question
    is about, alone. Runs whose predictor cannot be foretold are left out.
    """
    import pandas as pd

    groups = {
        _twins(run, about.free, about.of_sizes): about.known[run.last.id]
        for run in runs
        if run.last.id in about.known
    }
    kept, rows = [], []
    once: dict[str, Run] = {}
    for run in runs:
        once.setdefault(run.last.id, run)
    for run in once.values():
        group = groups.get(_twins(run, about.free, about.of_sizes))
        if run.last.id in finished or group is None or target not in run.last.heads:
            continue
        predictors = about.predictors(run)
        if predictors is None:
            continue
        before = [stage for stage in run.stages[:-1] if stage.id not in finished]
        kept.append(run)
        rows.append(
            {
                **group,
                **predictors,
                about.cluster: run.last.root_id,
                "cost": cost(run.last),
                "setup": before[-1].id if before else None,
                "setup_cost": sum(map(cost, before)),
            }
        )
    columns = [*about.columns, about.cluster, "cost", "setup", "setup_cost"]
    return Candidates(tuple(kept), pd.DataFrame(rows, columns=columns))


def labels_cost(costs: Mapping[str, float], target: str) -> Cost:
    """The training labels of a stage, in labels of the target method."""

    def cost(stage: "Stage") -> float:
        methods = [
            (m, head.size) for head in stage.heads.values() for m in (head.method, head.minus) if m
        ]
        return sum(costs.get(m, 0.0) * size for m, size in methods) / costs[target]

    return cost


def _earlier(last: bool, head: str) -> bool:  # noqa: ARG001
    return not last


def _known(question: Question) -> dict[str, dict[str, object]]:
    return {
        row["stage_id"]: {column: row[column] for column in question.group}
        for row in question.frame.to_dict("records")
    }


def _twins(
    run: Run, free: Callable[[bool, str], bool], of_sizes: bool = False
) -> tuple[object, ...]:
    """What runs of one group of a question have in common: all but seeds and what it is about."""
    last = run.stages[-1]

    def step(stage: "Stage") -> tuple[object, ...]:
        heads = []
        for name, head in stage.heads.items():
            size = "any" if free(stage is last, name) else head.size
            labels = (head.method, head.minus, head.subset, head.forces, head.inherit)
            heads.append((name, *labels, head.weight, head.sampling_ratio, size))
        return (
            stage.dataset,
            stage.split,
            model_of(stage, sized=not of_sizes),
            stage.trainable,
            stage.kept,
            stage.hyperparameters.model_dump_json(),
            *heads,
        )

    return tuple(map(step, run.stages))


def _pretrained(question: Question, runs: Sequence[Run]) -> Callable[[Run], float | None]:
    """The pre-trained error: measured, or of checkpoints alike, or by their power law."""
    measured: dict[str, float] = {}
    for row in question.frame.to_dict("records"):
        measured[str(row["parent_id"])] = float(row[question.x])
    alike: dict[object, dict[int, list[float]]] = {}
    for run in {run.last.parent_id: run for run in runs}.values():
        if str(run.last.parent_id) in measured:
            sizes = alike.setdefault(_twins(run, _earlier)[:-1], {})
            sizes.setdefault(_size(run), []).append(log(measured[str(run.last.parent_id)]))

    def foretold(run: Run) -> float | None:
        if str(run.last.parent_id) in measured:
            return measured[str(run.last.parent_id)]
        known = alike.get(_twins(run, _earlier)[:-1], {})
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
    ln_n = [log(n) for n, errors in known.items() for _ in errors]
    slope, height = np.polyfit(ln_n, [e for errors in known.values() for e in errors], 1)
    return exp(float(height + slope * log(size)))
