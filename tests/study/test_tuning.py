"""Tuning: which steps share a choice, what a choice changes, and that it always comes to an end."""

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mfscale.study import (
    Catalogue,
    Choice,
    Choices,
    Range,
    Stage,
    StudyError,
    StudyGraph,
    Tuning,
    expand,
    parse_study,
)
from mfscale.study.tuning import identity_of, with_values

RATE = "learning_rate: {low: 0.001, high: 0.1, log: true}"
TUNE = f"tune: {{trials: 4, space: {{{RATE}}}}}\n"
CC = "heads: {cc: {subset: a, size: 20, validation: 8}}"
CC_FROM = "{{subset: a, size: 20, validation: 8, inherit: {}}}"
DFT = "heads: {dft: {subset: b, size: 50, validation: 8}}"


def study(strategies: str, tune: str = TUNE, name: str = "mine") -> str:
    return f"name: {name}\ndataset: toy\n{tune}strategies: {{{strategies}}}\n"


def expanded(catalogue: Catalogue, text: str, choices: Choices | None = None) -> StudyGraph:
    return expand(parse_study(text, source="study.yaml"), catalogue, choices)


def made(tuning: Tuning, values: Mapping[str, Any]) -> Choice:
    """A choice as if trials had found these values best."""
    return Choice(
        key=tuning.key,
        search=tuning.search,
        signature=tuning.signature,
        where=tuning.where,
        values=dict(values),
        error_mev=10.0,
        untuned_mev=None,
        trials=tuning.trials,
        pruned=0,
    )


def last(tuning: Tuning) -> dict[str, Any]:
    """The upper end of every range, the last value of every list."""
    return {n: v.high if isinstance(v, Range) else v[-1] for n, v in tuning.space.items()}


Pick = Callable[[Tuning], Mapping[str, Any]]


def settled(
    catalogue: Catalogue, text: str, pick: Pick = last
) -> tuple[StudyGraph, dict[str, dict[str, Choice]], list[StudyGraph]]:
    """Make choices by hand until none is left; the last graph, the choices and all graphs."""
    choices: dict[str, dict[str, Choice]] = {}
    seen = []
    for _ in range(20):
        graph = expanded(catalogue, text, choices)
        seen.append(graph)
        if not graph.tunings:
            return graph, choices, seen
        for tuning in graph.tunings:
            assert tuning.signature not in choices.get(tuning.name, {})
            choices.setdefault(tuning.name, {})[tuning.signature] = made(tuning, pick(tuning))
    pytest.fail("choices come without end")


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


CHAIN = study(
    "direct: [{heads: {cc: {subset: a, size: [20, 30], validation: 8}}}],"
    f" chain: [{{heads: {{xtb: {{subset: b, size: [50, 60], validation: 8}}}}}}, {{{DFT}}},"
    "  {heads: {cc: {subset: a, size: [20, 30], validation: 8}}}]"
)


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


# ---- the space


def space(catalogue: Catalogue, step: str, settings: str) -> set[str]:
    """What a tuning of a study of one step searches."""
    text = study(f"s: [{step}]", f"tune: {{trials: 4, space: {{{settings}}}}}\n")
    return {name for tuning in expanded(catalogue, text).tunings for name in tuning.space}


@pytest.mark.parametrize(
    ("step", "settings", "acts"),
    [
        (f"{{{CC}}}", "force_weight: [1.0, 2.0]", set()),
        (f"{{{DFT}}}", "force_weight: [1.0, 2.0]", {"force_weight"}),
        (f"{{{DFT}}}", "heads.dft.weight: [1.0, 2.0]", set()),
        (f"{{{DFT[:-1]}, cc: {{subset: a, size: 20, validation: 8}}}}}}",
         "heads.dft.weight: [1.0, 2.0], heads.xtb.weight: [1.0, 2.0]", {"heads.dft.weight"}),
        (f"{{{CC}}}", "huber_delta_ev: [0.01, 0.02]", set()),
        (f"{{{CC}}}", "huber_delta_ev: [0.01, 0.02], loss: [mse, huber]",
         {"huber_delta_ev", "loss"}),
        (f"{{{CC}, training: {{loss: huber}}}}", "huber_delta_ev: [0.01, 0.02]",
         {"huber_delta_ev"}),
        (f"{{{CC}}}", "offsets: [residuals, labels], offset_ridge: [0.0, 0.1]", set()),
        (f"{{{CC}, training: {{schedule: constant}}}}",
         "final_learning_rate_fraction: [0.1, 0.2]", set()),
        (f"{{{CC}, training: {{schedule: constant}}}}",
         "final_learning_rate_fraction: [0.1, 0.2], schedule: [constant, cosine]",
         {"final_learning_rate_fraction", "schedule"}),
    ],
)  # fmt: skip
def test_only_what_acts_on_a_step_is_searched(
    catalogue: Catalogue, step: str, settings: str, acts: set[str]
) -> None:
    assert space(catalogue, step, settings) == acts


def test_a_step_that_nothing_acts_on_is_not_tuned(catalogue: Catalogue) -> None:
    tune = "tune: {trials: 4, space: {force_weight: [1.0, 2.0]}}\n"
    graph = expanded(catalogue, study(f"s: [{{{CC}}}]", tune))
    plain = expanded(catalogue, study(f"s: [{{{CC}}}]", ""))
    assert (graph.tunings, graph.waiting) == ((), ())
    assert graph.stages == plain.stages


def test_a_child_may_choose_its_offsets(catalogue: Catalogue) -> None:
    tune = "tune: {trials: 4, space: {offsets: [residuals, labels]}}\n"
    graph = expanded(catalogue, study(f"s: [{{{DFT}}}, {{{CC}}}]", tune))
    assert [t.where.split(":")[0] for t in graph.tunings] == ["s[1]"]
    assert [stage.step for stage in graph.stages.values()] == [0]


# ---- trials


def test_a_trial_is_never_a_result(catalogue: Catalogue) -> None:
    (tuning,) = expanded(catalogue, study(f"s: [{{{CC}}}]")).tunings
    rates = (0.001, 0.01, 0.1)
    trials = [tuning.trial({"learning_rate": rate}) for rate in rates]
    plain = study(f"s: [{{{CC}, training: {{learning_rate: {list(rates)}}}}}]", "")
    assert len({stage.id for stage in trials} | expanded(catalogue, plain).stages.keys()) == 6
    assert {stage.purpose for stage in trials} == {"tune"}
    assert tuning.trial({"learning_rate": 0.01}) == trials[1]
    assert tuning.untuned == {"learning_rate": 0.01}
    assert all(identity_of(stage) == stage.id for stage in trials)


@given(
    st.permutations(
        [
            ("learning_rate", 0.02),
            ("batch_size", 4),
            ("loss", "huber"),
            ("heads.dft.weight", 3),
            ("heads.cc.weight", 0.5),
        ]
    ),
    st.integers(0, 5),
)
def test_settings_make_the_same_stage_in_any_order_and_at_any_pace(
    values: Sequence[tuple[str, Any]], cut: int
) -> None:
    from tests.study.conftest import catalogue as make

    offered = make.__wrapped__()  # type: ignore[attr-defined]  # the fixture's own function
    both = f"{{{DFT[:-1]}, cc: {{subset: a, size: 20, validation: 8}}}}}}"
    (stage,) = expanded(offered, study(f"s: [{both}]", "")).stages.values()
    whole = with_values(stage, dict(values))
    parts = with_values(with_values(stage, dict(values[:cut])), dict(values[cut:]))
    again = with_values(whole, dict(values))
    ordered = with_values(stage, dict(sorted(values)))
    assert whole == parts == again == ordered
    assert whole.id != stage.id
    assert with_values(stage, {}) == stage


# ---- taking over what was chosen


def test_freezing_takes_what_a_tuning_chose(catalogue: Catalogue) -> None:
    graph, choices, _ = settled(catalogue, CHAIN)
    frozen = CHAIN.replace(TUNE, "tune: {freeze: mine}\n").replace("name: mine", "name: other")
    assert expanded(catalogue, frozen, choices).stages == graph.stages


def test_a_study_that_names_the_same_tuning_and_space_shares_its_choices(
    catalogue: Catalogue,
) -> None:
    _, choices, _ = settled(catalogue, study(f"a: [{{{CC}}}]"))
    named = TUNE.replace("{trials", "{name: mine, trials")
    graph = expanded(catalogue, study(f"b: [{{{CC}}}], c: [{{{DFT}}}]", named, "other"), choices)
    assert [t.where.split(":")[0] for t in graph.tunings] == ["c[0]"]
    assert [t.name for t in graph.tunings] == ["mine"]
    assert len(graph.stages) == 1


@pytest.mark.parametrize(
    "change", [("trials: 4", "trials: 5"), ("0.1,", "0.2,"), ("log: true", "log: false")]
)
def test_another_space_or_number_of_trials_asks_again(
    catalogue: Catalogue, change: tuple[str, str]
) -> None:
    text = study(f"a: [{{{CC}}}]")
    _, choices, _ = settled(catalogue, text)
    (old,) = choices["mine"].values()
    graph = expanded(catalogue, text.replace(*change), choices)
    (tuning,) = graph.tunings
    assert (tuning.signature, tuning.key != old.key) == (old.signature, True)
    assert not graph.stages


def test_more_seeds_and_sizes_ask_for_nothing_more(catalogue: Catalogue) -> None:
    """A study may grow without its old stages becoming others."""
    text = study(f"a: [{{{DFT}}}, {{{CC}}}]")
    small, choices, _ = settled(catalogue, text)
    larger = "seed: [0, 1]\n" + text.replace("size: 20", "size: [20, 30, 40]")
    graph = expanded(catalogue, larger, choices)
    assert (graph.tunings, graph.waiting) == ((), ())
    assert small.stages.keys() < graph.stages.keys()


def test_freezing_what_was_never_chosen_is_told(catalogue: Catalogue) -> None:
    _, choices, _ = settled(catalogue, study(f"a: [{{{CC}}}]"))
    wrong = study(f"b: [{{{DFT}}}]", "tune: {freeze: mine}\n")
    with pytest.raises(StudyError) as caught:
        expanded(catalogue, wrong, choices)
    for word in ("study.yaml: tune.freeze", "strategies.b[0], dft+forces, nequip tiny",
                 "it did for a[0]: cc, nequip tiny", "tune.strategies"):  # fmt: skip
        assert word in str(caught.value)
