"""A stage that cuEquivariance computes ends as with e3nn; where it would not, e3nn computes it."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cuequivariance_torch as cuet
import pytest
import torch

from mfscale.data import Dataset
from mfscale.models import products
from mfscale.study import Stage
from mfscale.training import discard_progress, kernels, run_stage

Plan = Callable[..., list[Stage]]
DFT = {"heads": {"dft": {"subset": "b", "size": 24, "validation": 8}}}
CC: dict[str, Any] = {
    "heads": {"cc": {"subset": "a", "size": 16, "validation": 8, "inherit": "dft"}, "dft": "keep"},
    "trainable": {"lora": 2},
}


@pytest.fixture(autouse=True)
def _nothing_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "_seen", {})  # as in a process of its own


@pytest.mark.slow
@pytest.mark.parametrize("architecture", ["nequip", "allegro", "mace"])
def test_stages_end_as_with_e3nn(
    few: Dataset, plan: Plan, tmp_path: Path, architecture: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A parent by cuEquivariance, its child by either: models are the same to rounding."""
    model = {"architecture": architecture, "size": "tiny", "dtype": "float64"}
    training = {"max_steps": 8, "validate_every": 4}
    parent, child = plan(few, DFT, CC, model=model, training=training)
    compute = cuet.SegmentedPolynomial.forward
    computed = []

    def counted(self: torch.nn.Module, *arguments: Any) -> Any:  # noqa: ANN401 - whatever it takes
        computed.append(self)
        return compute(self, *arguments)

    monkeypatch.setattr(cuet.SegmentedPolynomial, "forward", counted)

    def train(stage: Stage, way: Any, folder: str) -> list[float]:  # noqa: ANN401 - a literal
        computed.clear()
        done = run_stage(stage, checkpoint_dir=lambda s: tmp_path / folder / s, kernels=way)
        steps = 3 * done.row["steps"]  # more than the comparison takes
        assert (len(computed) > steps) == (way == "cuequivariance")
        assert (done.row["status"], done.row["kernels"]) == ("finished", way)
        return [e["value"] for e in done.row["evaluations"]]

    expected = [train(stage, "e3nn", "e3nn") for stage in (parent, child)]
    found = [train(stage, "cuequivariance", "cue") for stage in (parent, child)]
    assert found[0] == pytest.approx(expected[0], rel=1e-9)
    assert found[1] == pytest.approx(expected[1], rel=1e-9)
    discard_progress(tmp_path / "cue" / child.id)
    assert train(child, "e3nn", "cue") == pytest.approx(expected[1], rel=1e-9)


def test_what_is_computed_wrongly_is_left_to_e3nn(
    few: Dataset,
    plan: Plan,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And nothing is asked a second time; the next process may have better kernels."""
    right = products.Convolution.forward
    asked = []

    def wrong(self: products.Convolution, *arguments: torch.Tensor) -> torch.Tensor:
        asked.append(self)
        return 1.001 * right(self, *arguments)

    caplog.set_level(logging.INFO, "mfscale")
    first, *stages = plan(few, DFT, seed=[0, 1, 2], training={"max_steps": 2, "validate_every": 1})
    done = run_stage(first, checkpoint_dir=lambda s: tmp_path / s, kernels="cuequivariance")
    assert (done.row["kernels"], done.row["warnings"]) == ("cuequivariance", [])
    kernels._seen.clear()  # noqa: SLF001 - as in a process of its own
    monkeypatch.setattr(products.Convolution, "forward", wrong)
    for stage in stages:
        before = len(asked)
        done = run_stage(stage, checkpoint_dir=lambda s: tmp_path / s, kernels="cuequivariance")
        assert done.row["kernels"] == "e3nn"
        assert any("not by cuEquivariance: " in text for text in done.row["warnings"])
        assert f"stage {stage.id} is computed by e3nn (cuEquivariance was off by" in caplog.text
    assert 0 < before == len(asked)


def test_what_fails_is_left_to_e3nn(
    few: Dataset,
    plan: Plan,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: object) -> None:
        raise RuntimeError("no kernel image is available\nfor execution")

    monkeypatch.setattr(products.Convolution, "forward", refuse)
    (stage,) = plan(few, DFT, training={"max_steps": 2, "validate_every": 1})
    done = run_stage(stage, checkpoint_dir=lambda s: tmp_path / s, kernels="cuequivariance")
    assert (done.row["status"], done.row["kernels"]) == ("finished", "e3nn")
    assert "(RuntimeError: no kernel image is available)" in caplog.text


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("architecture", ["nequip", "allegro", "mace"])
def test_on_a_gpu_its_kernels_are_right(
    few: Dataset, plan: Plan, tmp_path: Path, architecture: str
) -> None:
    pytest.importorskip("cuequivariance_ops_torch")
    model = {"architecture": architecture, "size": "small"}
    (stage,) = plan(few, DFT, model=model, training={"max_steps": 4, "validate_every": 2})
    done = run_stage(
        stage,
        checkpoint_dir=lambda s: tmp_path / s,
        device=torch.device("cuda"),
        kernels="cuequivariance",
    )
    assert (done.row["kernels"], done.row["warnings"]) == ("cuequivariance", [])
