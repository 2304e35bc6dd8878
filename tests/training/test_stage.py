"""A stage from labels to row: what it starts from, how it ends, and what it writes down."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from mfscale.data import Dataset
from mfscale.results import CURVE_SCHEMA, SCHEMA, Store, errors_table
from mfscale.study import Stage
from mfscale.training import POTENTIAL, StageResult, TrainingError, load_potential

Plan = Callable[..., list[Stage]]
Run = Callable[..., StageResult]
Arrays = dict[str, np.ndarray]

CC = {"heads": {"cc": {"subset": "a", "size": 16, "validation": 8}}}
DFT = {"heads": {"dft": {"subset": "b", "size": 60, "validation": 16}}}
BY_DRIVER = {"attempt", "log_file", "gpu_share"}
"""Fields that whoever runs the stage adds."""


def errors(row: dict[str, Any], moment: str, subset: str = "t") -> dict[tuple[str, ...], float]:
    return {
        (e["head"], e["method"], e["metric"], e["unit"]): e["value"]
        for e in row["evaluations"]
        if (e["moment"], e["subset"]) == (moment, subset)
    }


def test_a_result_fits_the_store(few: Dataset, plan: Plan, run: Run, tmp_path: Path) -> None:
    (stage,) = plan(few, DFT)
    result = run(stage)
    store = Store(tmp_path / "store", create=True)
    store.publish({**result.row, "attempt": 0})
    curve = pa.Table.from_pylist(
        [dataclasses.asdict(point) for point in result.curve], CURVE_SCHEMA
    )
    store.publish_curve(stage.id, curve)
    store.publish_errors(stage.id, errors_table(map(vars, result.errors)))
    assert store.row(stage.id) == {**dict.fromkeys(BY_DRIVER), **result.row, "attempt": 0}
    assert set(result.row) == set(SCHEMA.names) - BY_DRIVER
    assert store.curve(stage.id)["step"].to_pylist() == [0, 10, 20]
    written = store.errors(stage.id).to_pandas()
    assert [*written.groupby(["head", "method"], sort=False).groups] == [
        (part.head, part.method) for part in result.errors
    ]
    for part in result.errors:
        rows = written[written["method"] == part.method]
        for name in ("structure", "n_atoms", "energy_error_mev"):
            np.testing.assert_array_equal(rows[name], getattr(part, name))
        if part.forces_mae_mev_per_a is None:
            assert rows["forces_mae_mev_per_a"].isna().all()
        else:
            np.testing.assert_array_equal(rows["forces_mae_mev_per_a"], part.forces_mae_mev_per_a)


@pytest.mark.parametrize("step", [CC, DFT])
def test_a_root_starts_at_its_element_offsets_and_improves(
    few: Dataset, plan: Plan, run: Run, step: dict[str, Any]
) -> None:
    (stage,) = plan(few, step)
    row = run(stage).row
    (head,) = stage.heads.values()
    for subset in ("t", f"{head.subset}/validation"):
        baseline, start = errors(row, "baseline", subset), errors(row, "start", subset)
        assert baseline
        assert {key: start[key] for key in baseline} == pytest.approx(baseline, rel=1e-9)
    key = (head.method, head.method, "energy_mae", "meV")
    assert errors(row, "end")[key] < 0.95 * errors(row, "start")[key]
    assert row["warnings"] == []


def test_every_head_meets_every_method(few: Dataset, plan: Plan, run: Run) -> None:
    """Energies against all three on t, forces against the two that have them, also after CC."""
    row = run(plan(few, CC)[0]).row
    end = errors(row, "end")
    assert {key[1] for key in end if key[2] == "energy_mae"} == {"xtb", "dft", "cc"}
    assert {key[1] for key in end if key[2] == "forces_mae"} == {"xtb", "dft"}
    counts = {e["method"]: e["n"] for e in row["evaluations"] if e["subset"] == "t"}
    test = few.test_structures()
    assert counts == {
        method: len(np.intersect1d(test, few.labelled_structures(method))) for method in few.methods
    }


def test_a_run_to_the_cap_counts_its_steps(few: Dataset, plan: Plan, run: Run) -> None:
    (stage,) = plan(few, CC, training={"max_steps": 25, "validate_every": 10, "batch_size": 6})
    result = run(stage)
    assert result.row["stop_reason"] == "cap"
    assert result.row["steps"] == 25
    assert result.row["samples_seen"] == 25 * 6
    assert [point.step for point in result.curve] == [0, 10, 20, 25]
    assert [point.epoch for point in result.curve] == pytest.approx(
        [0, 60 / 16, 120 / 16, 150 / 16]
    )
    best = min(result.curve, key=lambda point: point.validation_loss)
    assert result.row["steps_to_best"] == best.step
    assert result.row["best_validation_loss"] == best.validation_loss


def test_a_batch_never_exceeds_the_labels(few: Dataset, plan: Plan, run: Run) -> None:
    row = run(plan(few, CC, training={"batch_size": 1000})[0]).row
    assert row["samples_seen"] == 20 * 16


def test_a_run_that_cannot_improve_stops_at_a_plateau(few: Dataset, plan: Plan, run: Run) -> None:
    """With a rate of 1e-30 the readout stays at zero to float32's resolution of the loss."""
    row = run(plan(few, CC, training={"learning_rate": 1e-30, "patience": 1})[0]).row
    assert (row["stop_reason"], row["converged"]) == ("plateau", True)
    assert (row["steps"], row["steps_to_best"]) == (10, 0)
    assert any("training brought nothing" in warning for warning in row["warnings"])


def test_divergence_is_a_result(few: Dataset, plan: Plan, run: Run, tmp_path: Path) -> None:
    (stage,) = plan(few, DFT, training={"learning_rate": 1e30, "warmup_steps": 0})
    result = run(stage)
    assert result.row["status"] == result.row["stop_reason"] == "diverged"
    assert "NaN" in result.row["reason"]
    assert not result.row["converged"]
    assert {e["moment"] for e in result.row["evaluations"]} == {"baseline", "start"}
    assert result.errors == []
    assert not list(tmp_path.rglob(POTENTIAL))
    store = Store(tmp_path / "store", create=True)
    store.publish({**result.row, "attempt": 0})
    assert store.statuses() == {stage.id: "diverged"}


@pytest.mark.parametrize(
    "trainable", ["all", "readout", {"freeze_blocks": 1}, {"lora": 2}], ids=str
)
def test_a_child_goes_on_from_its_parent(
    few: Dataset, plan: Plan, run: Run, tmp_path: Path, trainable: str | dict[str, int]
) -> None:
    parent, child = plan(few, DFT, {**CC, "trainable": trainable})
    before = run(parent).row
    row = run(child).row
    assert (row["parent_id"], row["root_id"], row["step"]) == (parent.id, parent.id, 1)
    assert [labels["method"] for labels in row["lineage"]] == ["dft", "cc"]
    for total, own in (
        ("total_samples_seen", "samples_seen"),
        ("total_train_time_s", "train_time_s"),
    ):
        assert before[total] == before[own]
        assert row[total] == pytest.approx(before[own] + row[own])
    assert row["energy_scale_ev"] == before["energy_scale_ev"]
    assert row["mean_neighbours"] == before["mean_neighbours"]
    old, new = (
        load_potential(tmp_path / "checkpoints" / s.id / POTENTIAL, own_network=True)[0].network
        for s in (parent, child)
    )
    same = all(
        np.array_equal(one.detach(), other.detach())
        for one, other in zip(old.backbone.parameters(), new.backbone.parameters(), strict=True)
    )
    assert same == (trainable == "readout")
    old_readout, new_readout = (
        next(p for p in n.readouts.parameters() if p.numel()).detach() for n in (old, new)
    )
    assert not np.array_equal(old_readout, new_readout)
    whole = row["n_trainable"] == row["n_parameters"]
    assert whole == (trainable == "all")


def test_totals_go_back_to_the_root(few: Dataset, plan: Plan, run: Run) -> None:
    xtb = {"heads": {"xtb": {"subset": "b", "size": 16, "validation": 8}}}
    stages = plan(few, xtb, DFT, CC, training={"max_steps": 2, "validate_every": 1})
    rows = [run(stage).row for stage in stages]
    assert [row["total_samples_seen"] for row in rows] == [16, 32, 48]
    assert rows[-1]["total_train_time_s"] == pytest.approx(sum(r["train_time_s"] for r in rows))
    assert [labels["step"] for labels in rows[-1]["lineage"]] == [0, 1, 2]


def test_the_weight_of_a_head_acts_and_is_stored(few: Dataset, plan: Plan, run: Run) -> None:
    """Before the first step, losses of weight 4 are those of weight 1 fourfold."""
    heavy = {"heads": {"cc": {**CC["heads"]["cc"], "weight": 4.0}}}
    one, four = (run(plan(few, step)[0]) for step in (CC, heavy))
    assert four.curve[0].validation_loss == pytest.approx(4 * one.curve[0].validation_loss)
    assert [result.row["heads"][0]["weight"] for result in (one, four)] == [1.0, 4.0]


def test_a_fresh_readout_on_an_old_backbone_starts_at_the_offsets(
    few: Dataset, plan: Plan, run: Run
) -> None:
    fresh = {"heads": {"dft": {**CC["heads"]["cc"], "inherit": "fresh", "forces": False}}}
    parent, child = plan(few, DFT, fresh)
    run(parent)
    row = run(child).row
    baseline = errors(row, "baseline")
    assert {key: errors(row, "start")[key] for key in baseline} == pytest.approx(baseline, rel=1e-9)


def test_fine_tuning_on_another_scale_starts_ahead_of_offsets_alone(
    few: Dataset, plan: Plan, run: Run
) -> None:
    """GFN2-xTB and all-electron CC totals lie hundreds of eV apart."""
    xtb = {"heads": {"xtb": {"subset": "b", "size": 200, "validation": 8}}}
    parent, child = plan(few, xtb, CC, training={"max_steps": 60})
    run(parent)
    row = run(child).row
    key = ("cc", "cc", "energy_mae", "meV")
    both = few.labelled_structures("cc")
    apart = few.energies("cc", both) - few.energies("xtb", both)
    assert np.abs(apart).min() > 300
    assert errors(row, "start")[key] < 0.9 * errors(row, "baseline")[key]
    assert row["warnings"] == []


def test_a_start_worse_than_offsets_alone_is_told(few: Dataset, plan: Plan, run: Run) -> None:
    """A parent that saw forces alone leaves energies adrift; residual offsets catch them."""
    adrift = {**DFT, "training": {"energy_weight": 0.0, "learning_rate": 0.3, "max_steps": 30}}
    for offsets in ("labels", "residuals"):
        parent, child = plan(few, adrift, {**CC, "training": {"offsets": offsets}})
        run(parent)
        row = run(child).row
        key = ("cc", "cc", "energy_mae", "meV")
        worse = errors(row, "start")[key] > errors(row, "baseline")[key]
        assert bool(row["warnings"]) == worse
        if offsets == "labels":
            assert worse
            (message,) = row["warnings"]
            assert "head cc" in message
            assert f"{errors(row, 'baseline')[key]:.0f} meV" in message


def test_float64_agrees_with_float32_on_where_it_starts(few: Dataset, plan: Plan, run: Run) -> None:
    rows = [run(plan(few, DFT, model={"dtype": t})[0]).row for t in ("float32", "float64")]
    single, double = (errors(row, "end") for row in rows)
    assert [row["dtype"] for row in rows] == ["float32", "float64"]
    assert errors(rows[0], "start") == pytest.approx(errors(rows[1], "start"), rel=1e-6)
    assert single.keys() == double.keys()


def test_equal_stages_give_equal_results_and_other_seeds_others(
    few: Dataset, plan: Plan, run: Run, reproducible: Callable[[StageResult], Any]
) -> None:
    (stage,) = plan(few, DFT)
    one, two = run(stage, folder="one"), run(stage, folder="two")
    assert reproducible(one) == reproducible(two)
    other = run(plan(few, DFT, seed=1)[0])
    assert errors(other.row, "end") != errors(one.row, "end")


def test_labels_that_changed_since_planning_are_refused(
    few: Dataset, make_few: Callable[..., Dataset], plan: Plan, run: Run
) -> None:
    def improve(arrays: Arrays) -> None:
        arrays["cc_energy"] += 1e-6

    (stage,) = plan(few, CC)
    changed = stage.model_copy(update={"dataset": str(make_few(improve).path)})
    with pytest.raises(TrainingError, match=r"other labels for \(cc; a; 16\)"):
        run(changed)


def test_a_cutoff_shorter_than_every_bond_is_refused(few: Dataset, plan: Plan, run: Run) -> None:
    with pytest.raises(TrainingError, match="larger cutoff_a"):
        run(plan(few, CC, model={"cutoff_a": 0.51})[0])


def test_a_parent_without_a_potential_is_named(few: Dataset, plan: Plan, run: Run) -> None:
    parent, child = plan(few, DFT, CC)
    with pytest.raises(TrainingError, match=parent.id):
        run(child)


def test_validation_in_parts_is_validation_as_a_whole(
    few: Dataset, plan: Plan, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Large validation sets do not fit a GPU at once."""
    heads = {**DFT["heads"], **CC["heads"]}
    (stage,) = plan(few, {"heads": heads})
    whole = run(stage, folder="whole").curve
    monkeypatch.setattr("mfscale.training.run.CHUNK", 7)
    parts = run(stage, folder="parts").curve
    for one, other in zip(whole, parts, strict=True):
        assert other.validation_loss == pytest.approx(one.validation_loss, rel=1e-5)
        assert other.validation_forces_mae_mev_per_a == pytest.approx(
            one.validation_forces_mae_mev_per_a, rel=1e-5
        )
