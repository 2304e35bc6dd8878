"""Plans without data and for GPUs: what they show, and where they stop."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from mfscale.cli import app
from mfscale.cli.study import expand_file
from mfscale.data import open_dataset
from tests.cli.conftest import Command, answer, assert_one_message

Call = Callable[..., Result]
ROOT = Path(__file__).parents[2]
SWEEPS = sorted((ROOT / "sweeps" / "ani1ccx").glob("*.yaml"))
PAGE = (ROOT / "docs" / "planning.md").read_text(encoding="utf-8")
PAGE_ROWS = {found[1]: found[0] for found in re.finditer(r"^\| `(\w+)` \|.*$", PAGE, re.MULTILINE)}
STUDY = """
dataset: ani1ccx
model: {architecture: allegro, size: medium}
training: {max_steps: 1000, batch_size: 100}
strategies: {direct: [{heads: {cc: {subset: a, size: [100, 80000], validation: 1000}}}]}
"""


@pytest.fixture
def study(tmp_path: Path) -> Path:
    path = tmp_path / "planned.yaml"
    path.write_text(STUDY)
    return path


@pytest.mark.parametrize("path", SWEEPS, ids=lambda path: path.stem)
def test_shipped_studies_of_ani1ccx_are_planned(call: Call, path: Path, tmp_path: Path) -> None:
    plan = answer(call("plan", path, "--gpus", 4, "--json", "--store", tmp_path / "none"))
    assert plan["to_run"] == plan["stages"] > 0
    assert plan["gpu_hours"] * 3600 / 4 <= plan["estimate_s"] * (1 + 1e-9)
    assert "assumed, not measured" in plan["estimate_basis"]
    assert f"| {plan['stages']} | {plan['gpu_hours']:.0f} |" in PAGE_ROWS[path.stem]
    trials = sum(choice["trials"] for choice in plan["choices_to_make"])
    assert f"| {trials} |" in PAGE_ROWS[path.stem]
    assert plan["waiting_for_choices"] == plan["stages"]


def test_studies_of_ani1ccx_share_their_pretraining(tmp_path: Path) -> None:
    """All stages wait for choices, and are compared as they would be untuned."""
    graphs = {path.stem: expand_file(path, tmp_path) for path in SWEEPS}
    assert len(graphs) == 8
    ids = {name: {stage.id for stage in graph.waiting} for name, graph in graphs.items()}
    for name, graph in graphs.items():
        parents = [stage.parent_id for stage in graph.waiting if stage.parent_id]
        # Fixed-cost mixes pair every pre-training with one fine-tuning.
        assert (len(parents) > len(set(parents))) == (name != "replacement")
        assert ids[name].issuperset(parents)
        assert {stage.seed for stage in graph.waiting} == {0, 1, 2}
    for other in ("fig4", "fig5", "forces", "frozen", "multihead", "replacement"):
        assert ids["fig3"] & ids[other], other


def test_gpu_hours_are_stated_with_their_basis(call: Call, study: Path, tmp_path: Path) -> None:
    none = tmp_path / "none"
    plan = answer(call("plan", study, "--gpus", 1, "--gpu-cores", 10, "--json", "--store", none))
    # Reference rate of one core 495 structures/s of 7.1 atoms, here of 14; the test subset of
    # 100,000 twice, at twice that rate.
    rate = 10 * 495 * 7.1 / 14
    each = 2 + 1000 * 100 / rate + 2 * 100_000 / (2 * rate)
    assert plan["gpu_hours"] == pytest.approx(2 * each / 3600)
    assert plan["estimate_s"] == pytest.approx(2 * each)
    shown = call("plan", study, "--gpus", 2, "--store", none).stdout
    assert "GPU-hours" in shown
    assert "on 2 GPUs" in shown
    assert "as fast as 32 of them, which is assumed, not measured" in shown
    assert answer(call("plan", study, "--json", "--store", none))["gpu_hours"] is None


def test_gpu_cores_without_gpus_are_refused(study: Path) -> None:
    refused = CliRunner().invoke(app, ["plan", str(study), "--gpu-cores", "8"])
    assert refused.exit_code == 2
    assert "goes with --gpus" in refused.output


@pytest.mark.parametrize(
    "command", [["run"], ["retry"], ["adopt", "0", "--from", "x"]], ids=lambda c: c[0]
)
def test_what_needs_data_says_that_there_are_none(
    mfscale_here: Command, study: Path, tmp_path: Path, command: list[str]
) -> None:
    name, *rest = command
    refused = mfscale_here(name, study, *rest, "--store", tmp_path / "store")
    assert_one_message(
        refused, "planned", "ani1ccx is known by its counts alone", "import the data"
    )
    assert not (tmp_path / "store").exists()


def test_more_labels_than_are_counted_are_refused(mfscale_here: Command, study: Path) -> None:
    study.write_text(STUDY.replace("80000", "90001"))
    assert_one_message(mfscale_here("plan", study), "asks for 90001", "ani1ccx has 90000")


def test_a_directory_of_the_name_is_the_dataset(
    mfscale_here: Command, study: Path, tmp_path: Path
) -> None:
    (tmp_path / "ani1ccx").symlink_to(open_dataset("chno3").path)
    assert_one_message(mfscale_here("plan", study), "validation: asks for 1000", "has 77")


def test_counts_are_described(mfscale_here: Command) -> None:
    shown = mfscale_here("data", "describe", "ani1ccx")
    assert shown.status == 0
    assert "No data are here" in shown.out
    assert "157500 + 17500" in shown.out
    assert "assumed" in shown.out


def test_counts_are_described_to_scripts(call: Call) -> None:
    described = answer(call("data", "describe", "ani1ccx", "--json"))
    assert described["data"] is False
    assert described["labels_of_each_method"]["b"] == {"training": 157500, "validation": 17500}
