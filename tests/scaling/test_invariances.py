"""Identities that hold for every table."""

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from mfscale.scaling import Fit, fit

SCALES = st.floats(1e-3, 1e3)


@st.composite
def tables(draw: st.DrawFn, fewest: int = 3, most: int = 10) -> pd.DataFrame:
    """Clusters that all see several sizes, with noise."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n_clusters, sizes = draw(st.integers(fewest, most)), draw(st.integers(2, 4))
    frame = pd.DataFrame(
        {
            "root": np.repeat([f"r{i}" for i in range(n_clusters)], sizes),
            "labels": np.tile(25.0 * 2.0 ** np.arange(sizes), n_clusters),
        }
    )
    noise = rng.normal(0, 0.2, n_clusters).repeat(sizes) + rng.normal(0, 0.1, len(frame))
    frame["mae"] = 100 * frame["labels"] ** draw(st.floats(-1, -0.1)) * np.exp(noise)
    return frame


def _fit(frame: pd.DataFrame, cluster: str | None = "root") -> Fit:
    return fit(frame, "power", x="labels", y="mae", cluster=cluster)[0]


def _same_exponent(one: Fit, other: Fit) -> None:
    a, b = one.parameters["exponent"], other.parameters["exponent"]
    assert_allclose(
        [a.estimate, a.standard_error, a.low, a.high],
        [b.estimate, b.standard_error, b.low, b.high],
        rtol=1e-7,
        atol=1e-9,
    )
    assert_allclose([one.sigma, one.r_squared], [other.sigma, other.r_squared], rtol=1e-6)


@settings(max_examples=25, deadline=None)
@given(tables(), SCALES, SCALES)
def test_units_move_only_the_amplitude(frame: pd.DataFrame, x_scale: float, y_scale: float) -> None:
    plain = _fit(frame)
    scaled = _fit(frame.assign(labels=frame["labels"] * x_scale, mae=frame["mae"] * y_scale))
    _same_exponent(plain, scaled)
    assert_allclose(
        scaled.parameters["amplitude"].estimate, y_scale * plain.parameters["amplitude"].estimate
    )
    assert_allclose(scaled.reference, x_scale * plain.reference)
    before, after = plain.predict(70.0), scaled.predict(70.0 * x_scale)
    for column in ("median", "mean_low", "mean_high", "new_run_low", "new_run_high"):
        assert_allclose(after[column], y_scale * before[column], rtol=1e-6)


@settings(max_examples=25, deadline=None)
@given(tables(), st.randoms(use_true_random=False))
def test_order_and_names_do_not_matter(frame: pd.DataFrame, random: object) -> None:
    order = list(range(len(frame)))
    random.shuffle(order)  # type: ignore[attr-defined] - hypothesis gives a random.Random
    shuffled = frame.iloc[order]
    _same_exponent(_fit(frame), _fit(shuffled))
    assert _fit(frame).fingerprint == _fit(shuffled).fingerprint
    renamed = frame.assign(root=frame["root"].map(lambda name: name[::-1] + "/x"))
    _same_exponent(_fit(frame), _fit(renamed))


@settings(max_examples=25, deadline=None)
@given(tables(fewest=8), st.integers(2, 5))
def test_repeating_runs_of_the_same_checkpoints_adds_no_certainty(
    frame: pd.DataFrame, times: int
) -> None:
    """The jackknife sees clusters alone: copies of their rows change neither errors nor sigma."""
    copies = pd.concat([frame] * times)
    _same_exponent(_fit(frame), _fit(copies))
    # Counted as independent rows, the same copies would feign certainty: what a cluster is for.
    naive, feigned = _fit(frame, cluster=None), _fit(copies, cluster=None)
    assert (
        feigned.parameters["exponent"].standard_error < naive.parameters["exponent"].standard_error
    )


@settings(max_examples=25, deadline=None)
@given(tables(most=7))
def test_few_clusters_are_never_surer_than_as_many_independent_rows(frame: pd.DataFrame) -> None:
    clustered, naive = _fit(frame), _fit(frame, cluster=None)
    for name, parameter in clustered.parameters.items():
        assert parameter.standard_error >= naive.parameters[name].standard_error * (1 - 1e-9)


@settings(max_examples=25, deadline=None)
@given(tables())
def test_the_interval_of_a_new_run_contains_that_of_the_law(frame: pd.DataFrame) -> None:
    predicted = _fit(frame).predict(np.geomspace(1, 1e4, 7))
    columns = ["new_run_low", "mean_low", "median", "mean_high", "new_run_high"]
    assert (np.diff(predicted[columns].to_numpy(), axis=1) >= 0).all()


def test_the_two_laws_are_one_line() -> None:
    frame = pd.DataFrame({"labels": [10, 30, 80, 200], "mae": [9.0, 5.0, 3.5, 2.0]})
    [power] = fit(frame, "power", x="labels", y="mae")
    [line] = fit(frame, "line", x="labels", y="mae")
    pd.testing.assert_frame_equal(power.predict([5, 50, 500]), line.predict([5, 50, 500]))
