"""A tuned study on a real Ray: every trial once, the best one chosen, a kill, and no way out."""

import math
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from mfscale.cli._catalogue import catalogue
from mfscale.orchestration import Summary, run, verify
from mfscale.results import Store, log_file
from mfscale.study import (
    Choice,
    StudyGraph,
    add_choices,
    expand,
    parse_study,
    read_choices,
)
from tests.orchestration.conftest import NO_RATES

pytestmark = pytest.mark.slow

Start = Callable[[str, Path], "subprocess.Popen[str]"]
TRIALS = 5

TUNED = f"""
name: tuned
dataset: chno3
training: {{max_steps: 20, validate_every: 5, batch_size: 8}}
tune:
  trials: {TRIALS}
  strategies: [chain]
  space:
    learning_rate: {{low: 0.0005, high: 0.1, log: true}}
    heads.dft.weight: [1, 4]
strategies:
  chain:
    - heads:
        dft: {{subset: b, size: [8, 16], validation: 8, forces: false}}
        xtb: {{subset: b, size: 16, validation: 8, forces: false}}
    - heads: {{cc: {{subset: a, size: 16, validation: 8, inherit: dft}}, xtb: drop}}
  plain:
    - heads: {{cc: {{subset: a, size: 16, validation: 8}}}}
"""


def graph_of(text: str, store: Store) -> StudyGraph:
    return expand(parse_study(text, source="test.yaml"), catalogue(), read_choices(store.path))


def run_here(text: str, store: Store) -> Summary:
    """As ``mfscale run`` does, in this process."""
    graph = graph_of(text, store)

    def grow(choices: Sequence[Choice]) -> StudyGraph:
        add_choices(store.path, graph.tunings[0].name, choices)
        return graph_of(text, store)

    return run(graph, store, estimate=NO_RATES, cpus=2, grow=grow)


def rows_of(store: Store, purpose: str) -> list[dict[str, Any]]:
    return [row for row in store.table().to_pylist() if row["purpose"] == purpose]


def judged(row: dict[str, Any]) -> float:
    """Geometric mean over heads of the validation MAE of total energies at the end, meV."""
    errors = [
        e["value"]
        for e in row["evaluations"]
        if (e["moment"], e["metric"], e["unit"]) == ("end", "energy_mae", "meV")
    ]
    assert len(errors) == len(row["heads"])
    return math.prod(errors) ** (1 / len(errors))


def values_of(row: dict[str, Any], choice: Choice) -> dict[str, Any]:
    """What a row's stage had for the settings of a choice."""
    weights = {f"heads.{head['name']}.weight": head["weight"] for head in row["heads"]}
    return {name: {**row["hyperparameters"], **weights}[name] for name in choice.values}


def trials_of(store: Store, choice: Choice) -> list[dict[str, Any]]:
    """The rows of its trials, in the order of their start."""
    first_step = choice.where.startswith("chain[0]")
    rows = [row for row in rows_of(store, "tune") if (row["parent_id"] is None) == first_step]
    return sorted(rows, key=lambda row: row["started_at"])


def choices_of(store: Store) -> list[Choice]:
    return list(read_choices(store.path)["tuned"].values())


def told_by_journal(store: Store, choice: Choice) -> list[optuna.trial.FrozenTrial]:
    path = store.path / "tuning" / f"{choice.key}.journal"
    storage = JournalStorage(JournalFileBackend(str(path)))
    return optuna.load_study(study_name=choice.key, storage=storage).trials


@pytest.fixture(scope="module")
def tuned(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """The study above, run to its end without disturbance."""
    store = Store(tmp_path_factory.mktemp("tuned") / "store", create=True)
    summary = run_here(TUNED, store)
    assert summary.unfinished == ()
    assert [choice.where.split(":")[0] for choice in summary.choices] == ["chain[0]", "chain[1]"]
    progress = summary.progress
    assert (progress.failed, progress.diverged, progress.skipped, progress.cached) == (0, 0, 0, 0)
    assert progress.ended == progress.total == progress.finished == 2 * TRIALS + 2 + 2 + 1
    return store


def test_every_choice_has_its_trials_and_no_more(tuned: Store) -> None:
    choices = choices_of(tuned)
    assert [choice.trials for choice in choices] == [TRIALS, TRIALS]
    for choice in choices:
        rows = trials_of(tuned, choice)
        assert len(rows) == len({row["stage_id"] for row in rows}) == TRIALS
        assert {row["status"] for row in rows} == {"finished"}
        assert sum(row["stop_reason"] == "pruned" for row in rows) == choice.pruned
        for row in rows:
            assert not tuned.checkpoint_dir(row["stage_id"]).exists()
            assert {e["subset"][1:] for e in row["evaluations"]} == {"/validation"}


def test_the_best_on_validation_labels_is_chosen(tuned: Store) -> None:
    for choice in choices_of(tuned):
        rows = [row for row in trials_of(tuned, choice) if row["stop_reason"] != "pruned"]
        best = min(rows, key=judged)
        assert choice.error_mev == pytest.approx(judged(best), rel=1e-9)
        assert values_of(best, choice) == choice.values


def test_the_first_trial_is_the_untuned_stage(tuned: Store) -> None:
    for choice, rate in zip(choices_of(tuned), (0.01, 0.003), strict=True):
        untuned = {"learning_rate": rate, "heads.dft.weight": 1.0}
        wanted = {name: untuned[name] for name in choice.values}
        (row,) = (row for row in trials_of(tuned, choice) if values_of(row, choice) == wanted)
        assert row in trials_of(tuned, choice)[:2]  # two start at once
        assert told_by_journal(tuned, choice)[0].params == wanted
        assert choice.untuned_mev == pytest.approx(judged(row), rel=1e-9)
        assert choice.error_mev <= choice.untuned_mev


def test_a_weight_is_chosen_where_several_heads_learn(tuned: Store) -> None:
    both, alone = choices_of(tuned)
    assert both.values.keys() == {"learning_rate", "heads.dft.weight"}
    assert alone.values.keys() == {"learning_rate"}


def test_results_have_the_chosen_settings(tuned: Store) -> None:
    graph = graph_of(TUNED, tuned)
    assert (graph.tunings, graph.waiting, graph.later) == ((), (), ())
    rows = {row["stage_id"]: row for row in rows_of(tuned, "science")}
    assert rows.keys() == graph.stages.keys()
    chosen = choices_of(tuned)
    for row in rows.values():
        if row["tuning"] is None:
            assert row["hyperparameters"]["learning_rate"] == 0.01
            assert "xtb" not in {labels["head"] for labels in row["lineage"]}
        else:
            assert row["tuning"] == "tuned"
            assert values_of(row, chosen[row["step"]]) == chosen[row["step"]].values
        assert {e["subset"] for e in row["evaluations"]} >= {"t"}
    assert sum(row["tuning"] is None for row in rows.values()) == 1
    parents = {row["parent_id"] for row in rows_of(tuned, "tune")} - {None}
    (parent,) = parents
    (dft,) = (head for head in rows[parent]["heads"] if head["name"] == "dft")
    assert dft["size"] == 16, "trials start from the middle one of two"


def test_a_second_run_does_nothing(tuned: Store) -> None:
    before, choices = tuned.table(), choices_of(tuned)
    began = time.monotonic()
    summary = run_here(TUNED, tuned)
    assert time.monotonic() - began < 5  # no Ray is started, let alone a model trained
    assert (summary.choices, summary.progress.finished, summary.progress.cached) == ((), 0, 5)
    assert summary.progress.ended == summary.progress.total == 5
    assert tuned.table().equals(before)
    assert choices_of(tuned) == choices


def test_choices_that_got_lost_are_made_again_without_training(
    tuned: Store, tmp_path: Path
) -> None:
    store = Store(shutil.copytree(tuned.path, tmp_path / "copy"))
    shutil.rmtree(store.path / "choices")
    summary = run_here(TUNED, store)
    assert (summary.unfinished, summary.progress.finished) == ((), 0)
    assert choices_of(store) == choices_of(tuned)


def test_a_store_with_trials_is_well(tuned: Store) -> None:
    assert verify(tuned) == verify(tuned, graph_of(TUNED, tuned)) == []


def test_killed_amid_its_trials_a_search_goes_on(tmp_path: Path, start_run: Start) -> None:
    path = tmp_path / "store"
    driver = start_run(TUNED, path)
    while driver.poll() is None and len(list(path.glob("inbox/*.parquet"))) < 3:
        time.sleep(0.005)
    driver.send_signal(signal.SIGKILL)
    driver.communicate(timeout=60)
    store = Store(path)
    while store.is_used():  # by its workers, which outlive it for a moment
        time.sleep(0.2)
    before = {row["stage_id"]: row for row in store.table().to_pylist()}
    trials = [row for row in before.values() if row["purpose"] == "tune"]
    assert trials
    assert len(trials) < 2 * TRIALS, "killed too late to show anything"

    logs = {path.relative_to(store.path).as_posix() for path in store.path.glob("logs/**/*")}
    again = start_run(TUNED, path)
    output, _ = again.communicate(timeout=300)
    assert again.returncode == 0, output
    after = {row["stage_id"]: row for row in store.table().to_pylist()}
    assert all(after[stage_id] == row for stage_id, row in before.items())
    # What was killed in its midst has a log and no row: that alone is at its second attempt.
    cut = {k for k in after if log_file(k, 0) in logs and k not in before}
    assert {k: row["attempt"] for k, row in after.items()} == {k: int(k in cut) for k in after}
    assert {row["status"] for row in after.values()} == {"finished"}
    assert len(rows_of(store, "tune")) == 2 * TRIALS
    assert len(rows_of(store, "science")) == 5
    for choice in choices_of(store):
        told = told_by_journal(store, choice)
        assert len(told) == TRIALS
        best = min((t for t in told if t.value is not None and t.state.name == "COMPLETE"),
                   key=lambda trial: trial.value)  # fmt: skip
        assert (best.params, best.value) == (choice.values, choice.error_mev)
        rows = [row for row in trials_of(store, choice) if row["stop_reason"] != "pruned"]
        assert choice.error_mev == pytest.approx(min(map(judged, rows)), rel=1e-9)
    assert f"chosen for {choice.where}" in output


def test_a_worker_killed_amid_its_trial_costs_no_trial(tmp_path: Path, start_run: Start) -> None:
    path = tmp_path / "store"
    driver = start_run(TUNED.replace("max_steps: 20", "max_steps: 150"), path)
    killed = False
    while driver.poll() is None and not killed:
        for log in path.glob("logs/*.log"):
            worker = log.read_text().partition("in process ")[2].split()
            if worker and not list(path.glob(f"inbox/{log.stem}.parquet")):
                os.kill(int(worker[0]), signal.SIGKILL)  # a trial: stages wait for the choice
                killed = True
                break
        time.sleep(0.05)
    output, _ = driver.communicate(timeout=400)
    assert killed
    assert driver.returncode == 0, output
    store = Store(path)
    rows = store.table().to_pylist()
    assert {row["status"] for row in rows} == {"finished"}
    assert len({row["stage_id"] for row in rows if row["purpose"] == "tune"}) == 2 * TRIALS
    assert len(rows_of(store, "science")) == 5
    for choice in choices_of(store):
        told = told_by_journal(store, choice)
        assert [trial.state.is_finished() for trial in told] == [True] * TRIALS


HOPELESS = """
name: hopeless
dataset: chno3
training: {max_steps: 10, validate_every: 5, batch_size: 8}
tune:
  trials: 2
  strategies: [wild]
  space: {learning_rate: {low: 1.0e+29, high: 1.0e+30, log: true}}
strategies:
  wild:
    - heads: {dft: {subset: b, size: [8, 16], validation: 8}}
      training: {warmup_steps: 0, max_gradient_norm: 1.0e+30}
    - heads: {cc: {subset: a, size: 16, validation: 8}}
  plain:
    - heads: {cc: {subset: a, size: 16, validation: 8}}
"""


def test_where_every_trial_diverges_the_rest_is_run_and_the_choice_named(
    tmp_path: Path, start_run: Start
) -> None:
    store = Store(tmp_path / "store", create=True)
    first = start_run(HOPELESS, store.path)
    output, _ = first.communicate(timeout=120)
    assert first.returncode == 1, output
    (line,) = (line for line in output.splitlines() if "not tuned" in line)
    assert "wild[0]: dft+forces, nequip tiny" in line
    assert "none of its 2 trials came to an end" in line
    assert [row["status"] for row in rows_of(store, "tune")] == ["diverged", "diverged"]
    assert [row["status"] for row in rows_of(store, "science")] == ["finished"]
    assert read_choices(store.path) == {}
    before = store.table()
    second = start_run(HOPELESS, store.path)
    output, _ = second.communicate(timeout=60)
    assert second.returncode == 1, output
    assert "none of its 2 trials came to an end" in output
    assert store.table().equals(before), "what diverged once diverges again"


def test_below_a_stage_that_diverged_nothing_is_tuned(tmp_path: Path) -> None:
    """Trials start from a stage that an earlier run knows to diverge: nothing is left to run."""
    text = """
name: lost
dataset: chno3
training: {max_steps: 10, validate_every: 5, batch_size: 8}
tune: {trials: 2, space: {offsets: [residuals, labels]}}
strategies:
  wild:
    - heads: {dft: {subset: b, size: 8, validation: 8}}
    - heads: {cc: {subset: a, size: 16, validation: 8}}
"""
    store = Store(tmp_path / "store", create=True)
    (root,) = graph_of(text, store).stages
    whose = {"stage_id": root, "parent_id": None, "root_id": root, "purpose": "science"}
    store.publish({**whose, "attempt": 0, "status": "diverged", "reason": "the loss became NaN"})
    summary = run_here(text, store)
    (ended,) = summary.unfinished
    assert ended.stage_id.startswith("wild[1]: cc, nequip tiny")
    assert ended.status == "not tuned"
    assert ended.reason == f"the stage that its trials start from, {root}, diverged"
    assert summary.progress.ended == summary.progress.total == 2
    assert store.statuses() == {root: "diverged"}
