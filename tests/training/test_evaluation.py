"""Errors of a head: across methods after alignment, within its own method as they are."""

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest
import torch

from mfscale.data import Dataset, LabelledSet, neighbour_graphs
from mfscale.study import Stage
from mfscale.training import POTENTIAL, Potential, TrainingError, load_potential, run_stage
from mfscale.training.evaluation import CHUNK, Evaluation, Evaluator, StructureErrors

Plan = Callable[..., list[Stage]]
MakeFew = Callable[[Callable[[dict[str, np.ndarray]], None]], Dataset]
Errors = tuple[list[Evaluation], list[StructureErrors]]

DFT = {"heads": {"dft": {"subset": "b", "size": 60, "validation": 16}}}
PER_ELEMENT_EV = np.array([3.0, -50.0, 20.0, 7.0])


@pytest.fixture(scope="module")
def potential(few: Dataset, plan: Plan, tmp_path_factory: pytest.TempPathFactory) -> Potential:
    """Trained a little on DFT labels."""
    (stage,) = plan(few, DFT)
    folder = tmp_path_factory.mktemp("potential")
    run_stage(stage, checkpoint_dir=lambda stage_id: folder / stage_id)
    return load_potential(folder / stage.id / POTENTIAL, own_network=True)[0]


def labelled_set(dataset: Dataset) -> LabelledSet:
    return dataset.labelled_set("dft", "b", 60, forces=True, n_validation=16)


def evaluator(dataset: Dataset) -> Evaluator:
    return Evaluator(dataset, neighbour_graphs(dataset, 5.0), "random", torch.device("cpu"))


def evaluate(dataset: Dataset, potential: Potential) -> Errors:
    return evaluator(dataset).evaluate(potential, {"dft": labelled_set(dataset)}, "end")


def value(found: list[Evaluation], method: str, metric: str, unit: str) -> float:
    (entry,) = (
        e for e in found if (e.subset, e.method, e.metric, e.unit) == ("t", method, metric, unit)
    )
    return entry.value


def test_another_method_is_aligned_by_least_squares(few: Dataset, potential: Potential) -> None:
    """Against CC: the residual of the normal equations of the difference, by element."""
    found, _ = evaluate(few, potential)
    test = np.intersect1d(few.test_structures(), few.labelled_structures("cc"))
    predicted = evaluator(few).predict(potential, "dft", test).energies_ev
    counts = few.composition(test)
    difference = predicted - few.energies("cc", test)
    shift = np.linalg.solve(counts.T @ counts, counts.T @ difference)
    misses = 1e3 * (difference - counts @ shift)
    assert value(found, "cc", "energy_mae", "meV") == pytest.approx(np.abs(misses).mean())
    assert value(found, "cc", "energy_rmse", "meV/atom") == pytest.approx(
        np.sqrt(np.mean((misses / counts.sum(axis=1)) ** 2))
    )


def test_the_own_method_is_compared_as_it_is(few: Dataset, potential: Potential) -> None:
    found, _ = evaluate(few, potential)
    test = np.intersect1d(few.test_structures(), few.labelled_structures("dft"))
    predicted = evaluator(few).predict(potential, "dft", test)
    energies = 1e3 * (predicted.energies_ev - few.energies("dft", test))
    forces = 1e3 * (predicted.forces_ev_a - few.forces("dft", test))
    assert value(found, "dft", "energy_mae", "meV") == pytest.approx(np.abs(energies).mean())
    assert value(found, "dft", "forces_mae", "meV/Å") == pytest.approx(np.abs(forces).mean())
    assert value(found, "dft", "forces_rmse", "meV/Å") == pytest.approx(
        np.sqrt(np.square(forces).mean())
    )


def test_only_offsets_of_other_methods_are_forgiven(
    few: Dataset, make_few: MakeFew, potential: Potential
) -> None:
    """A shift per element of CC and xTB labels changes nothing; one of the head's own does."""

    def shift(method: str) -> Callable[[dict[str, np.ndarray]], None]:
        def change(arrays: dict[str, np.ndarray]) -> None:
            labelled = arrays[f"{method}_structure"]
            arrays[f"{method}_energy"] += few.composition(labelled) @ PER_ELEMENT_EV

        return change

    before, _ = evaluate(few, potential)
    for method in ("cc", "xtb"):
        after, _ = evaluate(make_few(shift(method)), potential)
        assert [e.value for e in after] == pytest.approx([e.value for e in before], rel=1e-6)
    after, _ = evaluate(make_few(shift("dft")), potential)
    assert value(after, "dft", "energy_mae", "meV") > 1e4


def test_errors_of_structures_average_to_the_error_reported(
    few: Dataset, potential: Potential
) -> None:
    found, parts = evaluate(few, potential)
    assert [(part.head, part.method) for part in parts] == [("dft", m) for m in few.methods]
    for method, own in zip(few.methods, parts, strict=True):
        expected = np.intersect1d(few.test_structures(), few.labelled_structures(method))
        assert own.structure.tolist() == expected.tolist()
        assert own.n_atoms.tolist() == few.n_atoms(expected).tolist()
        assert np.abs(own.energy_error_mev).mean() == pytest.approx(
            value(found, method, "energy_mae", "meV")
        )
        if method == "cc":
            assert own.forces_mae_mev_per_a is None
        else:
            assert own.forces_mae_mev_per_a is not None
            mean = np.average(own.forces_mae_mev_per_a, weights=own.n_atoms)
            assert mean == pytest.approx(value(found, method, "forces_mae", "meV/Å"))


def test_predictions_do_not_depend_on_what_is_predicted_beside(
    few: Dataset, potential: Potential
) -> None:
    """More structures than one chunk holds, in any order; float32 resolves about 1e-6 eV."""
    structures = np.random.default_rng(0).permutation(few.n_structures)[: CHUNK + 20]
    predict = evaluator(few).predict
    together = predict(potential, "dft", structures).energies_ev
    alone = [predict(potential, "dft", structures[[i]]).energies_ev[0] for i in (0, CHUNK, -1)]
    assert together[[0, CHUNK, -1]] == pytest.approx(alone, abs=1e-5)


def test_totals_keep_what_float32_would_lose(few: Dataset, potential: Potential) -> None:
    """Two offsets 10 µeV apart at 1e6 eV, where float32 resolves 60 meV."""
    (head,) = potential.heads.values()
    structures = np.arange(5)

    def shifted(by_ev: float) -> np.ndarray:
        moved = dataclasses.replace(head, offsets_ev=head.offsets_ev + by_ev)
        moved_potential = dataclasses.replace(potential, heads={"dft": moved})
        return evaluator(few).predict(moved_potential, "dft", structures).energies_ev

    difference = shifted(1e6 + 1e-5) - shifted(1e6)
    assert difference == pytest.approx(1e-5 * few.n_atoms(structures), rel=1e-3)


def test_a_head_that_is_not_there_is_named(few: Dataset, potential: Potential) -> None:
    with pytest.raises(TrainingError, match=r"no head 'cc'; it has: dft"):
        evaluator(few).predict(potential, "cc", np.array([0]))
