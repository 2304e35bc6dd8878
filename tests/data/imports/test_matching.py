"""Structures are one when no coordinate is apart by more than the tolerance."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from mfscale.data import ragged, scratch
from mfscale.data.imports.matching import equal_structures, kind_of, projections
from mfscale.data.scratch import AT_ONCE, Scratch


def groups(
    numbers: list[NDArray[np.int64]], positions: list[NDArray[np.float64]], tolerance_a: float
) -> NDArray[np.int64]:
    return equal_structures(
        kind=np.array([kind_of(z) for z in numbers], dtype=np.uint64),
        projections=np.array([projections(r) for r in positions]),
        positions=np.concatenate(positions),
        first_atom=ragged.offsets(np.array([len(z) for z in numbers])),
        tolerance_a=tolerance_a,
        scratch=Scratch(),
    )


@pytest.mark.parametrize("digits", [4, 5, 8])
def test_rounded_coordinates_match_and_others_do_not(digits: int) -> None:
    rng = np.random.default_rng(0)
    numbers = [rng.integers(1, 9, size=n) for n in rng.integers(2, 20, size=300)]
    exact = [rng.normal(scale=3, size=(len(z), 3)) for z in numbers]
    rounded = [np.round(r, digits) for r in exact]
    moved = [r + np.eye(len(r), 3) * 3e-4 for r in exact]
    found = groups(numbers * 3, exact + rounded + moved, 1e-4)
    assert (found[:300] == found[300:600]).all()
    assert len(np.unique(found[:300])) == 300
    assert not np.isin(found[600:], found[:600]).any()


def test_the_same_atoms_in_another_order_are_another_structure() -> None:
    water = np.array([8, 1, 1]), np.array([[0, 0, 0], [0.0, 0.8, 0.6], [0, -0.8, 0.6]])
    order = [1, 0, 2]
    found = groups([water[0], water[0][order]], [water[1], water[1][order]], 1e-4)
    assert found[0] != found[1]


def test_a_clump_of_equal_structures_is_one_set() -> None:
    rng = np.random.default_rng(1)
    z, r = np.full(10, 6), rng.normal(scale=3, size=(10, 3))
    near = [r + rng.uniform(-1e-6, 1e-6, size=r.shape) for _ in range(3000)]
    other = r + np.eye(10, 3) * 1e-2
    found = groups([z] * 3001, [*near, other], 1e-4)
    assert len(np.unique(found[:-1])) == 1
    assert found[-1] != found[0]


def test_close_frames_of_a_trajectory_stay_apart() -> None:
    rng = np.random.default_rng(2)
    walk = np.cumsum(rng.normal(scale=2e-3, size=(2000, 12, 3)), axis=0) + rng.normal(size=(12, 3))
    found = groups([np.full(12, 6)] * 4000, [*walk, *walk], 1e-4)
    assert (found[:2000] == found[2000:]).all()
    assert len(np.unique(found)) == 2000


def test_sets_are_found_across_the_parts_of_a_large_import(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    n, z = AT_ONCE + 5_000, np.array([8, 1])
    distinct = rng.normal(scale=3, size=(n, 2, 3))
    clump = distinct[7] + rng.uniform(-1e-6, 1e-6, size=(n, 2, 3))
    repeats = rng.permutation(n)
    positions = np.concatenate([distinct, clump, distinct[repeats].round(4)])
    found = equal_structures(
        kind=np.full(len(positions), kind_of(z), dtype=np.uint64),
        projections=np.array([projections(r) for r in positions]),
        positions=positions.reshape(-1, 3),
        first_atom=np.arange(len(positions) + 1) * 2,
        tolerance_a=1e-4,
        scratch=Scratch(tmp_path),
    )
    assert (found == np.concatenate([np.arange(n), np.full(n, 7), repeats])).all()


@pytest.mark.parametrize("seed", range(20))
def test_near_clumps_that_interleave_are_told_apart(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scratch, "AT_ONCE", 7)
    rng = np.random.default_rng(seed)
    kinds = [np.array([8, 1]), np.array([1, 8])]
    centres = 2e-4 * np.argwhere(np.ones((2, 2, 1, 1, 1, 1))).reshape(-1, 2, 3)
    drawn = rng.integers(len(kinds) * len(centres), size=60)
    noise = rng.uniform(-4e-5, 4e-5, size=(60, 2, 3))
    positions = [centres[k // 2] + moved for k, moved in zip(drawn, noise, strict=True)]
    found = groups([kinds[k % 2] for k in drawn], positions, 1e-4)
    assert (found == [drawn.tolist().index(k) for k in drawn]).all()


def test_long_alternating_rows_are_two_sets() -> None:
    z, r = np.array([8, 1]), np.array([[0.0, 0, 0], [0, 0, 1]])
    two = [r, r + np.array([[0, 0, 0], [1.5e-4, 0, 0]])]
    found = groups([z] * 3000, [two[k % 2] for k in range(3000)], 1e-4)
    assert (found == np.arange(3000) % 2).all()
