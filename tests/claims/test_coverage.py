"""Intervals cover the truth as often as they say, by simulation; each part of the variance acts."""

import numpy as np
import pandas as pd
import pytest

from mfscale.claims.inference import contrasts_of, judge, mean_of_clusters
from mfscale.claims.lines import per_halving, usable
from mfscale.claims.resamples import Resamples
from mfscale.scaling.regression import quantile
from mfscale.scaling.vectors import Vector
from tests.claims.conftest import Rows, part_of, pretraining, replicated

CC, LN = "cc:a:50", 4.6


def covers(values: Vector, changes: Vector | None, truth: float) -> bool:
    found = judge(mean_of_clusters(values, changes), "below", 1.0)
    return found.low <= np.exp(truth) <= found.high


def resampled(errors: Vector, contrast: Vector, rng: np.random.Generator) -> Vector:
    """Changes of the contrasts ``(m, G)`` of ln MAE of `errors` ``(n, m)`` under resamples of n."""
    n = len(errors)
    counts = rng.multinomial(n, np.full(n, 1 / n), size=200)
    return np.log(counts @ errors / n / errors.mean(axis=0)) @ contrast


@pytest.mark.slow
@pytest.mark.parametrize(
    ("between", "shared", "own"),
    [(0.2, 0.0, 0.0), (0.2, 0.5, 0.0), (0.05, 0.5, 0.0), (0.1, 0.4, 0.8), (0.05, 0.0, 1.0)],
)
def test_interval_covers_with_many_clusters(between: float, shared: float, own: float) -> None:
    """Errors are lognormal; what a structure does to a ratio is shared by all pairs, or its own.

    ln of the ratio of expected errors is the truth. A Monte-Carlo standard deviation of the
    coverage, of 1000 tables, is 0.7%.
    """
    rng = np.random.default_rng(3)
    n_clusters, n_structures, truth = 25, 120, -0.3
    contrast = np.vstack([np.eye(n_clusters), -np.eye(n_clusters)])
    hits = []
    for _ in range(1000):
        effect = truth + between * rng.normal(size=n_clusters)
        common = shared * rng.normal(size=(n_structures, 1))
        individual = own * rng.normal(size=(n_structures, n_clusters))
        treated = np.exp(effect + common + individual - (shared**2 + own**2) / 2)
        errors = np.hstack([treated, np.ones((n_structures, n_clusters))])
        values = np.log(errors.mean(axis=0)) @ contrast
        hits.append(covers(values, resampled(errors, contrast, rng), truth))
    assert 0.93 <= np.mean(hits) <= 0.97


def test_without_the_test_set_the_interval_is_too_narrow() -> None:
    """The same, of (a) alone: a test set that favours one side does so in every pair."""
    rng = np.random.default_rng(4)
    hits = []
    for _ in range(400):
        common = np.exp(0.5 * rng.normal(size=(120, 1)) - 0.125)
        treated = common * np.exp(0.05 * rng.normal(size=25))
        hits.append(covers(np.log(treated.mean(axis=0)), None, 0.0))
    assert np.mean(hits) < 0.6


def shared_roots(rng: np.random.Generator, n_roots: int, n_each: int) -> pd.DataFrame:
    """Pairs of which those of one pre-trained checkpoint share its luck."""
    luck = np.repeat(rng.normal(0, 0.3, n_roots), n_each)
    n = n_roots * n_each
    return pd.DataFrame(
        {
            "stage_id_t": [f"t{i}" for i in range(n)],
            "stage_id_c": [f"c{i}" for i in range(n)],
            "root_id_t": np.repeat([f"r{i}" for i in range(n_roots)], n_each),
            "root_id_c": [f"c{i}" for i in range(n)],
            "cell": np.arange(n),
            "doublings": 1.0,
            "difference": luck + rng.normal(0, 0.1, n),
        }
    )


def test_shared_checkpoints_count_once() -> None:
    """A naive interval, of pairs as if independent, misses the truth far too often."""
    rng = np.random.default_rng(5)
    hits, naive = [], []
    for _ in range(1000):
        pairs = shared_roots(rng, 12, 6)
        contrasts = contrasts_of(pairs)
        log_errors = dict(zip(pairs["stage_id_t"], pairs["difference"], strict=True))
        values = contrasts.weights @ [log_errors.get(stage, 0.0) for stage in contrasts.stages]
        hits.append(covers(values, None, 0.0))
        each = pairs["difference"]
        half = quantile(0.95, len(each) - 1) * each.std() / len(each) ** 0.5
        naive.append(abs(each.mean()) <= half)
    assert 0.93 <= np.mean(hits) <= 0.97
    assert np.mean(naive) < 0.75


@pytest.mark.parametrize("n_clusters", [3, 5])
def test_few_clusters_are_covered_too(n_clusters: int) -> None:
    rng = np.random.default_rng(6)
    hits = [covers(rng.normal(0, 0.3, n_clusters), None, 0.0) for _ in range(2000)]
    assert 0.93 <= np.mean(hits) <= 0.97


def test_slope_covers() -> None:
    """Two lines; fine-tunings of one checkpoint share its luck."""
    rng = np.random.default_rng(7)
    hits = []
    for _ in range(600):
        roots = np.arange(20)
        x = np.repeat(rng.normal(0, 1, 20), 2)
        luck = np.repeat(rng.normal(0, 0.2, 20), 2)
        points = pd.DataFrame(
            {
                "x": x,
                "y": np.tile([0.0, 0.7], 20) + 0.5 * x + luck + rng.normal(0, 0.1, 40),
                "line": np.tile(["50", "100"], 20),
                "cluster": np.repeat(roots, 2),
                "behind_x": np.repeat(roots % 3, 2),
            }
        )
        found = judge(per_halving(usable(points), None, None), "below", 1.0)
        hits.append(found.low <= 2**-0.5 <= found.high)
    assert 0.92 <= np.mean(hits) <= 0.98


def fill(rows: Rows, seed: int) -> None:
    rows.stage(LN, CC, seed=seed)
    rows.stage(LN - 0.1, CC, parent=pretraining(rows, seed))


def test_noise_of_the_test_set_widens_the_interval() -> None:
    """Fine-tuned models err most on a few structures, direct ones alike on all."""
    rows = replicated(6, fill, noise=0.01)
    uneven = np.random.default_rng(8).lognormal(0, 1.0, 60)

    def errors(stage_id: str) -> pd.DataFrame:
        table = rows.errors(stage_id)
        row = next(row for row in rows.rows if row["stage_id"] == stage_id)
        if row["parent_id"] is not None:
            table["energy_error_mev"] *= uneven / uneven.mean()
        return table

    alike = part_of(rows.assess(), "1a")
    found = part_of(rows.assess(errors), "1a")
    assert alike.verdict == "supported"
    assert found.verdict == "undecided"
    assert np.log(found.high / found.low) > 3 * np.log(alike.high / alike.low)


def test_hard_structures_that_are_hard_for_all_do_not_widen_it() -> None:
    rows = replicated(6, fill, noise=0.01)
    alike = part_of(rows.assess(), "1a")
    without = part_of(rows.assess(lambda _: pd.DataFrame()), "1a")
    assert (alike.low, alike.high) == pytest.approx((without.low, without.high))
    assert not any("structure by structure" in note for note in alike.notes)
    assert "no test errors structure by structure of 12 of 12 runs" in without.notes[0]


def test_resamples_are_the_bootstrap_of_the_mean() -> None:
    """Of ln of the mean of n errors the standard deviation is near cv/√n (delta method)."""
    errors = np.random.default_rng(9).lognormal(0, 0.5, 400)
    table = pd.DataFrame(
        {"structure": range(400), "head": "cc", "method": "cc", "energy_error_mev": -errors}
    )
    resamples = Resamples(lambda _: table)
    changes, missing = resamples.changes([("a", "cc", "cc"), ("b", "cc", "cc"), ("a", "x", "x")])
    expected = errors.std() / errors.mean() / 20
    assert changes[:, 0].std() == pytest.approx(expected, rel=0.1)
    assert np.array_equal(changes[:, 0], changes[:, 1])
    assert missing == 1
    assert not changes[:, 2].any()
