"""What is sorted piece by piece is as if it were sorted at once; files leave no trace."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mfscale.data import ragged
from mfscale.data.scratch import AT_ONCE, Scratch, parts


@settings(max_examples=10, deadline=None)
@given(
    n=st.integers(AT_ONCE + 1, 4 * AT_ONCE),
    kinds=st.sampled_from([1, 3, 100_000]),
    shape=st.sampled_from(["drawn", "ascending", "descending", "constant"]),
    seed=st.integers(0, 100),
)
def test_an_order_is_that_of_a_stable_sort(n: int, kinds: int, shape: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    first = rng.integers(0, kinds, size=n).astype(np.uint64)
    second = {
        "drawn": rng.normal(size=n).round(3),
        "ascending": np.arange(n, dtype=float),
        "descending": -np.arange(n, dtype=float),
        "constant": np.zeros(n),
    }[shape]
    scratch = Scratch()
    assert (scratch.order(first, second) == np.lexsort((second, first))).all()
    assert scratch.median(second) == np.median(second)


def test_offsets_go_on_from_part_to_part() -> None:
    counts = np.random.default_rng(0).integers(0, 30, size=3 * AT_ONCE + 7).astype(np.int32)
    assert (Scratch().offsets(counts) == ragged.offsets(counts.astype(np.int64))).all()


@pytest.mark.parametrize("n", [0, 1, AT_ONCE, AT_ONCE + 1])
def test_parts_cover_all_rows_once(n: int) -> None:
    assert [k for part in parts(n) for k in range(part.start, part.stop)] == list(range(n))


def test_arrays_lie_in_files_that_nobody_sees(tmp_path: Path) -> None:
    array = Scratch(tmp_path).zeros((AT_ONCE + 1, 2), np.float64)
    array[:] = 1.5
    assert array.sum() == 3.0 * (AT_ONCE + 1)
    assert not list(tmp_path.iterdir())
    maps = Path("/proc/self/maps").read_text()
    assert str(tmp_path) in maps
    del array
    assert str(tmp_path) not in Path("/proc/self/maps").read_text()
