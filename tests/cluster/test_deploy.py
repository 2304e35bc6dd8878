"""The Slurm script makes a cluster and runs a study on it; the RayJob is what KubeRay takes."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from mfscale.results import Store

DEPLOY = Path(__file__).parents[2] / "deploy"
STUDY = """\
dataset: chno3
model: {architecture: nequip, size: tiny}
training: {max_steps: 10, validate_every: 5}
strategies: {direct: [{heads: {cc: {subset: a, size: [10, 20]}}}]}
"""
SRUN = '#!/bin/sh\nshift\nexec "$@"\n'
SCONTROL = "#!/bin/sh\necho 127.0.0.1\n"
INSIDE = """\
import os, subprocess, sys
from pathlib import Path
from hosts import settle
folder = Path(sys.argv[1])
settle("node", folder / "own", [folder])
subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
status = subprocess.run(["bash", *sys.argv[2:]]).returncode
(folder / "tokens").write_text(" ".join(os.listdir(Path.home() / ".ray")))
sys.exit(status)
"""


@pytest.mark.slow
def test_the_slurm_script_runs_a_study(hosts: ModuleType, tmp_path: Path) -> None:
    study, store, programmes = tmp_path / "study.yaml", tmp_path / "store", tmp_path / "bin"
    study.write_text(STUDY)
    programmes.mkdir()
    for name, text in {"srun": SRUN, "scontrol": SCONTROL}.items():
        (programmes / name).write_text(text)
        (programmes / name).chmod(0o755)
    slurm = {"JOB_ID": "4711", "JOB_NODELIST": "node", "JOB_NUM_NODES": "1", "CPUS_PER_TASK": "1"}
    inside = [sys.executable, "-c", INSIDE, str(tmp_path), str(DEPLOY / "slurm.sh")]
    done = subprocess.run(
        hosts.apart([*inside, str(study), str(store)]),
        capture_output=True,
        text=True,
        check=False,
        env={
            **os.environ,
            **{f"SLURM_{name}": value for name, value in slurm.items()},
            "PATH": f"{programmes}:{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PYTHONPATH": f"{DEPLOY.parent}:{DEPLOY / 'rehearsal'}",
        },
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert list(Store(store).statuses().values()) == ["finished", "finished"]
    assert (tmp_path / "tokens").read_text() == ""  # the job's token went with it


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="no shellcheck here")
def test_the_slurm_script_is_sound() -> None:
    done = subprocess.run(
        ["shellcheck", str(DEPLOY / "slurm.sh")],  # noqa: S607 - wherever it is
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_the_ray_job_asks_for_what_the_package_is_tested_with() -> None:
    job: dict[str, Any] = yaml.safe_load((DEPLOY / "rayjob.yaml").read_text())
    cluster = job["spec"]["rayClusterSpec"]
    (group,) = cluster["workerGroupSpecs"]
    pinned = dict(
        line.split("==") for line in (DEPLOY.parent / "constraints.txt").read_text().split()
    )
    assert (job["apiVersion"], job["kind"]) == ("ray.io/v1", "RayJob")
    assert cluster["rayVersion"] == pinned["ray"]
    assert f"ray:{pinned['ray']}-py311" in (DEPLOY / "Dockerfile").read_text()
    assert cluster["authOptions"] == {"mode": "token"}
    assert job["spec"]["shutdownAfterJobFinishes"] is True
    assert cluster["headGroupSpec"]["serviceType"] == "ClusterIP"
    assert (group["replicas"], group["minReplicas"]) == (0, 0)
    assert f"--gpus {group['maxReplicas']}" in job["spec"]["entrypoint"]
    for part in (cluster["headGroupSpec"], group):
        (container,) = part["template"]["spec"]["containers"]
        assert container["resources"]["requests"] == container["resources"]["limits"]
        assert all(isinstance(value, str) for value in part["rayStartParams"].values())
