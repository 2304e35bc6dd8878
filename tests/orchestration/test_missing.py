"""What a run would start, when finished stages have lost their models."""

from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st

from mfscale.orchestration import missing, retried
from mfscale.study import StudyGraph
from tests.orchestration.conftest import graph_of

STUDY = """
dataset: chno3
strategies:
  chain:
    - heads: {dft: {subset: b, size: [8, 16], validation: 8}}
    - heads: {dft: {subset: b, size: [24, 32], validation: 8}}
    - heads: {cc: {subset: a, size: [8, 16], validation: 8}}
"""
STATUSES = ("finished", "diverged", "failed", "skipped", "missing")
GRAPH = graph_of(STUDY)


def statuses_of(choices: list[str]) -> dict[str, str]:
    pairs = zip(GRAPH.stages, choices, strict=True)
    return {stage: status for stage, status in pairs if status != "missing"}


def startable(graph: StudyGraph, statuses: Mapping[str, str], lost: set[str]) -> None:
    """Check each stage that would run against the rule, told for one stage at a time."""
    found = {stage.id for stage in missing(graph, statuses, lost)}
    children = graph.children()
    for stage in graph.stages.values():
        status, needed = statuses.get(stage.id), found.intersection(children[stage.id])
        if status == "diverged":
            assert stage.id not in found
        elif status == "finished" and stage.id in found:
            assert stage.id in lost
            assert needed
        if stage.id in found and stage.parent_id is not None:
            ready = statuses.get(stage.parent_id) == "finished" and stage.parent_id not in lost
            assert ready or stage.parent_id in found


@given(st.lists(st.sampled_from(STATUSES), min_size=14, max_size=14), st.data())
def test_whatever_runs_has_a_model_to_start_from_or_gets_one(
    choices: list[str], data: st.DataObject
) -> None:
    statuses = statuses_of(choices)
    finished = sorted(stage for stage, status in statuses.items() if status == "finished")
    lost = data.draw(st.sets(st.sampled_from(finished))) if finished else set()
    startable(GRAPH, statuses, lost)


def test_a_chain_of_lost_models_is_trained_again_from_its_root() -> None:
    statuses = dict.fromkeys(GRAPH.stages, "finished")
    leaf = list(GRAPH.stages.values())[-1]
    middle = GRAPH.stages[leaf.parent_id or ""]
    assert missing(GRAPH, statuses, GRAPH.stages.keys()) == []
    del statuses[leaf.id]
    assert [s.id for s in missing(GRAPH, statuses, GRAPH.stages.keys())] == [
        middle.parent_id,
        middle.id,
        leaf.id,
    ]
    assert [s.id for s in missing(GRAPH, statuses, {middle.parent_id or ""})] == [leaf.id]


def test_what_is_retried_is_the_failed_stage_with_all_below_and_above() -> None:
    root = next(iter(GRAPH.stages.values()))
    middle = GRAPH.stages[GRAPH.children()[root.id][0]]
    part = retried(GRAPH, [middle.id])
    assert set(part.stages) == {root.id, middle.id, *GRAPH.children()[middle.id]}
