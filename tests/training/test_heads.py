"""Several heads in one step: each learns its own method, and what a study says of it acts."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mfscale.data import Dataset, neighbour_graphs
from mfscale.models import LADDER
from mfscale.study import Stage
from mfscale.training import POTENTIAL, Potential, StageResult, load_potential
from mfscale.training.evaluation import Evaluator
from mfscale.training.samples import Order

Plan = Callable[..., list[Stage]]
Run = Callable[..., StageResult]

XTB = {"subset": "b", "size": 40, "validation": 16}
DFT = {"subset": "b", "size": 40, "validation": 16}
CC = {"subset": "a", "size": 20, "validation": 8}
THREE = {"heads": {"xtb": XTB, "dft": DFT, "cc": CC}}


def error(row: dict[str, Any], head: str, moment: str) -> float:
    """Total-energy MAE of a head against its own method on t, meV."""
    (found,) = (
        e["value"]
        for e in row["evaluations"]
        if (e["head"], e["method"], e["subset"], e["moment"]) == (head, head, "t", moment)
        and (e["metric"], e["unit"]) == ("energy_mae", "meV")
    )
    return float(found)


def potential_of(stage: Stage, folder: Path) -> Potential:
    potential, _ = load_potential(folder / "checkpoints" / stage.id / POTENTIAL, own_network=True)
    return potential


def training_error(few: Dataset, stage: Stage, head: str, folder: Path) -> float:
    """Total-energy MAE of a head on the labels it learned from, eV."""
    spec = stage.heads[head]
    labels = few.labelled_set(
        spec.method,
        spec.subset,
        spec.size,
        forces=spec.forces,
        data_seed=stage.data_seed,
        split=stage.split,
        n_validation=spec.n_validation,
    )
    evaluator = Evaluator(few, neighbour_graphs(few, 5.0), stage.split, torch.device("cpu"))
    predicted = evaluator.predict(potential_of(stage, folder), head, labels.train)
    return float(np.abs(predicted.energies_ev - few.energies(spec.method, labels.train)).mean())


def readout(potential: Potential, head: str) -> list[np.ndarray]:
    module = potential.network.readout(head)
    return [p.detach().numpy().copy() for p in module.parameters()]


def same(one: list[np.ndarray], other: list[np.ndarray]) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("architecture", LADDER)
def test_three_heads_train_together(
    few: Dataset, plan: Plan, run: Run, tmp_path: Path, architecture: str
) -> None:
    """Each starts at its own offsets, 1,000 eV apart, and ends better than them."""
    heads = {"xtb": {**XTB, "size": 100}, "dft": {**DFT, "size": 100}, "cc": {**CC, "size": 80}}
    training = {"max_steps": 100, "learning_rate": 0.01, "batch_size": 24}
    (stage,) = plan(few, {"heads": heads}, model={"architecture": architecture}, training=training)
    row = run(stage).row
    assert [head["name"] for head in row["heads"]] == ["cc", "dft", "xtb"]
    for head in stage.heads:
        assert error(row, head, "start") == pytest.approx(error(row, head, "baseline"), rel=1e-9)
        assert error(row, head, "end") < 0.95 * error(row, head, "start")
    assert row["warnings"] == []
    potential = potential_of(stage, tmp_path)
    assert {name: head.method for name, head in potential.heads.items()} == {
        "cc": "cc",
        "dft": "dft",
        "xtb": "xtb",
    }
    offsets = [head.offsets_ev for head in potential.heads.values()]
    assert min(np.abs(offsets[2] - other).max() for other in offsets[:2]) > 100


def test_each_head_has_a_scale_of_its_own(few: Dataset, plan: Plan, run: Run) -> None:
    """Of its forces, where it learns them; all are in the row."""
    (both,) = plan(few, THREE)
    (dft,) = plan(few, {"heads": {"dft": DFT}})
    (cc,) = plan(few, {"heads": {"cc": CC}})
    scales = {s["head"]: s["energy_scale_ev"] for s in run(both).row["scales"]}
    assert scales["dft"] == run(dft).row["energy_scale_ev"]
    assert scales["cc"] == run(cc).row["energy_scale_ev"]
    assert len(set(scales.values())) == 3


@pytest.mark.parametrize("knob", ["weight", "sampling_ratio"])
def test_weight_and_sampling_ratio_act(
    few: Dataset, plan: Plan, run: Run, tmp_path: Path, knob: str
) -> None:
    """The head that is given more fits its labels better, the other worse; the row has both."""
    missed = {}
    for dft, cc in ((1.0, 30.0), (30.0, 1.0)):
        heads = {"dft": {**DFT, "forces": False, knob: dft}, "cc": {**CC, knob: cc}}
        (stage,) = plan(few, {"heads": heads}, training={"max_steps": 200, "validate_every": 100})
        row = run(stage).row
        assert {h["name"]: h[knob] for h in row["heads"]} == {"dft": dft, "cc": cc}
        missed[dft] = (
            training_error(few, stage, "dft", tmp_path),
            training_error(few, stage, "cc", tmp_path),
        )
    assert missed[30.0][0] < 0.8 * missed[1.0][0]
    assert missed[1.0][1] < 0.8 * missed[30.0][1]


def test_sampling_ratios_are_the_shares_of_the_samples() -> None:
    order = Order([90, 10], [1.0, 3.0], 20, 0)
    seen = np.concatenate([order(step) for step in range(20)])
    assert order.n_samples == 100
    assert (seen >= 90).mean() == 0.75
    # 300 draws of 10 labels, 100 of 90: no label is favoured.
    counts = np.bincount(seen)
    assert set(counts[90:]) == {30}
    assert set(counts[:90]) <= {1, 2}


def test_a_ratio_as_the_numbers_of_labels_draws_as_without() -> None:
    plain, drawn = Order([30, 10], [None, None], 8, 3), Order([30, 10], [3.0, 1.0], 8, 3)
    assert all(np.array_equal(plain(step), drawn(step)) for step in range(12))


def test_forces_of_one_head_are_no_labels_of_another(few: Dataset, plan: Plan, run: Run) -> None:
    """A batch mixes structures with and without forces; the curve is of those that have them."""
    (stage,) = plan(few, {"heads": {"dft": DFT, "cc": CC}})
    result = run(stage)
    assert all(np.isfinite(point.validation_forces_mae_mev_per_a) for point in result.curve)
    assert result.row["stop_reason"] == "cap"


def test_kept_heads_stay_and_dropped_ones_go(
    few: Dataset, plan: Plan, run: Run, tmp_path: Path
) -> None:
    heads = {"cc": {**CC, "inherit": "dft"}, "dft": "keep", "xtb": "drop"}
    training = {"weight_decay": 0.1}
    parent, child = plan(few, THREE, {"heads": heads}, training=training)
    run(parent)
    row = run(child).row
    assert row["kept_heads"] == [{"name": "dft", "method": "dft"}]
    before, after = potential_of(parent, tmp_path), potential_of(child, tmp_path)
    assert set(after.heads) == {"cc", "dft"}
    assert same(readout(before, "dft"), readout(after, "dft"))
    assert not same(readout(after, "cc"), readout(after, "dft"))
    np.testing.assert_array_equal(before.heads["dft"].offsets_ev, after.heads["dft"].offsets_ev)
    # The backbone moved under the kept readout, and its errors are in the row.
    assert error(row, "dft", "start") != error(row, "dft", "end")
    assert row["n_trainable"] == row["n_parameters"] - sum(p.size for p in readout(after, "dft"))


def test_a_fresh_head_starts_at_offsets_of_its_own(
    few: Dataset, plan: Plan, run: Run, tmp_path: Path
) -> None:
    heads = {"cc": {**CC, "inherit": "fresh"}, "dft": "keep"}
    parent, child = plan(few, {"heads": {"dft": DFT}}, {"heads": heads, "trainable": "readout"})
    run(parent)
    row = run(child).row
    assert error(row, "cc", "start") == pytest.approx(error(row, "cc", "baseline"), rel=1e-9)
    # On a frozen backbone the kept head answers as before.
    assert error(row, "dft", "start") == error(row, "dft", "end")
    scales = {s["head"]: s["energy_scale_ev"] for s in row["scales"]}
    assert scales["dft"] == potential_of(parent, tmp_path).heads["dft"].energy_scale_ev
    assert scales["cc"] != scales["dft"]


def test_replay_goes_on_with_both_heads(few: Dataset, plan: Plan, run: Run) -> None:
    """The new head inherits from the old one, which goes on learning at a tenth of the weight."""
    old = {"heads": {"dft": DFT}}
    new = {"heads": {"cc": CC, "dft": {**DFT, "size": 20, "weight": 0.1}}}
    parent, child = plan(few, old, new)
    before = run(parent).row
    row = run(child).row
    # Offsets are refitted to 20 labels, which moves the start by little.
    assert error(row, "dft", "start") == pytest.approx(error(before, "dft", "end"), rel=0.05)
    assert error(row, "cc", "start") < error(row, "cc", "baseline")
    assert {h["name"]: h["inherit"] for h in row["heads"]} == {"cc": "dft", "dft": "dft"}
