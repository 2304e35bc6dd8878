"""Draws, intervals, profiles and influence: against refits by hand, and where they must be wide."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from scipy.optimize import curve_fit
from scipy.stats import bootstrap as scipy_bootstrap

from mfscale.scaling import Fit, fit, fit_mix
from mfscale.scaling.bootstrap import draw_weights, interval


def table(
    n_clusters: int = 12, floor: float = 3.0, seed: int = 0, noise: float = 0.05
) -> pd.DataFrame:
    """Checkpoints that scatter as wholes, each fine-tuned at eight sizes."""
    rng = np.random.default_rng(seed)
    rows = pd.DataFrame(
        {
            "root": np.repeat([f"r{i}" for i in range(n_clusters)], 8),
            "labels": np.tile(np.geomspace(10, 3000, 8), n_clusters),
        }
    )
    scatter = rng.normal(0, noise, n_clusters).repeat(8) + rng.normal(0, noise, len(rows))
    rows["mae"] = (floor + 30 * (rows["labels"] / 100) ** -0.8) * np.exp(scatter)
    return rows


def _fit(frame: pd.DataFrame, **options: object) -> Fit:
    columns = {"x": "labels", "y": "mae", "cluster": "root"}
    return fit(frame, "saturating power", **(columns | options))[0]  # type: ignore[arg-type]


def _codes(found: Fit) -> list[str]:
    return [warning.code for warning in found.warnings]


def test_draws_are_refits_to_drawn_clusters() -> None:
    """The same clusters, resampled as rows and fitted by SciPy's curve_fit."""
    frame = table()
    found = _fit(frame, draws=6, seed=4)
    x0 = found.reference

    def ln_law(x: np.ndarray, ln_a: float, exponent: float, E: float) -> np.ndarray:
        return np.log(E + np.exp(ln_a - exponent * np.log(x / x0)))

    clusters = np.unique(frame["root"], return_inverse=True)[1]
    for draw, weights in zip(found.draws, draw_weights(clusters, 6, 4), strict=True):
        drawn = frame.loc[np.repeat(frame.index, weights.astype(int))]
        p0 = [np.log(found.parameters["amplitude"].estimate), 0.8, 3.0]
        refit, _ = curve_fit(ln_law, drawn["labels"], np.log(drawn["mae"]), p0=p0, ftol=1e-13)
        assert_allclose(draw, [np.exp(refit[0]), *refit[1:]], rtol=1e-5)


def test_whole_clusters_are_drawn() -> None:
    clusters = np.array([0, 0, 1, 2, 2, 2])
    weights = draw_weights(clusters, 50, seed=0)
    assert (weights[:, 0] == weights[:, 1]).all()
    assert (weights[:, 3] == weights[:, 5]).all()
    assert (weights[:, [0, 2, 3]].sum(axis=1) == 3).all()


def test_the_same_seed_gives_the_same_draws() -> None:
    frame = table()
    one, two, other = (_fit(frame, draws=20, seed=seed).draws for seed in (1, 1, 2))
    assert_allclose(one, two, rtol=0)
    assert not np.allclose(one, other)


def test_bca_is_that_of_scipy_but_for_the_widening() -> None:
    """On the mean of skewed numbers; for 400 of them the widening by Student's t is 0.3%."""
    rng = np.random.default_rng(0)
    data = rng.exponential(size=400)
    counts = rng.multinomial(400, np.full(400, 1 / 400), size=20_000)
    draws = (counts @ data / 400)[:, None]
    left_out = ((data.sum() - data) / 399)[:, None]
    low, high = interval(draws, 0.95, 400, estimate=data.mean(), left_out=left_out)
    theirs = scipy_bootstrap(
        (data,), np.mean, n_resamples=20_000, rng=np.random.default_rng(1)
    ).confidence_interval
    assert_allclose([low[0], high[0]], [theirs.low, theirs.high], rtol=6e-3)


def test_percentiles_of_few_clusters_are_widened_to_students_t() -> None:
    """The bootstrap of the mean of 10 normal numbers: ±t₉·s/√10, not ±1.96·s·√0.9/√10."""
    rng = np.random.default_rng(3)
    data = rng.normal(size=10)
    draws = rng.normal(data.mean(), data.std() / 10**0.5, 200_000)[:, None]
    low, high = interval(draws, 0.95, 10)
    assert_allclose(high - low, 2 * 2.262157 * data.std(ddof=1) / 10**0.5, rtol=0.01)


def test_intervals_of_draws_and_of_students_t_agree_for_many_clusters() -> None:
    frame = table(40)
    drawn, t, bca = (_fit(frame, intervals=kind) for kind in ("percentile", "t", "bca"))
    assert (drawn.intervals, t.intervals, bca.intervals) == ("percentile", "t", "bca")
    for name in ("amplitude", "exponent"):
        width = t.parameters[name].high - t.parameters[name].low
        for other in (drawn, bca):
            for end in ("low", "high"):
                a, b = (getattr(f.parameters[name], end) for f in (other, t))
                assert_allclose(a, b, atol=0.15 * width)
    ends = [f.predict([30, 300])[["mean_low", "new_run_high"]].to_numpy() for f in (drawn, t)]
    assert_allclose(*ends, rtol=0.02)


def test_few_clusters_get_students_t_and_a_warning() -> None:
    many, few, two = (_fit(table(n)) for n in (20, 4, 2))
    assert (many.intervals, few.intervals, two.intervals) == ("percentile", "t", "none")
    assert few.solution.degrees_of_freedom == 3
    assert "few-clusters" in _codes(few)
    assert "few-clusters" not in _codes(many)
    ends = [f.predict(100) for f in (many, few)]
    width = [np.log(e["mean_high"] / e["mean_low"]) for e in ends]
    assert (width[1] > 2 * width[0]).all()
    assert np.isnan(two.parameters["exponent"].low)
    assert two.predict(100)["median"][0] > 0


def test_intervals_nest_whatever_they_are_read_from() -> None:
    for kind in ("t", "percentile", "bca"):
        predicted = _fit(table(), intervals=kind).predict(np.geomspace(3, 30_000, 9))
        columns = ["new_run_low", "mean_low", "median", "mean_high", "new_run_high"]
        assert (np.diff(predicted[columns].to_numpy(), axis=1) > 0).all()


def test_medians_of_draws_are_the_law_at_each_draw() -> None:
    found = _fit(table(), draws=30)
    medians = found.median([50, 500], found.draws)
    amplitude, exponent, E = found.draws[7]
    expected = E + amplitude * (np.array([50, 500]) / found.reference) ** -exponent
    assert medians.shape == (30, 2)
    assert_allclose(medians[7], expected)


def test_the_profile_of_the_floor_is_that_of_refits() -> None:
    """With independent rows: the E at which 2·Δcost reaches t² residual variances."""
    frame = table().drop(columns="root")
    [found] = fit(frame, "saturating power", x="labels", y="mae", draws=0)
    n, E = len(frame), found.parameters["E"]

    def cost(floor: float) -> float:
        [held] = fit(frame, "saturating power", x="labels", y="mae", fixed={"E": floor}, draws=0)
        residual = np.log(frame["mae"]) - np.log(held.median(frame["labels"].to_numpy()))
        return float(np.sum(residual**2))

    best = cost(E.estimate)
    t = 1.98580  # of 96 − 3 = 93 degrees of freedom, 97.5%
    for end in (E.low, E.high):
        assert_allclose((cost(end) - best) / (best / (n - 3)), t**2, rtol=0.02)


def test_floors_that_the_data_do_not_show_are_flagged() -> None:
    none = _fit(table(floor=0.0))
    assert none.parameters["E"].low == 0
    assert "unidentified" in _codes(none)
    clear = _fit(table(20, floor=8.0, noise=0.01))
    assert clear.parameters["E"].low > 7
    reached = _fit(table(8, floor=8.0, noise=0.3))
    assert reached.parameters["E"].high > 0
    [message] = [w.message for w in none.warnings if w.code == "unidentified"]
    assert "E is not identified: its 95% interval includes 0" in message


def test_influence_names_the_odd_cluster() -> None:
    frame = table()
    odd = frame["root"] == "r5"
    frame.loc[odd, "mae"] *= (frame.loc[odd, "labels"] / 100) ** 0.4
    found = _fit(frame)
    influence = found.influence()
    assert influence["cluster"][0] == "r5"
    [without] = fit(frame[~odd], "saturating power", x="labels", y="mae", cluster="root", draws=0)
    for name in ("amplitude", "exponent"):
        # The reference moves with the rows: it is the same here, where all saw the same sizes.
        assert_allclose(influence[name][0], without.parameters[name].estimate, rtol=1e-5)
    assert "influential-cluster" in _codes(found)
    assert found.n_rows == len(frame)  # and yet nothing was dropped


def test_no_cluster_is_called_odd_by_chance() -> None:
    codes = [code for seed in range(40) for code in _codes(_fit(table(10, seed=seed), draws=0))]
    assert codes.count("influential-cluster") <= 2


def test_draws_of_independent_rows_pay_for_every_coefficient() -> None:
    """With 14 rows and 3 coefficients Student's t has 11 degrees of freedom, not 13."""
    frame = table(2)[:14].drop(columns="root")
    frame["labels"] *= np.linspace(1, 1.5, 14)
    [found] = fit(frame, "saturating power", x="labels", y="mae")
    assert (found.intervals, found.sampling.freedom) == ("percentile", 11)
    [fewer] = fit(frame[:9], "saturating power", x="labels", y="mae")
    assert (fewer.intervals, fewer.solution.degrees_of_freedom) == ("t", 6)


def test_replicates_refute_a_wrong_law() -> None:
    frame = table(6, floor=8.0, noise=0.02)
    saturating, power = (
        fit(frame, law, x="labels", y="mae", draws=0)[0] for law in ("saturating power", "power")
    )
    assert power.lack_of_fit < 1e-6
    assert saturating.lack_of_fit > 0.01
    [by_search] = fit(frame, "power", x="labels", y="mae", draws=0, bounds={"exponent": (-9, 9)})
    assert_allclose(by_search.lack_of_fit, power.lack_of_fit, rtol=1e-6)


@pytest.mark.parametrize("cluster", [None, "root"])
def test_a_search_for_a_straight_line_finds_the_exact_one(cluster: str | None) -> None:
    """Bounds that do not bind send the power law through the search."""
    options = {"x": "labels", "y": "mae", "cluster": cluster}
    [exact] = fit(table(), "power", **options)  # type: ignore[arg-type]
    [searched] = fit(table(), "power", draws=0, bounds={"exponent": (-9, 9)}, **options)  # type: ignore[arg-type]
    for name, ours in searched.parameters.items():
        theirs = exact.parameters[name]
        assert_allclose(
            [ours.estimate, ours.standard_error, ours.low, ours.high],
            [theirs.estimate, theirs.standard_error, theirs.low, theirs.high],
            rtol=1e-7,
        )
    assert_allclose([searched.sigma, searched.r_squared], [exact.sigma, exact.r_squared])
    at = [5, 50, 50_000]
    pd.testing.assert_frame_equal(searched.predict(at), exact.predict(at))


def test_a_draw_is_lost_where_it_says_less_than_all_rows() -> None:
    """Of one size alone; not for a power of a worth of nothing, of which no row says anything."""
    sizes, root = np.repeat([10.0, 100.0], 4), np.arange(8)
    noise = np.exp(0.05 * np.sin(np.arange(8.0) ** 2))
    table = pd.DataFrame({"labels": sizes, "mae": 9 * sizes**-0.5 * noise, "root": root})
    [found] = fit(table, "power", x="labels", y="mae", cluster="root", loss="huber", draws=4000)
    lost = np.isnan(found.draws).any(axis=1).mean()
    assert lost == pytest.approx(2 * 0.5**8, abs=0.005)  # all eight of one size

    cc, other = (v.ravel() for v in np.meshgrid([25.0, 50, 100, 200], [0.0, 100, 1000]))
    table = pd.DataFrame({"cc": cc, "dft": other})
    table["mae"] = 60 * cc**-0.5 * np.exp(0.05 * np.sin(np.arange(12.0) ** 2))  # worth nothing
    mixed = fit_mix(table, {"cc": "cc", "dft": "dft"}, target="cc", y="mae")
    assert np.isfinite(mixed.draws).all(axis=1).mean() > 0.9


def test_no_interval_is_read_from_the_few_draws_that_are_left() -> None:
    """Two of three sizes have one run each: most draws lack one of them."""
    sizes = np.array([10.0, 30, *[100] * 8])
    noise = np.exp(0.05 * np.sin(np.arange(10.0) ** 2))
    table = pd.DataFrame({"labels": sizes, "root": np.arange(10)})
    found = _fit(table.assign(mae=(8 + 300 * sizes**-1.0) * noise))
    assert np.isnan(found.draws).any(axis=1).mean() > 0.5
    assert not found.has_interval
    (lost,) = (w for w in found.warnings if w.code == "lost-draws")
    assert "no interval is given" in lost.message
    assert np.isfinite(found.predict(30.0)["median"]).all()
