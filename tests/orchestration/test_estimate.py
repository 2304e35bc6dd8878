"""Estimates of time: sums done by hand, from what a store has measured or else from references."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mfscale.orchestration import Extent, Rates, kind_of, rates, wall_time, work_time
from mfscale.results import SCHEMA, Store
from mfscale.study import Head, Hyperparameters, Model, Stage

ENERGIES = ("nequip", "tiny", "float32", False)
FORCES = ("nequip", "tiny", "float32", True)
REFERENCE = {ENERGIES: 3000.0, FORCES: 1000.0, ("nequip", "large", "float32", True): 40.0}


def stage(
    stage_id: str = "s",
    parent: str | None = None,
    *,
    steps: int = 100,
    batch: int = 30,
    labels: int = 500,
    forces: bool = False,
    size: str = "tiny",
) -> Stage:
    """Make a stage that differs where it matters to its duration."""
    head = Head(
        method="dft",
        subset="b",
        size=labels,
        n_validation=8,
        forces=forces,
        weight=1.0,
        sampling_ratio=None,
        inherit=None,
        digest="00",
    )
    model = Model(architecture="nequip", size=size, settings={}, dtype="float32", cutoff_a=5.0)
    return Stage(
        id=stage_id,
        parent_id=parent,
        root_id=parent or stage_id,
        step=1 if parent else 0,
        dataset="toy",
        split="random",
        model=model,
        heads={"dft": head},
        kept=(),
        lineage=(),
        trainable="all",
        hyperparameters=Hyperparameters(learning_rate=0.01, max_steps=steps, batch_size=batch),
        seed=0,
        data_seed=0,
    )


Finish = Callable[..., None]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store", create=True)


@pytest.fixture
def finish(store: Store) -> Finish:
    """Publish a row with what an estimate reads."""

    def publish(
        stage_id: str,
        samples: int,
        train_s: float,
        wall_s: float,
        status: str = "finished",
        **more: object,
    ) -> None:
        head = {"name": "dft", "method": "dft", "subset": "b", "size": 9, "forces": True}
        store.publish(
            {
                "stage_id": stage_id,
                "attempt": 0,
                "status": status,
                "purpose": "science",
                "architecture": "nequip",
                "size": "tiny",
                "dtype": "float32",
                "heads": [head],
                "samples_seen": samples,
                "train_time_s": train_s,
                "wall_time_s": wall_s,
                **more,
            }
        )

    return publish


def test_before_anything_is_measured_the_reference_counts() -> None:
    found = rates(SCHEMA.empty_table(), REFERENCE)
    # 100 steps of 30 structures at 1000 structures/s, and two seconds of overhead.
    assert found.seconds(stage(forces=True)) == pytest.approx(2 + 100 * 30 / 1000)
    assert found.seconds(stage(forces=False)) == pytest.approx(2 + 100 * 30 / 3000)
    assert "reference" in found.basis


def test_what_the_store_has_measured_goes_before_the_reference(
    store: Store, finish: Finish
) -> None:
    finish("a", samples=3000, train_s=10.0, wall_s=11.0)
    finish("b", samples=1000, train_s=10.0, wall_s=13.0)
    finish("c", samples=9999, train_s=0.1, wall_s=99.0, status="failed")
    found = rates(store.table(), REFERENCE)
    # 4000 structures in 20 s; one and three seconds of overhead.
    assert found.seconds(stage(forces=True)) == pytest.approx(2 + 100 * 30 / 200)
    # Nothing of this kind is measured yet, but the overhead is.
    assert found.seconds(stage(forces=False)) == pytest.approx(2 + 100 * 30 / 3000)
    assert "the 2 stages already measured" in found.basis


def test_a_batch_holds_no_more_than_there_is() -> None:
    found = rates(SCHEMA.empty_table(), REFERENCE)
    assert found.seconds(stage(labels=10)) == pytest.approx(2 + 100 * 10 / 3000)


def test_an_unknown_kind_is_taken_to_be_slow() -> None:
    found = rates(SCHEMA.empty_table(), REFERENCE)
    unknown = stage(size="gigantic")
    assert kind_of(unknown) not in REFERENCE
    assert found.seconds(unknown) == found.seconds(stage(size="large", forces=True))


def test_stages_that_finished_without_training_measure_no_speed(
    store: Store, finish: Finish
) -> None:
    finish("a", samples=0, train_s=0.0, wall_s=1.0)
    assert rates(store.table(), REFERENCE).seconds(stage(forces=True)) == pytest.approx(1 + 3)


def test_larger_structures_take_longer() -> None:
    twice = {("toy", "random"): Extent(mean_atoms=14.2, n_test=0)}
    found = rates(SCHEMA.empty_table(), REFERENCE, extents=twice)
    # The reference's structures have 7.1 atoms.
    assert found.seconds(stage(forces=True)) == pytest.approx(2 + 100 * 30 / 500)


def test_every_head_is_evaluated_on_the_test_subset_twice() -> None:
    some = {("toy", "random"): Extent(mean_atoms=7.1, n_test=9000)}
    found = rates(SCHEMA.empty_table(), REFERENCE, extents=some)
    # 2 × 9000 structures at twice the 3000 per second of training on energies: 3 s a head.
    assert found.seconds(stage(forces=True)) == pytest.approx(2 + 3 + 3)
    beside = stage(forces=True).model_copy(update={"kept": ("xtb",)})
    assert found.seconds(beside) == pytest.approx(2 + 3 + 6)


def test_what_was_measured_elsewhere_is_scaled_to_the_structures_planned(
    store: Store, finish: Finish
) -> None:
    finish("a", samples=4000, train_s=20.0, wall_s=21.0, dataset="small", split="random")
    sizes = {
        ("small", "random"): Extent(mean_atoms=3.55, n_test=0),
        ("toy", "random"): Extent(mean_atoms=7.1, n_test=0),
    }
    found = rates(store.table(), REFERENCE, extents=sizes)
    # 200 structures/s of half the atoms are 100 of these.
    assert found.seconds(stage(forces=True)) == pytest.approx(1 + 100 * 30 / 100)


def test_a_measured_overhead_does_not_count_the_evaluation_again(
    store: Store, finish: Finish
) -> None:
    finish("a", samples=4000, train_s=20.0, wall_s=27.0, dataset="toy", split="random")
    some = {("toy", "random"): Extent(mean_atoms=7.1, n_test=9000)}
    found = rates(store.table(), REFERENCE, extents=some)
    # 7 s besides training were 3 s of evaluation and 4 s of overhead.
    assert found.seconds(stage(forces=True)) == pytest.approx(4 + 3 + 100 * 30 / 200)


def test_a_gpu_counts_as_so_many_cores_until_one_is_measured(store: Store, finish: Finish) -> None:
    nothing = rates(SCHEMA.empty_table(), REFERENCE, gpu_cores=10)
    assert nothing.seconds(stage(forces=True)) == pytest.approx(2 + 100 * 30 / 10_000)
    assert "as fast as 10 of them, which is assumed, not measured" in nothing.basis

    finish("a", samples=4000, train_s=20.0, wall_s=21.0, device="cpu (x86_64)")
    on_cores = rates(store.table(), REFERENCE, gpu_cores=10)
    assert on_cores.seconds(stage(forces=True)) == pytest.approx(1 + 100 * 30 / 2000)
    assert "the 1 stages measured on CPU cores" in on_cores.basis
    assert "assumed, not measured" in on_cores.basis

    finish("b", samples=9000, train_s=3.0, wall_s=8.0, device="Some GPU")
    measured = rates(store.table(), REFERENCE, gpu_cores=10)
    assert measured.seconds(stage(forces=True)) == pytest.approx(5 + 100 * 30 / 3000)
    assert measured.basis.startswith("the 1 stages already measured on a GPU")
    # Kinds without a measurement are as before, and the basis says so; so are cores.
    assert measured.seconds(stage()) == pytest.approx(5 + 100 * 30 / 30_000)
    assert "kinds of stages not among them" in measured.basis
    cores = rates(store.table(), REFERENCE)
    assert cores.seconds(stage(forces=True)) == pytest.approx(1 + 100 * 30 / 200)


def test_a_stage_on_a_share_of_a_gpu_takes_that_share_of_its_time(
    store: Store, finish: Finish
) -> None:
    finish("a", samples=9000, train_s=12.0, wall_s=20.0, device="Some GPU", gpu_share=0.25)
    measured = rates(store.table(), REFERENCE, gpu_cores=10)
    # Three seconds of a GPU for 9,000 structures, and two beside.
    assert measured.seconds(stage(forces=True)) == pytest.approx(2 + 100 * 30 / 3000)


def seconds(value: float) -> Rates:
    """Rates by which a stage of 100 steps takes so many seconds."""
    return Rates(measured={}, reference={ENERGIES: 3000 / value}, overhead_s=0, n_measured=0)


def test_work_is_shared_out_but_a_chain_is_not() -> None:
    ten = seconds(10)
    wide = [stage(f"s{i}") for i in range(6)]
    assert wall_time(wide, ten, slots=2) == pytest.approx(30)
    chain = [stage("a"), stage("b", "a"), stage("c", "b")]
    assert wall_time(chain, ten, slots=2) == pytest.approx(30)
    assert wall_time([*wide, *chain], ten, slots=2) == pytest.approx(45)
    assert work_time([*wide, *chain], ten) == pytest.approx(90)


def test_a_cached_parent_costs_nothing() -> None:
    assert wall_time([stage("b", "a")], seconds(10), slots=2) == pytest.approx(10)


def test_nothing_takes_no_time() -> None:
    assert wall_time([], seconds(10), slots=2) == 0


@given(st.lists(st.integers(1, 2000), min_size=1, max_size=8), st.integers(1, 8))
def test_more_slots_never_take_longer(steps: list[int], slots: int) -> None:
    stages = [stage(f"s{i}", steps=n) for i, n in enumerate(steps)]
    estimate = seconds(10)
    longest = max(estimate.seconds(s) for s in stages)
    assert wall_time(stages, estimate, slots) >= wall_time(stages, estimate, slots + 1)
    assert wall_time(stages, estimate, slots + 8) == pytest.approx(longest)
