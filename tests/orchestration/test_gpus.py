"""Shares of a GPU through a real Ray, which takes our word for it that there is one."""

import sys
from pathlib import Path

import pytest
import torch

from mfscale.results import Store
from tests.orchestration.conftest import SMALL
from tests.orchestration.test_joined import Cluster


class WithGpu(Cluster):
    """A cluster whose nodes say that they have a GPU and two cores."""

    def add_gpu_node(self) -> None:
        """One more of them."""
        node = self._start(f"--address={self.address}", "--num-gpus=1", cpus=2)
        self.processes.append(node)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.skipif(torch.cuda.is_available(), reason="what is told where there is no GPU")
def test_stages_are_placed_by_their_shares_and_tell_what_is_missing(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Halves of a GPU, then as their memory asks for, which here nobody can tell."""
    study, store = tmp_path / "study.yaml", tmp_path / "store"
    study.write_text(SMALL)
    cluster = WithGpu(tmp_path_factory.mktemp("r"))
    try:
        cluster.add_gpu_node()
        for attempt, share in enumerate(("0.5", "auto")):
            options = ["--store", str(store), "--gpus", "1", "--gpu-share", share]
            told = cluster.mfscale("run", str(study), *options)
            assert told.returncode == 1, told.stdout + told.stderr
            table = Store(store).table().to_pylist()
            assert sorted(row["status"] for row in table) == ["failed"] * 3 + ["skipped"] * 4
            for row in table:
                if row["status"] == "failed":
                    assert row["attempt"] == attempt
                    assert "finds no GPU on" in row["reason"]
                    assert "run without --gpus" in row["reason"]
    finally:
        for process in list(cluster.processes):
            cluster.kill(process)
