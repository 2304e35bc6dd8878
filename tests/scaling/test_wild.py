"""Wild cluster intervals: against the definition, a derivation, and by coverage."""

from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mfscale.scaling import Fit, FitError, fit, invert
from mfscale.scaling.wild import moments_of, weights
from tests.scaling.test_coverage import _design

LINE = {"x": "x", "y": "y", "cluster": "root"}


def table(n_clusters: int, rows: int = 3, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    x = np.tile(np.geomspace(25, 400, rows), n_clusters)
    root = np.repeat(np.arange(n_clusters), rows)
    noise = 0.2 * rng.standard_normal(n_clusters)[root] + 0.1 * rng.standard_normal(len(x))
    return pd.DataFrame({"x": x, "y": 60 * x**-0.5 * np.exp(noise), "root": root})


def robust_t(X: np.ndarray, y: np.ndarray, c: np.ndarray, v: float, root: np.ndarray) -> float:
    """The t statistic of c'β = v with the sandwich of clusters, as textbooks write it."""
    beta, *_ = np.linalg.lstsq(X, y, rcond=None)
    bread = np.linalg.inv(X.T @ X)
    scores = [X[root == g].T @ (y - X @ beta)[root == g] for g in np.unique(root)]
    meat = sum(np.outer(s, s) for s in scores)
    return float((c @ beta - v) / np.sqrt(c @ bread @ meat @ bread @ c))


@pytest.mark.parametrize("contrast", [(1.0, 0.0), (0.0, 1.0), (-0.7, 1.0)])
@pytest.mark.parametrize("value", [-0.4, 0.1, 0.6])
def test_p_is_that_of_the_definition(contrast: tuple[float, float], value: float) -> None:
    """Cameron, Gelbach & Miller (2008), section III.C, with all 6⁴ samples refitted one by one."""
    frame = table(4, rows=2).drop(index=3)  # unbalanced
    root, y = frame["root"].to_numpy(), np.log(frame["y"].to_numpy())
    X = np.column_stack([np.log(frame["x"]), np.ones(len(frame))])
    c, v = np.array(contrast), value
    # The hypothesis is imposed by least squares along c'β = v.
    base = c * v / (c @ c)
    along = np.array([-c[1], c[0]])
    step = (X @ along) @ (y - X @ base) / ((X @ along) @ (X @ along))
    fitted = X @ (base + step * along)
    t = robust_t(X, y, c, v, root)
    points = np.sqrt([0.5, 1.0, 1.5])
    extreme = [
        abs(robust_t(X, fitted + np.array(w)[root] * (y - fitted), c, v, root))
        >= abs(t) * (1 - 1e-9)
        for w in product([*-points, *points], repeat=4)
    ]
    assert moments_of(X, y, root).p_value(c, v) == pytest.approx(np.mean(extreme), abs=1e-12)


def test_a_mean_of_twelve_is_fishers_test_of_signs() -> None:
    """R. A. Fisher, *The Design of Experiments* (1935), section 21.

    With two-point weights and one row each, samples are the 2¹² choices of signs of y − v, and
    |t*| rises with |Σ sign (y − v)|.
    """
    y = np.random.default_rng(3).normal(1.0, 1.0, 12)
    moments = moments_of(np.ones((12, 1)), y, np.arange(12))
    signs = np.array(list(product([-1, 1], repeat=12)))
    for v in (0.3, 1.0, 2.0):
        sums = np.abs(signs @ (y - v))
        p = np.mean(sums >= abs(np.sum(y - v)) * (1 - 1e-9))
        assert moments.p_value(np.ones(1), v) == pytest.approx(p)


@pytest.mark.parametrize(("n", "samples", "values"), [(3, 216, 6), (5, 7776, 6), (12, 4096, 2)])
def test_weights_have_mean_0_and_variance_1(n: int, samples: int, values: int) -> None:
    w = weights(n)
    assert w.shape == (samples, n)
    assert len(np.unique(w)) == values
    assert w.mean(axis=0) == pytest.approx(0, abs=1e-12)
    assert w.var(axis=0) == pytest.approx(1)
    assert weights(7).shape == (10_000, 7)


def test_an_interval_ends_where_the_test_begins_to_reject() -> None:
    [law] = fit(table(5), "power", intervals="wild", **LINE)
    exponent = law.parameters["exponent"]
    assert exponent.low < exponent.estimate < exponent.high
    assert law.moments is not None
    for end, outwards in ((exponent.low, -1), (exponent.high, 1)):
        p = [law.moments.p_value(np.array([1.0, 0.0]), end + outwards * d) for d in (-1e-4, 1e-4)]
        assert p[0] > 0.05 >= p[1]
    at = law.predict([law.reference, 5000])
    amplitude = law.parameters["amplitude"]
    assert at.loc[0, ["mean_low", "mean_high"]].tolist() == pytest.approx(
        [amplitude.low, amplitude.high]
    )
    assert (at["new_run_low"] < at["mean_low"]).all()
    assert (at["mean_high"] < at["new_run_high"]).all()
    assert "wild cluster bootstrap-t, Webb's weights, from 5 clusters" in law.report()


def test_it_does_not_depend_on_units_or_reference() -> None:
    frame = table(6)
    [law] = fit(frame, "line", intervals="wild", **LINE)
    scaled = frame.assign(x=frame["x"] * 1000, y=frame["y"] / 27.2)
    [other] = fit(scaled, "line", intervals="wild", reference=7.0, **LINE)
    assert other.parameters["slope"].low == pytest.approx(law.parameters["slope"].low)
    predicted = law.predict(800)["mean_high"][0] / 27.2
    assert other.predict(800_000)["mean_high"][0] == pytest.approx(predicted)


def test_it_is_saved_and_loaded(tmp_path: Path) -> None:
    [law] = fit(table(5), "line", intervals="wild", **LINE)
    law.save(tmp_path / "law.json")
    again = Fit.load(tmp_path / "law.json")
    pd.testing.assert_frame_equal(law.predict([10, 900]), again.predict([10, 900]))


def test_it_refuses_what_it_cannot_answer() -> None:
    with pytest.raises(FitError, match="straight lines, power and line"):
        fit(table(5), "saturating power", intervals="wild", **LINE)
    [two] = fit(table(2), "power", intervals="wild", **LINE)
    assert np.isnan(two.parameters["exponent"].low)
    [law] = fit(table(5), "power", intervals="wild", **LINE)
    with pytest.raises(FitError, match="wild cluster intervals give no probabilities"):
        invert(law, 3.0)


def test_no_end_is_said_to_be_none() -> None:
    """At 99.9% the 6 of 216 samples of three clusters that are as extreme forbid any rejection."""
    [law] = fit(table(3), "power", intervals="wild", level=0.999, **LINE)
    assert law.parameters["exponent"].high == np.inf
    assert "unbounded" in {warning.code for warning in law.warnings}


@pytest.mark.slow
@pytest.mark.parametrize(
    "kind", ["every size from every checkpoint", "x belongs to the checkpoint", "unbalanced"]
)
def test_five_clusters_are_covered(kind: str) -> None:
    """300 tables, a binomial standard error of 1.3 points at 95%; 0.6 of the variance between."""
    rng = np.random.default_rng(7)
    hits = np.zeros(2)
    for _ in range(300):
        x, clusters = _design(kind, rng, 5)
        while len(np.unique(x)) < 2:
            x, clusters = _design(kind, rng, 5)
        y = 4 - 0.5 * x + rng.normal(0, 0.15 * 0.6**0.5, 5)[clusters]
        y += rng.normal(0, 0.15 * 0.4**0.5, len(x))
        moments = moments_of(np.column_stack([x, np.ones_like(x)]), y, clusters)
        at = np.array([np.quantile(x, 0.9), 1.0])
        for i, (contrast, truth) in enumerate([(np.array([1.0, 0]), -0.5), (at, at @ (-0.5, 4))]):
            low, high = moments.interval(contrast, 0.95)
            hits[i] += low <= truth <= high
    assert (hits / 300 >= 0.91).all()
