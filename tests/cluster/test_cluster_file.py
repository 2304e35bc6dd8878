"""``cluster.yaml`` is sound as far as can be told offline; ``deploy/check.py`` tells if not."""

import importlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("boto3", reason="the cluster file is checked against AWS's own description")

ROOT = Path(__file__).parents[2]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What a user has beside the file: a wheel, constraints, sweeps and a token."""
    text = (ROOT / "cluster.yaml").read_text(encoding="utf-8")
    (tmp_path / "cluster.yaml").write_text(text.replace("sg-EDIT", "sg-0123456789abcdef0"))
    (tmp_path / "dist").mkdir()
    (tmp_path / "dist" / "mfscale-0.1.0-py3-none-any.whl").touch()
    (tmp_path / "sweeps").mkdir()
    shutil.copy(ROOT / "constraints.txt", tmp_path)
    (tmp_path / ".ray").mkdir()
    (tmp_path / ".ray" / "auth_token").write_text("token")
    return tmp_path


def check(file: Path, home: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(ROOT / "deploy" / "check.py"), str(file)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "HOME": str(home)},
    )


def test_the_file_is_sound_once_the_group_is_named(folder: Path) -> None:
    done = check(folder / "cluster.yaml", folder)
    assert done.returncode == 0, done.stderr


def test_without_what_ray_up_needs_the_remedy_is_said(folder: Path) -> None:
    """As where mfscale alone is installed."""
    shutil.copy(ROOT / "cluster.yaml", folder)
    (folder / "botocore.py").write_text("raise ImportError('No module named botocore')")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(folder))
        done = check(folder / "cluster.yaml", folder)
    assert done.returncode == 2
    assert "pip install --no-deps boto3 botocore" in done.stderr
    assert "Traceback" not in done.stderr


def test_what_is_left_to_edit_is_named(folder: Path) -> None:
    shutil.copy(ROOT / "cluster.yaml", folder)
    done = check(folder / "cluster.yaml", folder)
    assert done.returncode == 2
    assert "sg-EDIT is to be replaced" in done.stderr


@pytest.mark.parametrize(
    ("right", "wrong", "said"),
    [
        ("  region:", "  regoin:", "provider: regoin is not known"),
        ("spot.SpotFirst", "spot.SpotLast", "module cannot be imported"),
        ("InstanceType: g5.xlarge", "InstanceType: g5.xlarg", "g5.xlarg is not in the list"),
        ("ImageId: *image", "ImageID: *image", "ImageID"),
        ("VolumeSize: 100", "VolumeSize: large", "VolumeSize"),
        ("{CPU: 4, GPU: 1}", "{CPU: 8, GPU: 1}", "4 cores and 1 GPUs"),
        ("{CPU: 4, GPU: 1}", "{CPU: 4.0, GPU: 1}", "whole numbers"),
        ("min_workers: 0", "min_workers: 2", "min_workers is not 0"),
        ("max_workers: 8 ", "max_wokers: 8 ", "max workers"),
        ("HttpTokens: required", "HttpTokens: optional", "HttpTokens"),
        ("      SecurityGroupIds: *group\n", "", "opens port 22 to everybody"),
        ("--dashboard-host=127.0.0.1", "--dashboard-host=0.0.0.0", "dashboard"),
        ("RAY_AUTH_MODE=token", "", "RAY_AUTH_MODE=token is not set"),
        ("cluster_name: mfscale", f"cluster_name: {'0a' * 32}", "a secret stands in the file"),
        ("  ~/mfscale/dist: dist ", "  ~/mfscale/dist: build ", "no build here"),
        ("cluster_name: mfscale", "cluster_name: [", "no YAML"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_slip_is_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch, right: str, wrong: str, said: str
) -> None:
    file = folder / "cluster.yaml"
    text = file.read_text()
    assert right in text
    file.write_text(text.replace(right, wrong))
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.syspath_prepend(str(ROOT / "deploy"))
    assert said in "\n".join(importlib.import_module("check").faults(file))


def test_what_the_machines_install_is_pinned(folder: Path) -> None:
    text = (folder / "cluster.yaml").read_text()
    pinned = {line.partition("==")[0] for line in (ROOT / "constraints.txt").read_text().split()}
    asked = {"torch-ema", "mace-torch", "boto3", "botocore", "s3transfer", "jmespath", "torch"}
    assert asked <= pinned
    assert "UV_CONSTRAINT=constraints.txt" in text
    assert "uv==" in text
