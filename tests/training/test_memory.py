"""Memory: given back after every stage, told when there is none, and shared on a GPU."""

import errno
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mfscale.data import Dataset
from mfscale.study import Stage
from mfscale.training import TrainingError, is_out_of_memory, run_stage
from mfscale.training.memory import confine, release
from tests.training.test_batch_parts import samples_of, stepped

Plan = Callable[..., list[Stage]]
DFT: dict[str, Any] = {"heads": {"dft": {"subset": "b", "size": 64, "validation": 8}}}
AGAIN = Path(__file__).parent / "again.py"
on_a_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


def test_what_is_said_for_want_of_memory() -> None:
    """By torch, Python and NumPy, of more than any machine has."""
    for demand in (
        lambda: torch.empty(2**58),
        lambda: bytearray(2**62),
        lambda: np.ones(2**58),
    ):
        with pytest.raises((RuntimeError, MemoryError)) as said:
            demand()
        assert is_out_of_memory(said.value)
    assert is_out_of_memory(OSError(errno.ENOMEM, "Cannot allocate memory"))
    assert is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB."))
    for text in (
        "CUDA driver error: out of memory",
        "Triton Error [CUDA]: out of memory",
        "CUDA error: CUBLAS_STATUS_NOT_INITIALIZED when calling `cublasCreate(handle)`",
        "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
    ):
        assert is_out_of_memory(RuntimeError(text))
    assert not is_out_of_memory(OSError(errno.ENOSPC, "No space left on device"))
    assert not is_out_of_memory(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))


@pytest.mark.skipif(torch.cuda.is_available(), reason="what is told where there is no GPU")
def test_a_missing_gpu_is_named() -> None:
    with pytest.raises(TrainingError, match=r"finds no GPU on .*: install one built for CUDA"):
        confine(0.5)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_stages_give_their_memory_back(few: Dataset, plan: Plan, tmp_path: Path) -> None:
    """Thirty stages of three architectures in one worker, of which the last ten add nothing."""
    files = []
    for architecture in ("nequip", "allegro", "mace"):
        model = {"architecture": architecture}
        (stage,) = plan(few, DFT, model=model, training={"max_steps": 4, "validate_every": 2})
        files.append(tmp_path / f"{architecture}.json")
        files[-1].write_text(stage.model_dump_json())
    command = [sys.executable, AGAIN, tmp_path / "store", "30", *files]
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, check=True)
    resident = [float(line) for line in done.stdout.splitlines()]
    assert len(resident) == 30
    assert resident[-1] < 1.1 * resident[19]


@on_a_gpu
def test_on_a_gpu_a_stage_has_its_share_and_no_more() -> None:
    total = torch.cuda.get_device_properties(0).total_memory
    release()
    before = torch.cuda.memory_reserved()  # other tests' networks and workspaces
    confine(0.25)
    try:
        with pytest.raises(torch.OutOfMemoryError) as said:
            torch.empty(total // 3, dtype=torch.uint8, device="cuda")
        assert is_out_of_memory(said.value)
        torch.empty(total // 8, dtype=torch.uint8, device="cuda")
        release()
        assert torch.cuda.memory_reserved() <= before
    finally:
        confine(1.0)


@on_a_gpu
def test_on_a_gpu_the_row_says_how_much_it_took(few: Dataset, plan: Plan, tmp_path: Path) -> None:
    (stage,) = plan(few, DFT, training={"max_steps": 4, "validate_every": 2})
    torch.empty(10**9, dtype=torch.uint8, device="cuda")  # of before
    done = run_stage(stage, checkpoint_dir=lambda s: tmp_path / s, device=torch.device("cuda"))
    assert 1 < done.row["peak_gpu_memory_mb"] < 1000


@on_a_gpu
def test_on_a_gpu_parts_take_less_memory(few: Dataset, plan: Plan) -> None:
    (stage,) = plan(few, DFT)
    potential, samples = samples_of(stage, "cuda")
    peaks = []
    for n in (1, 8):
        torch.cuda.reset_peak_memory_stats()
        stepped(stage, potential, samples, np.arange(64), n)
        peaks.append(torch.cuda.max_memory_allocated())
    assert peaks[1] < 0.5 * peaks[0]
