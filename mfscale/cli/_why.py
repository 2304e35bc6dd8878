"""Why stages will run: what became of them, and what parts them from what is finished."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mfscale.study import Description, Stage, StudyGraph


@dataclass(frozen=True)
class Why:
    """Why a stage will run.

    Attributes
    ----------
    nearest
        The finished stage of the same step with the fewest differences, if there is any.
    why
        The differences in words, or what became of the stage itself.
    """

    stage_id: str
    nearest: str | None
    why: tuple[str, ...]


def reasons(
    to_run: Iterable["Stage"], rows: Iterable[Mapping[str, Any]], graph: "StudyGraph"
) -> list[Why]:
    """Say of each stage to run what parts it from the nearest of the finished `rows`."""
    table = {row["stage_id"]: row for row in rows}
    finished = of_rows(row for row in table.values() if row["status"] == "finished")
    own = of_stages(graph.stages.values())
    return [_reason(stage, own[stage.id], table.get(stage.id), finished) for stage in to_run]


def of_rows(rows: Iterable[Mapping[str, Any]]) -> "dict[str, Description]":
    """Describe the stages of result rows, as far as rows say what their stages were."""
    from mfscale.study import StudyError, described, recorded

    stages, recipes = {}, {}
    for row in rows:
        try:
            stages[row["stage_id"]] = recorded(row)
        except StudyError:
            continue
        recipes[row["stage_id"]] = row["recipe"]
    return described(stages.values(), stages, recipes)


def of_stages(stages: Iterable["Stage"]) -> "dict[str, Description]":
    """Describe the stages of a study."""
    from mfscale.study import described

    known = {stage.id: stage for stage in stages}
    return described(known.values(), known, {})


def _reason(
    stage: "Stage",
    mine: "Description",
    row: Mapping[str, Any] | None,
    finished: "Mapping[str, Description]",
) -> Why:
    from mfscale.study import differences, nearest

    if row is not None:
        return Why(stage.id, None, (_became(row),))
    same_step = {s: d for s, d in finished.items() if d.fields["step"] == stage.step}
    closest = nearest(mine, same_step)
    if closest is None:
        return Why(stage.id, None, (f"no stage of step {stage.step} has finished",))
    differing: Sequence[object] = differences(mine, same_step[closest])
    return Why(stage.id, closest, tuple(map(str, differing)))


def _became(row: Mapping[str, Any]) -> str:
    if row["status"] == "finished":
        return "finished before, but its model is gone and another stage needs it"
    return f"{row['status']} before: {row['reason']}"
