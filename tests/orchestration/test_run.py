"""Real runs on a real Ray: sharing, caching, crashes, divergence, failure."""

import random
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from mfscale.orchestration import OrchestrationError, Progress, missing, run
from mfscale.results import GROUPS, Store
from mfscale.study import StudyGraph
from tests.orchestration.conftest import NO_RATES, SMALL, graph_of

pytestmark = pytest.mark.slow

Start = Callable[[str, Path], "subprocess.Popen[str]"]
TIMES = {"train_time_s", "total_train_time_s"}
SCIENCE = [
    field.name
    for group, fields in GROUPS.items()
    for field in fields
    if group != "provenance" and field.name not in {"attempt", *TIMES}
]


def run_here(text: str, store: Store) -> StudyGraph:
    graph = graph_of(text)
    run(graph, store, estimate=NO_RATES, cpus=2)
    return graph


def science(store: Store) -> dict[tuple[str, str], object]:
    """What equal runs must share, by stage and field: all but times, attempts and provenance."""
    return {
        (row["stage_id"], field): value
        for row in store.table().select(SCIENCE).to_pylist()
        for field, value in row.items()
    }


@pytest.fixture(scope="module")
def quiet(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """The small study, run without disturbance."""
    store = Store(tmp_path_factory.mktemp("quiet") / "store", create=True)
    seen: list[Progress] = []
    graph = graph_of(SMALL)
    summary = run(graph, store, estimate=NO_RATES, cpus=2, on_progress=seen.append)
    assert summary.unfinished == ()
    assert summary.progress.finished == len(graph.stages) == 7
    assert [p.ended for p in seen] == sorted(p.ended for p in seen)
    assert max(p.running for p in seen) == 2
    assert seen[-1].running == 0
    assert seen[-1].structures_per_second is not None
    return store


def test_every_stage_is_one_finished_row_with_its_curve_errors_and_model(quiet: Store) -> None:
    graph = graph_of(SMALL)
    rows = {row["stage_id"]: row for row in quiet.table().to_pylist()}
    assert rows.keys() == graph.stages.keys()
    for stage_id, row in rows.items():
        assert (row["status"], row["attempt"], row["parent_id"]) == (
            "finished",
            0,
            graph.stages[stage_id].parent_id,
        )
        assert quiet.curve(stage_id)["step"].to_pylist() == [0, 10, 20, 30]
        assert set(quiet.errors(stage_id)["method"].to_pylist()) == {"xtb", "dft", "cc"}
        assert [p.name for p in quiet.checkpoint_dir(stage_id).iterdir()] == ["model.safetensors"]
        assert row["n_threads"] == 1


def test_two_workers_serve_all_stages(quiet: Store) -> None:
    logs = [path.read_text() for path in (quiet.path / "logs").iterdir()]
    assert len(logs) == 7
    assert len({log.split("in process ")[1].split()[0] for log in logs}) == 2


def test_the_same_study_again_trains_nothing(quiet: Store) -> None:
    before = quiet.table()
    began = time.monotonic()
    run_here(SMALL, quiet)
    assert time.monotonic() - began < 5  # no Ray is started, let alone a model trained
    assert quiet.table().equals(before)


def test_a_second_study_runs_only_what_is_new(quiet: Store) -> None:
    more = SMALL.replace("name: small", "name: another").replace("direct", "plain")
    more = more.replace("{cc: {subset: a, size: [16, 32]", "{cc: {subset: a, size: [16, 24]")
    graph = graph_of(more)
    new = {stage.id for stage in missing(graph, quiet.statuses())}
    assert len(new) == 2  # fine-tunings on 24 labels; both pre-trainings are there
    before = {row["stage_id"]: row for row in quiet.table().to_pylist()}
    run_here(more, quiet)
    after = {row["stage_id"]: row for row in quiet.table().to_pylist()}
    assert after.keys() - before.keys() == new
    assert all(after[stage_id] == row for stage_id, row in before.items())


def test_killed_three_times_the_table_is_that_of_a_quiet_run(
    tmp_path: Path, quiet: Store, start_run: Start
) -> None:
    """SIGKILL of the driver at random instants of its work; no finished stage is run again."""
    path = tmp_path / "store"
    stages = graph_of(SMALL).stages.keys()
    chance = random.Random(20261123)  # noqa: S311 - a test's dice
    finished: dict[str, object] = {}
    for kill in range(3):
        driver = start_run(SMALL, path)
        while driver.poll() is None and len(list(path.glob("inbox/*.parquet"))) <= len(finished):
            time.sleep(0.01)  # until this run has finished a stage too
        time.sleep(chance.uniform(0, 0.3))
        driver.send_signal(signal.SIGKILL)
        driver.communicate(timeout=60)
        for row in Store(path).table().to_pylist():
            assert row["started_at"] == finished.setdefault(row["stage_id"], row["started_at"])
        assert finished
        assert kill or len(finished) < len(stages), "killed too late to show anything"
    last = start_run(SMALL, path)
    output, _ = last.communicate(timeout=300)
    assert last.returncode == 0, output
    store = Store(path)
    for row in store.table().to_pylist():
        assert finished.get(row["stage_id"], row["started_at"]) == row["started_at"]
    found = science(store)
    wanted = {key: value for key, value in science(quiet).items() if key[0] in stages}
    assert found.keys() == wanted.keys()
    assert {k: (found[k], wanted[k]) for k in wanted if found[k] != wanted[k]} == {}


def test_a_diverging_stage_is_a_result_and_its_children_are_skipped(tmp_path: Path) -> None:
    text = """
name: diverging
dataset: chno3
training: {max_steps: 20, validate_every: 10, batch_size: 8}
strategies:
  hopeless:
    - heads: {dft: {subset: b, size: 16, validation: 8}}
      training: {learning_rate: 1.0e+30, warmup_steps: 0, max_gradient_norm: 1.0e+30}
    - heads: {cc: {subset: a, size: 16, validation: 8}}
    - heads: {cc: {subset: a, size: 32, validation: 8}}
"""
    store = Store(tmp_path / "store", create=True)
    run_here(text, store)
    rows = sorted(store.table().to_pylist(), key=lambda row: row["status"])
    assert [row["status"] for row in rows] == ["diverged", "skipped", "skipped"]
    assert "NaN" in rows[0]["reason"]
    assert all(rows[0]["stage_id"] in r["reason"] or "skipped" in r["reason"] for r in rows[1:])
    before = store.table()
    began = time.monotonic()
    run_here(text, store)  # settled: diverged once is diverged again, and nothing starts
    assert time.monotonic() - began < 5
    assert store.table().equals(before)


def test_a_failing_stage_keeps_its_log_and_the_next_run_tries_again(tmp_path: Path) -> None:
    store = Store(tmp_path / "store", create=True)
    graph = graph_of(SMALL)
    root = next(s for s in graph.stages.values() if s.parent_id is None and "dft" in s.heads)
    children = graph.children()[root.id]
    blocked = store.checkpoint_dir(root.id)
    blocked.parent.mkdir(parents=True)
    blocked.write_text("a file where the folder should be")
    summary = run(graph, store, estimate=NO_RATES, cpus=2)
    statuses = store.statuses()
    assert statuses[root.id] == "failed"
    assert {statuses[child] for child in children} == {"skipped"}
    assert list(statuses.values()).count("finished") == len(graph.stages) - 1 - len(children)
    assert {ended.stage_id for ended in summary.unfinished} == {root.id, *children}
    row = store.row(root.id)
    assert row is not None
    assert "Traceback" in (store.path / str(row["log_file"])).read_text()
    blocked.unlink()
    run(graph, store, estimate=NO_RATES, cpus=2)
    assert set(store.statuses().values()) == {"finished"}


def test_a_settled_stage_is_not_trained_again_by_a_worker_that_is_asked_to(
    tmp_path: Path, quiet: Store
) -> None:
    """As after a worker that died between its row and its report, or with two runs at once."""
    stage = next(iter(graph_of(SMALL).stages.values()))
    store = Store(tmp_path / "store", create=True)
    row = quiet.row(stage.id)
    assert row is not None
    store.publish(row)

    class Late(Store):
        """The store as a run saw it before that row came."""

        def statuses(self) -> dict[str, str]:
            return {}

    text = SMALL.split("  finetune:")[0]
    summary = run(graph_of(text), Late(store.path), estimate=NO_RATES, cpus=1)
    assert summary.progress.finished == 1
    assert store.table().to_pylist() == [row]
    assert not store.checkpoint_dir(stage.id).exists()


def test_more_gpus_than_there_are_is_one_message(tmp_path: Path) -> None:
    import torch

    store = Store(tmp_path / "store", create=True)
    there = torch.cuda.device_count()
    with pytest.raises(OrchestrationError, match=f"--gpus {there + 1}: this machine has {there}"):
        run(graph_of(SMALL), store, estimate=NO_RATES, cpus=2, gpus=there + 1)
    assert store.statuses() == {}


def test_a_ray_address_in_the_environment_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run has a Ray of its own; another cluster's address must not break it."""
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    store = Store(tmp_path / "store", create=True)
    run_here(SMALL.split("  finetune:")[0], store)
    assert list(store.statuses().values()) == ["finished"]
