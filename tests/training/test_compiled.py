"""Compiled training ends where eager training ends; code is made once and is nobody else's."""

import logging
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from filelock import FileLock

from mfscale.data import CACHE_VARIABLE, Dataset
from mfscale.study import Stage
from mfscale.training import StageResult, compiled, graph_code, run_stage
from mfscale.training.artefacts import Artefacts

Plan = Callable[..., list[Stage]]


def ends(result: StageResult) -> list[float]:
    return [e["value"] for e in result.row["evaluations"] if e["moment"] == "end"]


def stages(plan: Plan, few: Dataset, **model: object) -> list[Stage]:
    heads = {"dft": {"subset": "b", "size": 40, "validation": 8}}
    return plan(few, {"heads": heads}, model={"size": "tiny", **model}, seed=[0, 1])


@pytest.mark.slow
def test_compiled_training_ends_where_eager_training_ends(
    plan: Plan,
    few: Dataset,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In the process that compiled, in one that finds the code, and where code is no good."""
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    caplog.set_level(logging.INFO, "mfscale")
    folder = tmp_path / "cache" / "compiled"
    first, second = stages(plan, few)

    def compare(stage: Stage, times: str) -> None:
        place = tmp_path / f"{times} {stage.seed}"
        eager = run_stage(stage, checkpoint_dir=lambda s: place / "eager" / s)
        code = run_stage(stage, checkpoint_dir=lambda s: place / "code" / s, compiled=True)
        assert (eager.row["compile_mode"], code.row["compile_mode"]) == ("eager", "inductor")
        assert ends(code) == pytest.approx(ends(eager), rel=1e-3)
        assert [p.train_loss for p in code.curve][1:] == pytest.approx(
            [p.train_loss for p in eager.curve][1:], rel=1e-4
        )

    def told() -> list[str]:
        return [words for r in caplog.records if (words := r.message).startswith("compiled ")]

    compare(first, "first process")
    compare(second, "first process")
    assert [words.partition(" in ")[0] for words in told()] == ["compiled"] * 2  # and evaluation
    assert folder.stat().st_mode & 0o077 == 0
    assert len(list(folder.rglob("*.made"))) == 1
    evaluating, training = sorted(folder.rglob("*.code"), key=lambda path: path.stat().st_size)
    sizes = evaluating.with_suffix(".sizes").read_text()

    monkeypatch.setattr(compiled, "_kept", {})  # as in a process of its own
    compare(second, "second process")
    assert [words.partition(" in ")[0] for words in told()[2:]] == ["compiled code loaded"] * 2

    monkeypatch.setattr(
        compiled, "_kept", {}
    )  # code that takes few atoms gets other code beside it
    evaluating.with_suffix(".sizes").write_text(f"{sizes} and L['t0'].size()[0] <= 20")
    compare(second, "other sizes")
    made = [words.partition(" in ")[0] for words in told()[4:]]
    assert made == ["compiled code loaded", "compiled"]
    (other,) = set(folder.rglob("*.code")) - {evaluating, training}
    assert other.with_suffix(".sizes").read_text() == sizes
    assert "<=" in sizes

    monkeypatch.setattr(Artefacts, "file", lambda _self, _described: training)
    monkeypatch.setattr(graph_code, "compiled", refuse)
    foreign = stages(plan, few, cutoff_a=4.0)[0]
    for name, stage, size in (("foreign", foreign, None), ("cut short", first, 1000)):
        monkeypatch.setattr(compiled, "_kept", {})
        training.write_bytes(training.read_bytes()[:size])
        caplog.clear()
        row = run_stage(stage, checkpoint_dir=lambda s: tmp_path / s, compiled=True).row
        assert row["compile_mode"] == "eager", name
        assert "has to be compiled" in caplog.text, name


def refuse(*_: object, **__: object) -> None:
    raise RuntimeError("has to be compiled")


def test_where_others_could_write_code_nothing_is_compiled(
    plan: Plan,
    few: Dataset,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    open_to_all = tmp_path / "cache" / "compiled"
    open_to_all.mkdir(parents=True)
    open_to_all.chmod(0o777)
    heads = {"dft": {"subset": "b", "size": 30, "validation": 8, "forces": False}}
    (stage,) = plan(few, {"heads": heads}, training={"max_steps": 2, "validate_every": 1})
    row = run_stage(stage, checkpoint_dir=lambda s: tmp_path / s, compiled=True).row
    assert row["compile_mode"] == "eager"
    assert "must be this user's alone" in caplog.text
    assert list(open_to_all.iterdir()) == []


def test_a_stage_that_does_not_wait_trains_eagerly_while_its_code_is_made(
    plan: Plan,
    few: Dataset,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    kept: dict[object, object] = {}
    monkeypatch.setattr(compiled, "_kept", kept)
    monkeypatch.setattr(Artefacts, "file", lambda self, _: self.folder / "some.code")
    heads = {"dft": {"subset": "b", "size": 30, "validation": 8, "forces": False}}
    (stage,) = plan(few, {"heads": heads}, training={"max_steps": 2, "validate_every": 1})
    artefacts = Artefacts("")
    artefacts.open()
    with FileLock(artefacts.folder / "some.lock"):
        done = run_stage(stage, checkpoint_dir=lambda s: tmp_path / s, compiled=True, waits=False)
    assert done.row["compile_mode"] == "eager"
    assert "another process is making its code" in caplog.text
    assert kept == {}  # the next stage asks again


def test_code_takes_the_sizes_it_was_made_for() -> None:
    sizes = "L['t1'].size()[0] == L['t0'].size()[0] and 2 <= L['t0'].size()[0]"
    code = graph_code.GraphCode(refuse, sizes, ("positions", "species"))  # type: ignore[arg-type]
    batch = {"positions": torch.zeros(3, 3), "species": torch.zeros(3)}
    assert code.takes(batch)
    assert not code.takes({**batch, "species": torch.zeros(2)})
    assert not code.takes({name: tensor[:1] for name, tensor in batch.items()})
