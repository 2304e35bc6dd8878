"""``mfscale track``, and ``run --track``: trackers as people meet them."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from mfscale.results import Store
from tests.cli.conftest import Command, answer, assert_one_message

pytest.importorskip("tensorboard", reason="the extra mfscale[tensorboard] is not installed")

STUDY = """
name: small
dataset: chno3
training: {max_steps: 20, validate_every: 10, batch_size: 8}
strategies:
  finetune:
    - heads: {dft: {subset: b, size: 8, validation: 8}}
    - heads: {cc: {subset: a, size: [8, 16], validation: 8}}
"""


def test_a_store_is_copied_once(
    store: Store, study_file: Path, tmp_path: Path, call: Callable[..., Result]
) -> None:
    command = ["track", "--to", "tensorboard", "--store", store.path, "--out", tmp_path / "board"]
    first = call(*command, "--study", study_file, "--where", "seed=0")
    assert "tensorboard: 9 stages written, 0 there already (9 finished)" in first.output
    assert len([*(tmp_path / "board").glob("*/events.out.tfevents.*")]) == 9
    again = answer(call(*command, "--study", study_file, "--where", "seed=0", "--json"))
    assert (again["written"], again["unchanged"], again["finished"]) == (0, 9, 9)
    assert again["place"] == str(tmp_path / "board")


def test_an_archive_has_no_curves_and_is_told_so(
    archive: Path, tmp_path: Path, call: Callable[..., Result]
) -> None:
    where = ["--where", "architecture=mace", "--where", "size=tiny", "--where", "seed=0"]
    told = call(
        "track", "--to", "tensorboard", "--store", archive, "--out", tmp_path / "board", *where
    )
    assert "8 stages written, 0 there already (8 finished)" in told.output
    assert "8 have no learning curve (an archive has none)" in told.output


@pytest.mark.parametrize("tracker", ["wandb", "mlflow", "tensorboard"])
def test_a_missing_extra_ends_run_and_track_before_anything_starts(
    tracker: str, mfscale_here: Command, study_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, tracker, None)
    wanted = f"pip install 'mfscale[{tracker}]'"
    assert_one_message(mfscale_here("run", study_file, "--track", tracker), wanted)
    assert not Path("mfscale-store").exists()
    Store("mfscale-store", create=True)
    assert_one_message(mfscale_here("track", "--to", tracker), wanted)
    assert not Path("mfscale-tracking").exists()


def test_a_folder_that_cannot_be_made_is_named(mfscale_here: Command, store: Store) -> None:
    Path("file").write_text("mine")
    told = mfscale_here("track", "--to", "tensorboard", "--store", store.path, "--out", "file/in")
    assert_one_message(told, "tensorboard: ", "file/in")
    assert Path("file").read_text() == "mine"


@pytest.mark.slow
def test_a_run_tells_trackers_and_goes_on_without_those_that_fail(tmp_path: Path) -> None:
    """TensorBoard takes all; MLflow's server is not there."""
    pytest.importorskip("mlflow", reason="the extra mfscale[mlflow] is not installed")
    (tmp_path / "study.yaml").write_text(STUDY)
    command = [sys.executable, "-m", "mfscale", "run", "study.yaml", "--store", "store", "--json"]
    done = subprocess.run(
        [*command, "--cpus", "2", "--track", "tensorboard", "--track", "mlflow"],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
        env={
            **os.environ,
            "MLFLOW_TRACKING_URI": "http://me:secret@127.0.0.1:9",
            "MLFLOW_DISABLE_TELEMETRY": "true",
        },
    )
    told = json.loads(done.stdout)
    assert (told["finished"], told["failed"]) == (3, 0)
    assert told["tracked"] == {"mfscale-tracking/tensorboard": 3}
    assert done.stderr.count("warning mlflow: ") == 1
    assert "mfscale track --to mlflow --store store" in done.stderr
    assert "secret" not in done.stderr + done.stdout
    stages = Store(tmp_path / "store").statuses()
    folders = [path.name for path in (tmp_path / "mfscale-tracking" / "tensorboard").iterdir()]
    assert {name.rpartition("-")[2] for name in folders} == stages.keys()
