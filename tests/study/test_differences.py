"""Two stages in words: what differs is told, what does not act or follows is not."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mfscale.study import (
    Catalogue,
    Stage,
    StudyError,
    StudyGraph,
    described,
    differences,
    expand,
    nearest,
    of_stage,
    parse_study,
    recorded,
)

GraphOf = Callable[[str], StudyGraph]

STUDY = """
seed: {seed}
data_seed: {data_seed}
model: {{architecture: nequip, size: {model}, fidelity: {fidelity}}}
training: {{learning_rate: {rate}, force_weight: {force_weight}, batch_size: {batch}}}
strategies:
  finetune:
    - heads: {{dft: {{subset: b, size: {dft}, validation: 8, forces: {forces}}}}}
    - heads: {{cc: {{subset: a, size: {cc}, validation: 8, weight: {weight}}}}}
      trainable: {trainable}
"""
BASE: dict[str, Any] = {
    "seed": 0,
    "data_seed": 0,
    "model": "tiny",
    "fidelity": "readout",
    "rate": 0.01,
    "force_weight": 1.0,
    "batch": 16,
    "dft": 100,
    "forces": "true",
    "cc": 50,
    "weight": 1.0,
    "trainable": "all",
}


def told(graph_of: GraphOf, step: int, **changes: object) -> list[str]:
    """How the changed stage of a step differs from the one that `BASE` makes."""
    changed, base = (graph_of(STUDY.format(**settings)) for settings in (BASE | changes, BASE))
    mine, theirs = (list(graph.stages.values()) for graph in (changed, base))
    descriptions = [
        described(stages, {stage.id: stage for stage in stages}, {})[stages[step].id]
        for stages in (mine, theirs)
    ]
    return [str(difference) for difference in differences(*descriptions)]


@pytest.mark.parametrize(
    ("step", "changes", "words"),
    [
        (1, {"cc": 60}, ["size of cc: 60, not 50"]),
        (1, {"cc": 60, "rate": 0.003},
         ["size of cc: 60, not 50", "learning_rate: 0.003, not 0.01",
          "learning_rate in step 0: 0.003, not 0.01"]),
        (1, {"dft": 200}, ["size of dft in step 0: 200, not 100"]),
        (0, {"dft": 200}, ["size of dft: 200, not 100"]),
        (1, {"trainable": "readout"}, ["trainable: readout, not all"]),
        (1, {"trainable": "{lora: 4}"}, ["trainable: lora:4, not all"]),
        (0, {"fidelity": "embedding"}, ["model.fidelity: embedding, not readout"]),
        (1, {"weight": 2.0}, ["weight of cc: 2.0, not 1.0"]),
        (1, {"seed": 1}, ["seed: 1, not 0"]),
        (1, {"data_seed": 1}, ["data_seed: 1, not 0"]),
        (0, {"model": "large"}, ["model.size: large, not tiny"]),
        # the weight of forces acts where forces are learned alone: in step 0
        (1, {"force_weight": 3.0}, ["force_weight in step 0: 3.0, not 1.0"]),
        (0, {"forces": "false", "force_weight": 3.0}, ["forces of dft: no, not yes"]),
    ],
)  # fmt: skip
def test_what_differs_is_said_in_the_words_of_a_study(
    graph_of: GraphOf, step: int, changes: dict[str, object], words: list[str]
) -> None:
    assert told(graph_of, step, **changes) == words


def test_a_difference_is_other_labels_than_totals(graph_of: GraphOf) -> None:
    text = "strategies: {{s: [{{heads: {{cc: {{subset: a, size: 20, validation: 8{}}}}}}}]}}"
    mine, theirs = (
        next(iter(described(graph.stages.values(), graph.stages, {}).values()))
        for graph in (graph_of(text.format(", minus: dft")), graph_of(text.format("")))
    )
    assert [str(d) for d in differences(mine, theirs)] == ["minus of cc: dft, not none"]


def test_labels_that_changed_under_the_same_name_are_named(
    catalogue: Catalogue, other_labels: Catalogue
) -> None:
    study = parse_study("dataset: toy\n" + STUDY.format(**BASE), source="study.yaml")
    mine, theirs = (
        described(stages, {s.id: s for s in stages}, {})
        for stages in (
            list(expand(study, offered).stages.values()) for offered in (other_labels, catalogue)
        )
    )
    (root, child), (old_root, old_child) = mine.values(), theirs.values()
    assert [d.field for d in differences(root, old_root)] == ["labels of dft"]
    assert [d.field for d in differences(child, old_child)] == [
        "labels of cc",
        "labels of dft in step 0",
    ]


def test_a_renamed_dataset_is_no_difference(graph_of: GraphOf, catalogue: Catalogue) -> None:
    text = STUDY.format(**BASE | {"weight": 2.0})
    renamed = expand(parse_study("dataset: renamed\n" + text, source="study.yaml"), catalogue)
    mine, theirs = (
        list(described(g.stages.values(), g.stages, {}).values())[1]
        for g in (renamed, graph_of(STUDY.format(**BASE)))
    )
    assert [str(d) for d in differences(mine, theirs)] == ["weight of cc: 2.0, not 1.0"]


@settings(deadline=None)
@given(
    st.sampled_from([20, 50, 100]),
    st.sampled_from([20, 50, 100]),
    st.sampled_from([0.01, 0.003]),
    st.sampled_from(["all", "readout"]),
    st.integers(0, 2),
)
def test_different_stages_never_go_without_a_difference(
    dft: int, cc: int, rate: float, trainable: str, seed: int
) -> None:
    from tests.study.conftest import catalogue as make

    offered = make.__wrapped__()  # type: ignore[attr-defined]  # the fixture's own function
    changes = {"dft": dft, "cc": cc, "rate": rate, "trainable": trainable, "seed": seed}

    def graph_of(text: str) -> StudyGraph:
        return expand(parse_study(f"dataset: toy\n{text}", source="study.yaml"), offered)

    found = told(graph_of, 1, **changes)
    wanted = {name for name, value in changes.items() if BASE[name] != value}
    places = {"dft": 1, "cc": 1, "rate": 2, "trainable": 1, "seed": 1}
    if wanted:
        assert len(found) == sum(places[name] for name in wanted)


def test_the_nearest_is_the_one_with_fewest_differences(graph_of: GraphOf) -> None:
    graph = graph_of(
        "strategies: {direct: [{heads: {cc: {subset: a, size: [50, 60, 70], validation: 8}}}],"
        " other: [{heads: {dft: {subset: b, size: 50, validation: 8}}}]}"
    )
    mine, *others = described(graph.stages.values(), graph.stages, {}).items()
    assert nearest(mine[1], dict(others)) == others[0][0]
    assert nearest(mine[1], {}) is None


def test_a_row_tells_its_stage_but_for_the_settings_of_its_size(graph_of: GraphOf) -> None:
    for stage in graph_of(STUDY.format(**BASE)).stages.values():
        row = {**of_stage(stage), "kept_heads": [], "status": "finished"}
        there = recorded(row)
        model = stage.model.model_copy(update={"settings": {}})
        assert there == stage.model_copy(update={"model": model})


def test_a_row_that_does_not_describe_its_stage_is_refused() -> None:
    with pytest.raises(StudyError, match=r"stage aa11 \(failed\) does not say"):
        recorded({"stage_id": "aa11", "status": "failed"})


def test_part_of_a_study_has_all_that_its_stages_start_from(graph_of: GraphOf) -> None:
    graph = graph_of(
        "strategies: {finetune: ["
        "{heads: {dft: {subset: b, size: [50, 60], validation: 8}}},"
        "{heads: {cc: {subset: a, size: [20, 30], validation: 8}}}]}"
    )
    leaf: Stage = list(graph.stages.values())[-1]
    part = graph.only([leaf.id])
    assert list(part.stages) == [leaf.parent_id, leaf.id]
    assert part.uses.keys() == part.stages.keys()
    assert graph.resolve(leaf.id[:10]) == leaf.id
    with pytest.raises(StudyError, match=r"6 stages .* begin with ''; mfscale plan"):
        graph.resolve("")
