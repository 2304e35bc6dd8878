"""``mfscale retry``, and ``run`` where a model is gone, on a real Ray."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from mfscale.cli.study import expand_file
from mfscale.results import Store
from tests.cli.conftest import answer, model_of, run_one

pytestmark = pytest.mark.slow

Call = Callable[..., Result]

STUDY = """
name: both
dataset: chno3
training: {max_steps: 10, validate_every: 10, batch_size: 8}
strategies:
  direct:
    - heads: {cc: {subset: a, size: [8, 16], validation: 8}}
  finetune:
    - heads: {dft: {subset: b, size: 8, validation: 8}}
    - heads: {cc: {subset: a, size: SIZES, validation: 8}}
"""


def test_a_failure_is_retried_and_later_its_lost_model_trained_again(
    tmp_path: Path, call: Call
) -> None:
    """A file where a stage's folder belongs fails that stage."""
    file = tmp_path / "study.yaml"
    file.write_text(STUDY.replace("SIZES", "8"))
    small, large, root, child = expand_file(file, tmp_path).stages.values()
    store = Store(tmp_path / "store", create=True)
    in_store = ("--store", store.path)
    assert run_one(large, store)["status"] == "finished"
    for stage in (small, root):
        store.checkpoint_dir(stage.id).write_text("in the way")
        assert run_one(stage, store)["status"] == "failed"
    (cause,) = answer(call("triage", file, *in_store, "--json"))
    assert (len(cause["stages"]), cause["blocked"]) == (2, [child.id])
    assert "Traceback" in Path(cause["log_file"]).read_text()

    shutil.rmtree(store.path / "checkpoints" / large.id)  # not needed, so not trained again
    for stage in (small, root):
        store.checkpoint_dir(stage.id).unlink()
    none = call("retry", file, "--reason", "out of memory", *in_store)
    assert "no stage of both failed for a reason with 'out of memory'" in none.stdout
    assert "2 failed for other reasons" in none.stdout
    retried = call("retry", file, "--failed", "--reason", root.id, *in_store, "--cpus", 2)
    assert "Retrying 1 failed stages of both and 1 that they block or need" in retried.stderr
    assert store.statuses() == {
        small.id: "failed",  # for a reason that names another file
        large.id: "finished",
        root.id: "finished",
        child.id: "finished",
    }
    row = store.row(root.id)
    assert row is not None
    assert row["attempt"] == 1
    logs = {path.name for path in (store.path / "logs").iterdir()}
    assert {f"{root.id}-0.log", f"{root.id}-1.log"} <= logs  # that of the failure is kept

    # Another fine-tuning needs the pre-trained model, which somebody has deleted meanwhile.
    model_of(store, root).unlink()
    file.write_text(STUDY.replace("SIZES", "[8, 16]"))
    assert f"{root.id[:8]} is cached, but its model is gone" in call("plan", file, *in_store).stdout
    before = store.row(child.id)
    call("run", file, *in_store, "--cpus", 2)
    assert list(store.statuses().values()) == ["finished"] * 5
    row = store.row(root.id)
    assert row is not None
    assert row["attempt"] == 2
    assert "was gone" in str(row["warnings"])
    assert store.row(child.id) == before
    assert not model_of(store, large).exists()
