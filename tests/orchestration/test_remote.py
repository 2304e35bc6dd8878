"""Studies run into a bucket: what a folder would hold, kills and tunings included."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mfscale.results import Store
from tests.orchestration.conftest import SMALL, graph_of

pytestmark = pytest.mark.slow
TINY = """
name: tiny
dataset: chno3
training: {max_steps: 20, validate_every: 10, batch_size: 8}
strategies:
  finetune:
    - heads: {dft: {subset: b, size: 16, validation: 8}}
    - heads: {cc: {subset: a, size: [8, 16], validation: 8}}
"""
LONG = """
name: long
dataset: chno3
training: {max_steps: 100000, validate_every: 10, patience: 100000, batch_size: 8}
strategies: {direct: [{heads: {cc: {subset: a, size: 16, validation: 8}}}]}
"""
TUNED = """
name: tuned
dataset: chno3
training: {max_steps: 20, validate_every: 10, batch_size: 8}
tune: {trials: 5, space: {learning_rate: {low: 0.002, high: 0.05, log: true}}}
strategies: {direct: [{heads: {cc: {subset: a, size: [16, 24], validation: 8}}}]}
"""
OF_THE_RUN = {
    *("started_at", "wall_time_s", "train_time_s", "total_train_time_s", "structures_per_second"),
    *("git_commit", "peak_memory_mb"),
}
StartRun = Callable[[str, Any], "subprocess.Popen[str]"]


def mfscale(*arguments: object) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "mfscale", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done
    return done.stdout


def told(store: Store) -> list[dict[str, Any]]:
    rows = store.table().to_pylist()
    return [{k: v for k, v in row.items() if k not in OF_THE_RUN} for row in rows]


def test_a_study_in_a_bucket_is_that_in_a_folder(
    bucket: str, start_run: StartRun, tmp_path: Path
) -> None:
    url = f"{bucket}/store"
    for place in (url, str(tmp_path / "store")):
        said, _ = start_run(TINY, place).communicate(timeout=300)
        assert "3 stages finished" in said
        assert os.environ["AWS_SECRET_ACCESS_KEY"] not in said
    there, here = Store(url), Store(tmp_path / "store")
    assert told(there) == told(here)
    for stage in there.statuses():
        assert there.curve(stage)["validation_loss"].equals(here.curve(stage)["validation_loss"])
        assert there.errors(stage).equals(here.errors(stage))
        model = f"checkpoints/{stage}/model.safetensors"
        weights = slice(-2000, None)  # the header tells how long training took
        assert (
            there.place.get(model).to_pybytes()[weights]
            == (here.place.get(model).to_pybytes()[weights])
        )
    left = [name for name in there.place.tree("") if "progress" in name or "lease" in name]
    assert not left
    study = tmp_path / "study.yaml"
    assert json.loads(mfscale("status", study, "--store", url, "--json"))["finished"] == 3
    assert "nothing wrong" in mfscale("verify", study, "--store", url)
    assert "nothing to delete" in mfscale("gc", "--store", url)
    assert "3 of 3 were cached" in mfscale("run", study, "--store", url)
    assert len(json.loads(mfscale("results", "--store", url, "--json"))) == 3
    assert "3" in mfscale("sql", "select count(*) from results", "--store", url)
    stage = next(iter(there.statuses()))
    exported = tmp_path / "model.safetensors"
    mfscale("export", stage, "--store", url, "--out", exported)
    mfscale("adopt", study, stage, "--from", exported, "--store", f"{bucket}/other")
    assert Store(f"{bucket}/other").statuses() == {stage: "finished"}
    mfscale("archive", tmp_path / "archive", "--store", url)
    assert Store(tmp_path / "archive").statuses() == there.statuses()
    mfscale("report", "--store", url, "--out", tmp_path / "report.html")
    freed = mfscale("gc", "--leaves", "--yes", "--store", url)
    assert "2 files deleted" in freed


def worker_of(store: Store) -> int:
    """The process that trains, as its lease tells."""
    (name,) = store.place.tree("leases/stages")
    return int(json.loads(store.place.get(name).to_pybytes())["pid"])


def test_a_killed_worker_goes_on_from_the_progress_in_the_bucket(
    bucket: str, start_run: StartRun
) -> None:
    url = f"{bucket}/store"
    with start_run(LONG, url) as run:
        (stage,) = graph_of(LONG).stages
        progress = f"checkpoints/{stage}/progress.safetensors"
        deadline = time.monotonic() + 240
        while time.monotonic() < deadline:
            if Store(url, create=True).place.exists(progress):
                break
            time.sleep(0.5)
        store = Store(url)
        assert store.place.exists(progress)
        os.kill(worker_of(store), signal.SIGKILL)
        second = f"logs/{stage}-1.log"
        before = store.place.version(progress)
        while time.monotonic() < deadline and not (
            store.place.exists(second) and store.place.version(progress) != before
        ):
            time.sleep(0.5)
        run.send_signal(signal.SIGINT)
        said, _ = run.communicate(timeout=120)
    assert run.returncode == 130, said
    log = store.place.get(second).to_pybytes().decode()
    started = re.search(r"trains from step (\d+)", log)
    assert started is not None, log
    assert int(started[1]) > 0
    assert "stopped at step" in log
    assert store.place.exists(progress)
    assert "checkpoint of a stage without row" in mfscale("gc", "--yes", "--store", url)
    assert not store.place.tree("leases")  # nor that of the worker that was killed


def test_a_tuning_in_a_bucket_makes_its_choice_and_reads_it_again(
    bucket: str, start_run: StartRun, tmp_path: Path
) -> None:
    url = f"{bucket}/store"
    said, _ = start_run(TUNED, url).communicate(timeout=400)
    assert "chosen for" in said, said
    store = Store(url)
    assert list(store.place.tree("choices")) == ["choices/tuned.json"]
    assert store.place.tree("tuning")
    purposes = [row["purpose"] for row in store.table().to_pylist()]
    assert purposes.count("science") == 2
    assert 3 <= purposes.count("tune") <= 5
    assert "learning_rate" in mfscale("choices", "--store", url)
    again = mfscale("run", tmp_path / "study.yaml", "--store", url)
    assert "2 of 2 were cached" in again


def test_what_is_in_a_folder_stays_there(start_run: StartRun, tmp_path: Path) -> None:
    said, _ = start_run(SMALL, tmp_path / "store").communicate(timeout=300)
    assert "stages finished" in said
    assert not (tmp_path / "store" / "leases").exists()
