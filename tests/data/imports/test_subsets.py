"""Subsets of an import: the sizes asked for, every method in each, the same for any order."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mfscale.data import SUBSETS, Dataset
from mfscale.data.imports.subsets import divide, parse_subsets, sizes_of
from mfscale.data.scratch import Scratch
from tests.data.imports.conftest import Import, molecules


def subsets(dataset: Dataset) -> dict[bytes, int]:
    """Positions of each structure → the code of its subset."""
    codes = np.load(dataset.path / "split_random.npy")
    return {dataset.positions([k]).tobytes(): int(c) for k, c in enumerate(codes)}


def test_sizes_are_as_asked_and_the_rest_is_shared() -> None:
    assert sizes_of(1000, {}) == {"a": 200, "b": 400, "c": 200, "t": 200}
    assert sizes_of(1000, parse_subsets(["a=100,t=0.25"])) == {
        "a": 100,
        "t": 250,
        "b": 433,
        "c": 217,
    }
    assert sizes_of(10, parse_subsets(["a=1", "b=2,c=3,t=4"])) == {"a": 1, "b": 2, "c": 3, "t": 4}
    with pytest.raises(ValueError, match="10 structures are there, but the subsets named take 9"):
        sizes_of(10, parse_subsets(["a=1,b=2,c=3,t=3"]))


def test_each_combination_of_methods_is_divided_alike() -> None:
    rng = np.random.default_rng(1)
    bits = rng.integers(0, 2**64, size=10_000, dtype=np.uint64)
    pattern = rng.choice([1, 3, 7], size=10_000, p=[0.89, 0.1, 0.01])
    codes = divide(bits, pattern, sizes_of(10_000, {}), 0, Scratch())
    for kind in (1, 3, 7):
        shares = np.bincount(codes[pattern == kind], minlength=4) / (pattern == kind).sum()
        assert np.allclose(shares, [0.2, 0.4, 0.2, 0.2], atol=2 / (pattern == kind).sum())
    other = divide(bits, pattern, sizes_of(10_000, {}), 1, Scratch())
    # Drawn anew: two independent draws agree in Σ share² = 28 % of structures, ± 0.5 %.
    assert abs((codes == other).mean() - 0.28) < 0.02


def test_the_order_of_the_source_does_not_act(
    imported: Import, written: Callable[..., Path], tmp_path: Path
) -> None:
    frames = molecules()
    forward = subsets(imported(written(frames))[0])
    (tmp_path / "out" / "mine").rename(tmp_path / "first")
    backward = subsets(imported(written(frames[::-1]))[0])
    assert forward == backward
    assert set(forward.values()) == set(range(len(SUBSETS)))
