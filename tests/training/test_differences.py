"""Δ-learning in training: what a difference starts from, is tested by, and says of itself."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase.calculators.singlepoint import SinglePointCalculator

import mfscale
from mfscale.data import Dataset
from mfscale.study import Stage
from mfscale.training import POTENTIAL, StageResult, TrainingError, load_potential
from mfscale.training.header import read_header

Plan = Callable[..., list[Stage]]
Run = Callable[..., StageResult]

DELTA = {"heads": {"cc": {"subset": "a", "size": 40, "validation": 8, "minus": "xtb"}}}


def found(row: dict[str, Any], moment: str, method: str, metric: str, subset: str = "t") -> Any:  # noqa: ANN401
    """One evaluation of the only head: its value (meV, meV/Å) and on how many structures."""
    (evaluation,) = (
        e
        for e in row["evaluations"]
        if (e["moment"], e["method"], e["metric"], e["subset"]) == (moment, method, metric, subset)
        and e["unit"] != "meV/atom"
    )
    return evaluation["value"], evaluation["n"]


def least_squares(composition: np.ndarray, energies: np.ndarray) -> np.ndarray:
    """Element offsets by the normal equations, eV."""
    return np.linalg.pinv(composition.T @ composition) @ composition.T @ energies


def energies_at_the_start(few: Dataset, stage: Stage, structures: np.ndarray) -> np.ndarray:
    """GFN2-xTB plus offsets fitted to CC − xTB on the training labels; nothing is learned yet."""
    train = few.labelled_set("cc - xtb", "a", 40, forces=False, n_validation=8).train
    assert len(train) == stage.heads["cc"].size
    difference = few.energies("cc", train) - few.energies("xtb", train)
    offsets = least_squares(few.composition(train), difference)
    return few.energies("xtb", structures) + few.composition(structures) @ offsets


@pytest.fixture
def stage(few: Dataset, plan: Plan) -> Stage:
    (stage,) = plan(few, DELTA)
    return stage


def test_it_starts_at_the_lower_method_plus_offsets(few: Dataset, stage: Stage, run: Run) -> None:
    row = run(stage).row
    test = few.test_structures()
    both = np.intersect1d(test, few.labelled_structures("cc - xtb"))
    miss = 1e3 * (energies_at_the_start(few, stage, both) - few.energies("cc", both))
    for moment in ("start", "baseline"):
        value, n = found(row, moment, "cc", "energy_mae")
        assert n == len(both) > 0
        assert value == pytest.approx(np.abs(miss).mean(), rel=1e-6)
        value, _ = found(row, moment, "cc", "energy_rmse")
        assert value == pytest.approx(np.sqrt((miss**2).mean()), rel=1e-6)
    kept_back = few.labelled_set("cc - xtb", "a", 40, forces=False, n_validation=8).validation
    miss = 1e3 * (energies_at_the_start(few, stage, kept_back) - few.energies("cc", kept_back))
    value, n = found(row, "start", "cc", "energy_mae", "a/validation")
    assert (value, n) == (pytest.approx(np.abs(miss).mean(), rel=1e-6), 8)
    assert found(row, "end", "cc", "energy_mae")[0] < found(row, "start", "cc", "energy_mae")[0]


def test_against_another_method_it_is_compared_as_totals(
    few: Dataset, stage: Stage, run: Run
) -> None:
    """Energies up to element offsets; forces are those of xTB, to which nothing is added yet."""
    row = run(stage).row
    test = few.test_structures()
    both = np.intersect1d(test, few.labelled_structures("dft - xtb"))
    miss = energies_at_the_start(few, stage, both) - few.energies("dft", both)
    composition = few.composition(both)
    miss = 1e3 * (miss - composition @ least_squares(composition, miss))
    value, n = found(row, "start", "dft", "energy_mae")
    assert (value, n) == (pytest.approx(np.abs(miss).mean(), rel=1e-4), len(both))
    forces = 1e3 * (few.forces("xtb", both).astype(float) - few.forces("dft", both))
    value, _ = found(row, "start", "dft", "forces_mae")
    assert value == pytest.approx(np.abs(forces).mean(), rel=1e-5)
    assert found(row, "start", "xtb", "forces_mae")[0] == 0


def test_errors_are_of_structures_with_both_labels(
    few: Dataset, plan: Plan, run: Run, make_few: Callable[..., Dataset]
) -> None:
    """Of every second test structure the xTB label is taken away."""
    gone = few.test_structures()[::2]

    def forget(arrays: dict[str, np.ndarray]) -> None:
        kept = ~np.isin(arrays["xtb_structure"], gone)
        atoms = np.diff(arrays["xtb_first_force"])
        arrays["xtb_forces"] = arrays["xtb_forces"][kept.repeat(atoms)]
        arrays["xtb_first_force"] = np.concatenate([[0], np.cumsum(atoms[kept])])
        for name in ("structure", "energy", "forces_digest"):
            arrays[f"xtb_{name}"] = arrays[f"xtb_{name}"][kept]

    fewer = make_few(forget)
    result = run(plan(fewer, DELTA)[0])
    both = np.intersect1d(few.test_structures()[1::2], few.labelled_structures("cc"))
    assert found(result.row, "end", "cc", "energy_mae")[1] == len(both)
    (own,) = (part for part in result.errors if part.method == "cc")
    assert sorted(own.structure) == sorted(both)
    assert not np.isin(np.concatenate([part.structure for part in result.errors]), gone).any()
    mean = found(result.row, "end", "cc", "energy_mae")[0]
    assert mean == pytest.approx(np.abs(own.energy_error_mev).mean(), rel=1e-9)


def test_forces_of_a_difference_are_learned(few: Dataset, plan: Plan, run: Run) -> None:
    """DFT − xTB has forces: the validation curve is of their differences."""
    delta = {"heads": {"dft": {"subset": "b", "size": 40, "validation": 8, "minus": "xtb"}}}
    (stage,) = plan(few, delta)
    assert stage.heads["dft"].forces
    result = run(stage)
    labels = few.labelled_set("dft - xtb", "b", 40, forces=True, n_validation=8)
    first = np.abs(few.forces("dft - xtb", labels.validation)).mean()
    assert result.curve[0].validation_forces_mae_mev_per_a == pytest.approx(1e3 * first, rel=1e-5)
    typical = np.sqrt((few.forces("dft - xtb", labels.train).astype(float) ** 2).mean())
    assert result.row["energy_scale_ev"] == pytest.approx(typical, rel=1e-6)
    start, end = (found(result.row, m, "dft", "forces_mae")[0] for m in ("start", "end"))
    assert end < start


def test_row_and_model_say_what_it_is_a_difference_to(
    stage: Stage, run: Run, tmp_path: Path
) -> None:
    row = run(stage).row
    (head,) = row["heads"]
    assert (head["method"], head["minus"], head["inference_cost"]) == ("cc", "xtb", 1)
    assert [labels["minus"] for labels in row["lineage"]] == ["xtb"]
    path = tmp_path / "checkpoints" / stage.id / POTENTIAL
    written = read_header(path, "potential").content["heads"]["cc"]
    assert (written["method"], written["minus"]) == ("cc", "xtb")
    potential, _ = load_potential(path, own_network=True)
    assert potential.heads["cc"].minus == "xtb"


def test_a_difference_goes_on_with_more_labels(few: Dataset, plan: Plan, run: Run) -> None:
    more = {"heads": {"cc": {**DELTA["heads"]["cc"], "size": 60}}}
    parent, child = plan(few, DELTA, more)
    before, row = run(parent).row, run(child).row
    assert row["energy_scale_ev"] == before["energy_scale_ev"]
    assert [labels["minus"] for labels in row["lineage"]] == ["xtb", "xtb"]
    start = found(row, "start", "cc", "energy_mae", "a/validation")[0]
    end = found(before, "end", "cc", "energy_mae", "a/validation")[0]
    assert start == pytest.approx(end, rel=0.2), "offsets are fitted to what is left"


def test_exported_it_answers_on_top_of_the_lower_method(
    few: Dataset, stage: Stage, run: Run, tmp_path: Path
) -> None:
    """Given the xTB labels as a calculator, its errors are those that the stage was tested by."""
    result = run(stage)
    path = tmp_path / "exported.safetensors"
    shutil.copyfile(tmp_path / "checkpoints" / stage.id / POTENTIAL, path)
    (errors,) = (part for part in result.errors if part.method == "cc")
    tested = zip(errors.structure[:3], errors.energy_error_mev[:3], strict=True)
    for structure, error_mev in tested:
        atoms = few.structure(structure)
        (energy,) = few.energies("xtb", [structure])
        forces = few.forces("xtb", [structure]).astype(float)
        low = SinglePointCalculator(atoms.copy(), energy=energy, forces=forces)
        atoms.calc = mfscale.load(path, head="cc", low=low)
        (wanted,) = few.energies("cc", [structure])
        miss_mev = 1e3 * (atoms.get_potential_energy() - wanted)
        assert miss_mev == pytest.approx(error_mev, abs=0.1)  # float32 within
        assert np.isfinite(atoms.get_forces()).all()
    with pytest.raises(TrainingError, match=r"'cc' learned cc minus xtb.* low="):
        mfscale.load(path, head="cc")
