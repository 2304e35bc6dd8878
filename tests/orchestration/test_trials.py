"""The trials of a tuning: how many, which first, which wins, and what an interruption leaves."""

import math
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from mfscale.orchestration import OrchestrationError
from mfscale.orchestration.trials import Trials, objective
from mfscale.results import Store
from mfscale.study import Choice, Stage, Tuning
from tests.orchestration.conftest import graph_of

RATE = "learning_rate: {low: 0.001, high: 0.1, log: true}"


def tuning(space: str = RATE, trials: int = 6) -> Tuning:
    (found,) = graph_of(
        f"""
dataset: chno3
tune: {{trials: {trials}, space: {{{space}}}}}
strategies: {{direct: [{{heads: {{cc: {{subset: a, size: 16, validation: 8}}}}}}]}}
"""
    ).tunings
    return found


def row(error_mev: float, stop_reason: str = "cap") -> dict[str, Any]:
    """What a trial leaves, as far as a tuning reads it."""
    evaluation = {"moment": "end", "metric": "energy_mae", "unit": "meV", "value": error_mev}
    return {
        "status": "finished",
        "stop_reason": stop_reason,
        "evaluations": [{**evaluation, "subset": "a/validation"}],
    }


def store_in(folder: Path) -> Store:
    return Store(folder, create=True)


def searched(trials: Trials, error: Callable[[Stage], dict[str, Any] | None]) -> list[Stage]:
    """Train one after another to the end; the stages that were trained."""
    trained = []
    while (asked := trials.ask()) is not None:
        stage, _ = asked
        trained.append(stage)
        trials.tell(stage.id, error(stage))
    return trained


def far_from(rate: float) -> Callable[[Stage], dict[str, Any]]:
    """A validation error with its minimum at a rate."""
    return lambda stage: row(1 + abs(math.log(stage.hyperparameters.learning_rate / rate)))


def chosen(trials: Trials) -> Choice:
    choice = trials.choice()
    assert choice is not None
    return choice


def test_as_many_as_asked_for_and_the_untuned_first(tmp_path: Path) -> None:
    trials = Trials(tuning(), store_in(tmp_path))
    trained = searched(trials, far_from(0.03))
    assert len({stage.id for stage in trained}) == len(trained) == 6
    assert trained[0].hyperparameters.learning_rate == 0.01  # the default from scratch
    assert {stage.purpose for stage in trained} == {"tune"}
    assert trials.left == trials.running == 0
    choice = chosen(trials)
    best = min(abs(math.log(s.hyperparameters.learning_rate / 0.03)) for s in trained)
    assert choice.error_mev == pytest.approx(1 + best)
    assert choice.untuned_mev == pytest.approx(1 + math.log(3))
    assert (choice.trials, choice.pruned) == (6, 0)


def test_what_lies_outside_the_space_is_not_tried(tmp_path: Path) -> None:
    trials = Trials(tuning("learning_rate: {low: 0.02, high: 0.1}"), store_in(tmp_path))
    trained = searched(trials, far_from(0.03))
    assert all(0.02 <= s.hyperparameters.learning_rate <= 0.1 for s in trained)
    assert chosen(trials).untuned_mev is None


def test_the_same_search_finds_the_same(tmp_path: Path) -> None:
    once, twice = (
        searched(Trials(tuning(), store_in(tmp_path / name)), far_from(0.03)) for name in ("a", "b")
    )
    assert once == twice


def test_equal_trials_are_trained_once(tmp_path: Path) -> None:
    trials = Trials(tuning("schedule: [cosine, constant]", trials=8), store_in(tmp_path))
    numbers = count(1)
    trained = searched(trials, lambda _: row(float(next(numbers))))
    assert 1 <= len(trained) <= 2
    assert trials.left == 0
    assert chosen(trials).error_mev == pytest.approx(1.0)


def test_equal_trials_at_once_share_one_training(tmp_path: Path) -> None:
    trials = Trials(tuning("schedule: [cosine, constant]", trials=8), store_in(tmp_path))
    running = []
    while (asked := trials.ask()) is not None:
        running.append(asked[0])
    assert trials.running == len(running) <= 2
    for stage in running:
        trials.tell(stage.id, row(5.0))
    assert trials.left == 0
    assert chosen(trials).error_mev == pytest.approx(5.0)


def test_a_trial_that_is_put_back_comes_first_again(tmp_path: Path) -> None:
    trials = Trials(tuning(), store_in(tmp_path))
    first, second = trials.ask(), trials.ask()
    assert first is not None
    assert second is not None
    trials.put_back(first[0].id)
    assert (trials.running, trials.left) == (1, 6)
    assert trials.ask() == first
    trials.tell(second[0].id, row(2.0))
    trained = searched(trials, lambda _: row(3.0))
    trials.tell(first[0].id, row(1.0))
    assert len({first[0].id, second[0].id, *(stage.id for stage in trained)}) == 6
    assert chosen(trials).error_mev == pytest.approx(1.0)


def test_equal_trials_that_are_put_back_still_share_one_training(tmp_path: Path) -> None:
    trials = Trials(tuning("schedule: [cosine, constant]", trials=8), store_in(tmp_path))
    running = []
    while (asked := trials.ask()) is not None:
        running.append(asked[0])
    for stage in running:
        trials.put_back(stage.id)
    assert trials.running == 0
    again = searched(trials, lambda _: row(5.0))
    assert {stage.id for stage in again} == {stage.id for stage in running}
    assert len(again) == len(running)
    assert trials.left == 0


def test_neither_pruned_nor_failed_trials_are_chosen(tmp_path: Path) -> None:
    trials = Trials(tuning(), store_in(tmp_path))
    rows = iter([row(9.0), row(0.1, "pruned"), None, {"status": "diverged"}, row(0.0), row(8.0)])
    searched(trials, lambda _: next(rows))
    choice = chosen(trials)
    assert (choice.error_mev, choice.pruned, choice.trials) == (pytest.approx(8.0), 1, 6)


def test_where_no_trial_ends_nothing_is_chosen(tmp_path: Path) -> None:
    trials = Trials(tuning(), store_in(tmp_path))
    assert len(searched(trials, lambda _: None)) == 6
    assert trials.choice() is None
    assert trials.left == 0


@pytest.mark.parametrize("finished", [0, 1, 3])
def test_an_interrupted_search_goes_on_where_it_was(tmp_path: Path, finished: int) -> None:
    before = Trials(tuning(), store_in(tmp_path))
    for _ in range(finished):
        stage, _ = before.ask() or pytest.fail("too few")
        before.tell(stage.id, far_from(0.03)(stage))
    interrupted = [before.ask(), before.ask()]
    after = Trials(tuning(), store_in(tmp_path))
    assert after.left == 6 - finished
    assert [after.ask(), after.ask()] == interrupted, "those that ran are trained first"
    for asked in interrupted:
        assert asked is not None
        after.tell(asked[0].id, far_from(0.03)(asked[0]))
    assert len(searched(after, far_from(0.03))) == 4 - finished
    assert Trials(tuning(), store_in(tmp_path)).ask() is None
    assert chosen(Trials(tuning(), store_in(tmp_path))) == chosen(after)


@pytest.mark.parametrize("untuned", [True, False])
def test_a_trial_cut_off_before_it_had_settings_gets_them(tmp_path: Path, untuned: bool) -> None:
    """A kill between the two lines in which Optuna notes a trial and its settings."""
    known = tuning()
    before = Trials(known, store_in(tmp_path))
    if not untuned:  # which is the first
        stage, _ = before.ask() or pytest.fail("too few")
        before.tell(stage.id, row(50.0))
    storage = JournalStorage(JournalFileBackend(str(tmp_path / "tuning" / f"{known.key}.journal")))
    cut = optuna.load_study(study_name=known.key, storage=storage).ask()
    assert cut.params == {}
    trials = Trials(known, store_in(tmp_path))
    asked = trials.ask()
    assert asked is not None
    stage, number = asked
    assert number == cut.number
    trials.tell(stage.id, row(1.0))
    searched(trials, lambda _: row(60.0))
    choice = chosen(trials)
    assert choice.values == {"learning_rate": stage.hyperparameters.learning_rate}
    assert (choice.values["learning_rate"] == 0.01) == untuned


# ---- what a trial is judged by

ERRORS = st.lists(st.floats(1e-3, 1e6), min_size=1, max_size=4)


@given(ERRORS, st.floats(1e-2, 1e2))
def test_no_unit_of_a_head_decides(errors: list[float], factor: float) -> None:
    """Geometric means: a head whose errors are all a hundred times larger counts as any other."""

    def judged(values: list[float]) -> float:
        rows = [row(value)["evaluations"][0] for value in values]
        found = objective({"evaluations": rows})
        assert found is not None
        return found

    whole = math.prod(error ** (1 / len(errors)) for error in errors)
    assert judged(errors) == pytest.approx(whole)
    scaled = judged([errors[0] * factor, *errors[1:]])
    assert scaled / judged(errors) == pytest.approx(factor ** (1 / len(errors)))


@pytest.mark.parametrize("change", [
    {"moment": "start"}, {"metric": "energy_rmse"}, {"unit": "meV/atom"}, {"subset": "t"},
    {"value": math.nan}, {"value": math.inf},
])  # fmt: skip
def test_nothing_but_validation_errors_at_the_end_counts(change: dict[str, Any]) -> None:
    (evaluation,) = row(3.0)["evaluations"]
    changed = {**evaluation, **change}
    assert objective({"evaluations": [changed]}) is None
    expected = None if "value" in change else pytest.approx(3.0)
    assert objective({"evaluations": [evaluation, changed]}) == expected


@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_a_damaged_journal_is_used_or_named(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Cut anywhere, or with foreign bytes anywhere: never any other error."""
    folder = tmp_path_factory.mktemp("tuning")
    searched(Trials(tuning(), store_in(folder)), far_from(0.01))
    (journal,) = folder.glob("tuning/*.journal")
    content = journal.read_bytes()
    place = data.draw(st.integers(0, len(content)))
    foreign = data.draw(st.binary(max_size=12))
    rest = data.draw(st.sampled_from([b"", content[place:]]))
    journal.write_bytes(content[:place] + foreign + rest)
    messages = []
    try:
        Trials(tuning(), store_in(folder)).ask()
    except OrchestrationError as error:
        messages.append(str(error))
    assert all(str(journal) in message and "delete it" in message for message in messages)
