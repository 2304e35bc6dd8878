"""Tuning: which steps share a choice, and how a chain comes from its first choice to its last."""

from itertools import pairwise

import pytest

from mfscale.study import (
    Catalogue,
    Stage,
)
from mfscale.study.tuning import identity_of
from tests.study.tunings import CC, CC_FROM, CHAIN, DFT, RATE, expanded, settled, study

# ---- which steps share a choice


@pytest.mark.parametrize(
    "strategies",
    [
        f"a: [{{{CC}}}], b: [{{{CC}}}]",
        "a: [{heads: {cc: {subset: a, size: [20, 30, 50], validation: 8}}}]",
        f"a: [{{{CC}}}], b: [{{heads: {{cc: {{subset: a, size: 60, validation: 4}}}}}}]",
        f"a: [{{{CC}}}], b: [{{{CC}, training: {{learning_rate: 0.5}}}}]",
    ],
    ids=["strategies", "sizes", "validation", "settings"],
)
def test_steps_that_train_the_same_share_a_choice(catalogue: Catalogue, strategies: str) -> None:
    seeds = "seed: [0, 1]\ndata_seed: [0, 1]\nmodel: {size: tiny}\n"
    graph = expanded(catalogue, seeds + study(strategies))
    assert len(graph.tunings) == 1
    assert not graph.stages


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (f"{{{CC}}}", f"{{{DFT}}}"),
        (f"{{{DFT}}}", "{heads: {dft: {subset: b, size: 50, validation: 8, forces: false}}}"),
        (f"{{{CC}}}", "{heads: {cc: {subset: a, size: 20, validation: 8, minus: dft}}}"),
        (f"{{{CC}}}", "{heads: {best: {method: cc, subset: a, size: 20, validation: 8}}}"),
        (f"{{{DFT}}}", "{heads: {dft: {subset: a, size: 50, validation: 8}}}"),
        (f"{{{DFT}}}", f"{{{DFT[:-1]}, cc: {{subset: a, size: 20, validation: 8}}}}}}"),
        (f"{{{DFT}}}, {{{CC}}}", f"{{{DFT}}}, {{{CC}, trainable: readout}}"),
        (f"{{{DFT}}}, {{{CC}, trainable: {{lora: 1}}}}",
         f"{{{DFT}}}, {{{CC}, trainable: {{lora: 2}}}}"),
        (f"{{{DFT}}}, {{{CC}}}",
         f"{{{DFT}}}, {{heads: {{cc: {CC_FROM.format('fresh')}, dft: drop}}}}"),
        (f"{{{DFT}}}, {{{CC}}}",
         f"{{{DFT}}}, {{heads: {{cc: {CC_FROM.format('dft')}, dft: keep}}}}"),
        (f"{{{DFT}}}, {{{CC}}}",
         f"{{heads: {{xtb: {{subset: b, size: 50, validation: 8}}}}}}, {{{CC}}}"),
    ],
    ids=["method", "forces", "minus", "head", "subset", "heads", "trainable", "rank", "inherit",
         "kept", "parent"],
)  # fmt: skip
def test_steps_that_train_something_else_choose_for_themselves(
    catalogue: Catalogue, one: str, other: str
) -> None:
    """The last step of each is another kind; all before it are shared where they are equal."""
    graph, choices, _ = settled(catalogue, study(f"one: [{one}], other: [{other}]"))
    lasts = {
        next(
            choice.signature
            for choice in choices["mine"].values()
            if choice.where.startswith(f"{strategy}[{index}]")
        )
        for strategy, steps in (("one", one), ("other", other))
        for index in [steps.count("heads:") - 1]
    }
    assert len(lasts) == 2
    assert all(stage.tuning == "mine" for stage in graph.stages.values())


@pytest.mark.parametrize(
    "axis",
    [
        "model: {size: [tiny, large]}",
        "model: {architecture: [nequip, mace]}",
        "model: {cutoff_a: [4.0, 5.0]}",
        "model: {fidelity: [readout, embedding]}",
    ],
)
def test_every_model_chooses_for_itself(catalogue: Catalogue, axis: str) -> None:
    graph = expanded(catalogue, f"{axis}\n" + study(f"a: [{{{CC}}}]"))
    assert len(graph.tunings) == 2


def test_trials_train_the_middle_one_of_the_smallest_seed(catalogue: Catalogue) -> None:
    """Sizes 20, 30, 50 on seed 3 and 4: the one with 30 labels and seed 3."""
    text = study("a: [{heads: {cc: {subset: a, size: [50, 20, 30], validation: 8}}}]")
    (tuning,) = expanded(catalogue, f"seed: [4, 3]\n{text}").tunings
    assert (tuning.template.heads["cc"].size, tuning.template.seed) == (30, 3)
    assert tuning.where.startswith("a[0]: cc, nequip tiny")


def test_of_fine_tunings_the_own_labels_decide_first(catalogue: Catalogue) -> None:
    text = study(
        "a: [{heads: {dft: {subset: b, size: [100, 50, 200], validation: 8}}},"
        " {heads: {cc: {subset: a, size: [50, 20, 30], validation: 8}}}]"
    )
    _, _, graphs = settled(catalogue, text)
    (fine,) = graphs[1].tunings
    assert [labels.size for labels in fine.template.lineage] == [100, 30]


# ---- from the first choice to the last


def test_a_chain_stops_at_the_first_choice_that_is_not_made(catalogue: Catalogue) -> None:
    graph = expanded(catalogue, CHAIN)
    assert [t.where.split(":")[0] for t in graph.tunings] == ["direct[0]", "chain[0]"]
    assert [t.where.split(":")[0] for t in graph.later] == ["chain[1]", "chain[2]"]
    assert not graph.stages
    assert len(graph.waiting) == 2 + 2 + 2 + 4  # direct; xtb, dft on each, cc on each of those
    assert graph.requests == 2 + 3 * 4


def test_every_choice_made_leads_on_until_nothing_waits(catalogue: Catalogue) -> None:
    graph, choices, seen = settled(catalogue, CHAIN)
    assert [len(g.tunings) for g in seen] == [2, 1, 1, 0]
    assert [len(g.waiting) for g in seen] == [10, 6, 4, 0]
    assert [len(g.stages) for g in seen] == [0, 4, 6, 10]
    for before, after in pairwise(seen):
        assert before.stages.keys() <= after.stages.keys()
        assert not before.stages.keys() & {stage.id for stage in after.waiting}
    assert {stage.tuning for stage in graph.stages.values()} == {"mine"}
    assert list(graph.choices) == list(choices["mine"].values())
    assert graph.later == ()
    assert sum(len(places) for places in graph.uses.values()) >= len(graph.stages)


def test_stages_are_those_of_a_study_with_the_chosen_settings_written_by_hand(
    catalogue: Catalogue,
) -> None:
    """Equal work is one stage, chosen or written; a weight of 2 is one of 2.0."""
    space = (
        f"{RATE}, loss: [mse, huber], huber_delta_ev: [0.02, 0.05], batch_size: {{low: 4, high: 8}}"
        ", heads.dft.weight: [1, 2], energy_weight: {low: 1, high: 50}"
    )
    both = f"{{{DFT[:-1]}, cc: {{subset: a, size: 20, validation: 8}}}}}}"
    after = "{heads: {cc: {subset: a, size: 30, validation: 8}, dft: drop}}"
    tuned = study(f"s: [{both}, {after}]", f"tune: {{trials: 4, space: {{{space}}}}}\n")
    graph, _, _ = settled(catalogue, tuned)
    written = "loss: huber, huber_delta_ev: 0.05, batch_size: 8, energy_weight: 50"
    training = f"training: {{learning_rate: 0.1, {written}}}"
    by_hand = study(
        f"s: [{both[:-1].replace('size: 50', 'size: 50, weight: 2')}, {training}}}, "
        f"{after[:-1]}, {training}}}]",
        tune="",
    )
    wanted = expanded(catalogue, by_hand)
    assert list(graph.stages) == list(wanted.stages)
    for stage, other in zip(graph.stages.values(), wanted.stages.values(), strict=True):
        assert stage.model_copy(update={"tuning": None}) == other


def test_what_a_tuned_stage_is_survives_its_way_to_a_worker(catalogue: Catalogue) -> None:
    tune = "tune: {trials: 4, space: {heads.dft.weight: [1, 2], learning_rate: [1, 0.1]}}\n"
    both = f"{{{DFT[:-1]}, cc: {{subset: a, size: 20, validation: 8}}}}}}"
    (tuning,) = expanded(catalogue, study(f"s: [{both}]", tune)).tunings
    trial = tuning.trial({"heads.dft.weight": 2, "learning_rate": 1})
    there = Stage.model_validate_json(trial.model_dump_json())
    assert there == trial
    assert identity_of(there) == trial.id


def test_a_tuned_stage_keeps_a_consistent_lineage(catalogue: Catalogue) -> None:
    graph, _, _ = settled(catalogue, CHAIN)
    for stage in graph.stages.values():
        assert identity_of(stage) == stage.id
        assert stage.lineage[-1].stage_id == stage.id
        for labels in stage.lineage:
            assert labels.stage_id in graph.stages
        if stage.parent_id is None:
            assert stage.root_id == stage.id
        else:
            parent = graph.stages[stage.parent_id]
            assert stage.root_id == parent.root_id
            assert stage.lineage[: len(parent.lineage)] == parent.lineage


def test_strategies_that_are_not_tuned_stay_as_they_are(catalogue: Catalogue) -> None:
    tune = f"tune: {{trials: 4, strategies: [tuned], space: {{{RATE}}}}}\n"
    strategies = f"tuned: [{{{DFT}}}, {{{CC}}}], plain: [{{{DFT}}}, {{{CC}}}]"
    plain = expanded(catalogue, study(strategies.split(", plain", maxsplit=1)[0], tune=""))
    start = expanded(catalogue, study(strategies, tune))
    assert list(start.stages) == list(plain.stages)
    assert all(stage.tuning is None for stage in start.stages.values())
    graph, _, _ = settled(catalogue, study(strategies, tune))
    assert len(graph.stages) == 4
    assert plain.stages.keys() < graph.stages.keys()
