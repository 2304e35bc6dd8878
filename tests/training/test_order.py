"""Which samples a step sees: fair, and a function of the step alone."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from mfscale.training.samples import Order

N = st.integers(1, 40)
BATCH = st.integers(1, 50)
SEED = st.integers(0, 2**31 - 1)


@given(N, BATCH, SEED)
def test_every_epoch_is_a_permutation(n: int, batch: int, seed: int) -> None:
    order = Order([n], [None], batch, seed)
    steps = -(-3 * n // min(batch, n))
    seen = np.concatenate([order(step) for step in range(steps)])
    for epoch in range(3):
        assert sorted(seen[epoch * n : (epoch + 1) * n]) == list(range(n))


@given(N, BATCH, SEED, st.integers(0, 200))
def test_every_batch_has_one_size(n: int, batch: int, seed: int, step: int) -> None:
    """That asked for, or all samples where there are fewer."""
    assert len(Order([n], [None], batch, seed)(step)) == min(batch, n)


@settings(deadline=None)
@given(N, BATCH, SEED, st.lists(st.integers(0, 60), max_size=20))
def test_a_step_depends_on_nothing_but_itself(
    n: int, batch: int, seed: int, steps: list[int]
) -> None:
    wandering = Order([n], [None], batch, seed)
    for step in steps:
        np.testing.assert_array_equal(wandering(step), Order([n], [None], batch, seed)(step))


def test_seeds_and_epochs_differ() -> None:
    whole = Order([50], [None], 50, 0)
    assert not np.array_equal(whole(0), whole(1))
    assert not np.array_equal(whole(0), Order([50], [None], 50, 1)(0))
