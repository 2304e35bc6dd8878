"""Tuned studies on the command line: what is to choose, what was chosen, trials no results."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from click.testing import Result

from mfscale.results import Store
from mfscale.study import Choice, StudyGraph, add_choices
from tests.cli.conftest import Command, answer, assert_one_message, content, run_one

Call = Callable[..., Result]

TUNED = """
name: tuned
dataset: chno3
training: {max_steps: 4, validate_every: 2, batch_size: 8}
tune:
  strategies: [chain]
  trials: 2
  space: {learning_rate: {low: 0.001, high: 0.1, log: true}}
strategies:
  chain:
    - heads: {dft: {subset: b, size: [8, 16], validation: 8, forces: false}}
    - heads: {cc: {subset: a, size: 8, validation: 8}}
  plain:
    - heads: {cc: {subset: a, size: 8, validation: 8}}
"""


UNTUNED = TUNED[: TUNED.index("tune:")] + TUNED[TUNED.index("strategies:\n  chain") :]


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("study") / "tuned.yaml"
    path.write_text(TUNED)
    return path


@pytest.fixture(scope="module")
def tuned(tmp_path_factory: pytest.TempPathFactory, file: Path) -> Store:
    """All of the study but the last stages, run as `mfscale run` does, without Ray."""
    return partly_run(file, Store(tmp_path_factory.mktemp("tuned") / "store", create=True))


def partly_run(file: Path, store: Store, *, choices: int = 2) -> Store:
    """Run until so many choices are made, and the stages that wait for none."""
    from mfscale.cli.study import expand_file
    from mfscale.orchestration import Progress, rates, worker
    from mfscale.orchestration.campaign import Campaign
    from mfscale.results import SCHEMA

    graph = expand_file(file, store.path)

    def grow(made: Sequence[Choice]) -> StudyGraph:
        add_choices(store.path, graph.tunings[0].name, made)
        return expand_file(file, store.path)

    def ignore(_progress: Progress) -> None:
        pass

    speed = rates(SCHEMA.empty_table(), {})
    campaign = Campaign(graph, store, speed, slots=1, on_progress=ignore, grow=grow)
    campaign.constant = {
        worker.STORE: str(store.path),
        worker.SAVE_EVERY: 60.0,
    }
    while len(campaign.choices) < choices and (started := campaign.start()) is not None:
        stage_id, config = started
        campaign.ended(stage_id, worker.run_one(config))
    return store


# ---- before anything has run


def test_a_plan_says_what_is_to_choose_and_what_waits(call: Call, file: Path) -> None:
    shown = call("plan", file, "--store", file.parent / "absent").stdout
    assert "5 steps make 5 stages" in shown
    assert "learning_rate" in shown
    for place in ("chain[0]: dft", "chain[1]: cc"):
        assert place in shown
    assert "4 stages wait for these choices; their ids are known then" in shown
    planned = answer(call("plan", file, "--store", file.parent / "absent", "--json"))
    assert planned["choices"] == []
    assert [(c["settings"], c["trials"]) for c in planned["choices_to_make"]] == [
        (["learning_rate"], 2),
        (["learning_rate"], 2),
    ]
    assert planned["waiting_for_choices"] == 4
    assert (planned["requested"], planned["stages"], planned["to_run"]) == (5, 5, 5)
    assert [detail["used_by"] for detail in planned["details"]] == [["plain[0]"]]
    assert not (file.parent / "absent").exists()


def test_the_estimate_counts_the_trials(call: Call, tmp_path: Path) -> None:
    """Twice as many trials of the same stages take longer; untuned there are none."""
    hours = []
    for trials in (None, 2, 4):
        study = tmp_path / f"{trials}.yaml"
        text = TUNED if trials else UNTUNED
        study.write_text(text.replace("trials: 2", f"trials: {trials}"))
        planned = answer(call("plan", study, "--store", tmp_path / "none", "--gpus", 1, "--json"))
        hours.append(planned["gpu_hours"])
    assert hours[0] < hours[1] < hours[2]
    assert hours[2] - hours[1] == pytest.approx(hours[1] - hours[0])


def test_where_nothing_was_chosen_it_is_said(call: Call, tmp_path: Path) -> None:
    store = tmp_path / "store"
    assert call("choices", "--store", store).stdout.startswith("no tuning has chosen anything in")
    assert answer(call("choices", "--store", store, "--json")) == {}
    assert not store.exists()


def test_broken_choices_are_one_message_in_every_command(
    mfscale_here: Command, file: Path, tmp_path: Path
) -> None:
    broken = tmp_path / "store" / "choices" / "tuned.json"
    Store(tmp_path / "store", create=True)
    broken.parent.mkdir()
    broken.write_text("{")
    for command in (("choices",), ("plan", file), ("status", file), ("run", file)):
        answered = mfscale_here(*command, "--store", tmp_path / "store")
        assert_one_message(answered, broken, "not JSON", "restore or move it")


# ---- on the way


def test_the_status_counts_those_that_wait(call: Call, file: Path, tmp_path: Path) -> None:
    store = Store(tmp_path / "store", create=True)

    def counted() -> dict[str, int]:
        counts: dict[str, int] = answer(call("status", file, "--store", store.path, "--json"))
        return {n: counts[n] for n in ("stages", "finished", "missing", "waiting for a choice")}

    def row(stages: int, finished: int, missing: int, waiting: int) -> dict[str, int]:
        return {
            "stages": stages,
            "finished": finished,
            "missing": missing,
            "waiting for a choice": waiting,
        }

    assert counted() == row(5, 0, 1, 4)
    partly_run(file, store, choices=1)
    assert counted() == row(5, 0, 3, 2)
    shown = " ".join(call("status", file, "--store", store.path).stdout.split())
    assert "5 stages: 3 missing, 2 waiting for a choice" in shown
    planned = answer(call("plan", file, "--store", store.path, "--json"))
    assert [c["where"].split(":")[0] for c in planned["choices"]] == ["chain[0]"]
    assert [c["where"].split(":")[0] for c in planned["choices_to_make"]] == ["chain[1]"]
    assert planned["waiting_for_choices"] == 2


def test_a_stage_that_is_there_counts_though_another_like_it_waits(
    call: Call, tmp_path: Path
) -> None:
    """Untuned, the waiting stage would be the finished one: they are two all the same."""
    file = tmp_path / "study.yaml"
    step = "[{heads: {cc: {subset: a, size: 8, validation: 8}}}]"
    head = TUNED.split("strategies:\n  chain:", maxsplit=1)[0].replace("[chain]", "[tuned]")
    file.write_text(f"{head}strategies: {{tuned: {step}, plain: {step}}}\n")
    store = Store(tmp_path / "store", create=True)
    planned = answer(call("plan", file, "--store", store.path, "--json"))
    assert (planned["stages"], planned["waiting_for_choices"]) == (2, 1)
    from mfscale.cli.study import expand_file

    (plain,) = expand_file(file, store.path).stages.values()
    assert run_one(plain, store)["status"] == "finished"
    counts = answer(call("status", file, "--store", store.path, "--json"))
    assert (counts["stages"], counts["finished"], counts["waiting for a choice"]) == (2, 1, 1)


# ---- after


def test_choices_are_shown_with_what_they_bring(call: Call, tuned: Store, file: Path) -> None:
    shown = call("choices", "--store", tuned.path).stdout
    for words in ("learning_rate", "dft, nequip tiny", "cc, nequip tiny", "validation MAE"):
        assert words in shown
    found = answer(call("choices", "--store", tuned.path, "--json"))
    assert [c["where"].split(":")[0] for c in found["tuned"]] == ["chain[0]", "chain[1]"]
    for choice in found["tuned"]:
        assert 0 < choice["error_mev"] <= choice["untuned_mev"]
        assert (choice["trials"], choice["pruned"]) == (2, 0)
        assert 0.001 <= choice["values"]["learning_rate"] <= 0.1
    planned = answer(call("plan", file, "--store", tuned.path, "--json"))
    assert planned["choices"] == found["tuned"]
    assert (planned["choices_to_make"], planned["waiting_for_choices"]) == ([], 0)


def test_choices_beside_a_study_serve_it_in_any_store(
    call: Call, tuned: Store, tmp_path: Path
) -> None:
    """A folder of choices is copied beside another study, which takes them over by name."""
    from mfscale.study import read_choices

    made = read_choices(tuned.path)["tuned"]
    add_choices(tmp_path, "tuned", made.values())
    other = tmp_path / "other.yaml"
    head, tail = TUNED.split("tune:", maxsplit=1)[0], TUNED[TUNED.index("strategies:\n  chain") :]
    freeze = "tune: {freeze: tuned, strategies: [chain]}\n"
    other.write_text(head.replace("name: tuned", "name: other") + freeze + tail)
    empty = tmp_path / "empty"
    found = answer(call("choices", "--store", empty, "--beside", other, "--json"))
    assert found == answer(call("choices", "--store", tuned.path, "--json"))
    ids = [
        [detail["stage_id"] for detail in answer(call("plan", *given, "--json"))["details"]]
        for given in ((other, "--store", empty), (other, "--store", tuned.path))
    ]
    assert ids[0] == ids[1]
    assert len(ids[0]) == 5


def test_trials_are_no_results(call: Call, tuned: Store, file: Path) -> None:
    results = answer(call("results", "--store", tuned.path, "--json"))
    trials = answer(call("results", "--store", tuned.path, "--trials", "--json"))
    assert {row["purpose"] for row in results} == {"science"}
    assert {row["purpose"] for row in trials} == {"tune"}
    assert len(trials) == 4
    assert len(results) + len(trials) == tuned.table().num_rows
    of_study = answer(call("results", "--study", file, "--store", tuned.path, "--json"))
    assert {row["stage_id"] for row in of_study} == {row["stage_id"] for row in results}
    shown = call("results", "--store", tuned.path, "--trials").stdout
    assert all(row["stage_id"] in shown for row in trials)
    assert not any(row["stage_id"] in shown for row in results)


def test_a_store_with_trials_is_well_and_nothing_of_it_is_garbage(call: Call, tuned: Store) -> None:
    before = content(tuned)
    assert answer(call("verify", "--store", tuned.path, "--json")) == []
    collected = answer(call("gc", "--store", tuned.path, "--json"))
    assert not [item for item in collected if item.get("what") != "temporary file"] or (
        collected.get("files") == []
    )
    assert content(tuned) == before
