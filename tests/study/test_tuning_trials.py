"""Tuning: what is searched, what a trial is, and how a later study takes over what was chosen."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mfscale.study import (
    Catalogue,
    StudyError,
)
from mfscale.study.tuning import identity_of, with_values
from tests.study.tunings import CC, CHAIN, DFT, TUNE, expanded, settled, study

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
