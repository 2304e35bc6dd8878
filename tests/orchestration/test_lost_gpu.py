"""A process that can do nothing more on its GPU, on real Ray: its stage goes on in another."""

import os
from pathlib import Path
from typing import Any

import pytest
import torch

from mfscale.orchestration import Rates, run, worker
from mfscale.results import Store
from mfscale.study import Stage, of_stage
from mfscale.training import StageResult, is_lost_gpu, is_out_of_memory
from tests.orchestration.conftest import SMALL, graph_of

COUNTS = ("samples_seen", "train_time_s", "wall_time_s")


def test_what_is_said_of_a_lost_gpu() -> None:
    lost = torch.AcceleratorError("CUDA error: an illegal memory access was encountered")
    full = torch.AcceleratorError("CUDA error: out of memory")
    assert is_lost_gpu(lost)
    assert not is_out_of_memory(lost)
    assert is_out_of_memory(full)
    assert not is_lost_gpu(full)
    wrong = torch.AcceleratorError("CUDA error: no kernel image is available for execution")
    assert not is_lost_gpu(wrong)  # as it would be in any process
    assert not is_lost_gpu(ValueError("labels at an illegal address"))


@pytest.mark.slow
def test_a_stage_whose_process_lost_its_gpu_goes_on_in_another(tmp_path: Path) -> None:
    graph = graph_of(SMALL)
    store = Store(tmp_path / "store", create=True)
    unlucky, hopeless = [s.id for s in graph.stages.values() if s.parent_id is None][:2]
    notes = tmp_path / "notes"
    notes.mkdir()

    def train(  # here: workers import none of the tests
        stage: Stage, _store: Store, config: dict[str, Any], _attempt: object
    ) -> StageResult:
        before = list(notes.glob(f"{stage.id}-*"))
        (notes / f"{stage.id}-{len(before)}").write_text(f"{os.getpid()} {config[worker.KERNELS]}")
        if stage.id == hopeless or (stage.id == unlucky and not before):
            raise torch.AcceleratorError("CUDA error: an illegal memory access was encountered")
        row = {**of_stage(stage), "status": "finished", "reason": None, "warnings": []}
        return StageResult({**row, **dict.fromkeys(COUNTS, 1)}, curve=[], errors=[])

    asked: dict[str, Any] = {"cpus": 1, "kernels": "cuequivariance", "train": train}
    summary = run(graph, store, estimate=Rates({}, {}, 0.0, 0), **asked)

    first, second = ((notes / f"{unlucky}-{n}").read_text() for n in (0, 1))
    assert first != second
    kernels = [(notes / f"{hopeless}-{n}").read_text().split()[1] for n in range(3)]
    assert kernels == ["cuequivariance", "cuequivariance", "e3nn"]  # which may be to blame
    row = store.row(unlucky)
    assert row is not None
    assert (row["status"], row["attempt"]) == ("finished", 1)
    assert len(list(notes.glob(f"{hopeless}-*"))) == 3
    failed = [ended for ended in summary.unfinished if ended.status == "failed"]
    assert [ended.stage_id for ended in failed] == [hopeless]
    assert "its worker died 3 times" in failed[0].reason
    assert "lost its GPU: see its log" in failed[0].reason
    (log,) = store.path.glob(f"logs/{hopeless}-2.log")
    assert "loses its worker\nTraceback" in log.read_text()
    assert "AcceleratorError: CUDA error: an illegal memory access" in log.read_text()
