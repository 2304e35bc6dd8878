"""Nominal 95% intervals of a law with a floor cover 95% of the time: simulated clustered runs.

The bootstrap draws whole checkpoints, so that sizes of their own (the number of labels that a
checkpoint effectively saw, without error) are drawn with them. Where x is measured with noise, a
line is York's business: see `test_noisy_pairs`.
"""

import numpy as np
import pandas as pd
import pytest

from mfscale.scaling import fit

E, AMPLITUDE, EXPONENT, X0 = 4.0, 20.0, 0.7, 200.0
AT = 60.0


def runs(rng: np.random.Generator, n_clusters: int, *, own_x: bool) -> pd.DataFrame:
    """Each checkpoint at six sizes (nominal, or its own), half of the variance between them."""
    labels = np.tile(np.geomspace(10, 10_000, 6), n_clusters)
    cluster = np.repeat(np.arange(n_clusters), 6)
    if own_x:
        labels = labels * np.exp(rng.normal(0, 0.3, n_clusters))[cluster]
    noise = rng.normal(0, 0.1, n_clusters)[cluster] + rng.normal(0, 0.1, len(labels))
    mae = (E + AMPLITUDE * (labels / X0) ** -EXPONENT) * np.exp(noise)
    return pd.DataFrame({"root": cluster, "labels": labels, "mae": mae})


def coverage(n_clusters: int, tables: int, *, own_x: bool) -> dict[str, float]:
    """Share of intervals that hold the truth: coefficients, the law at AT, and a new run there."""
    rng = np.random.default_rng(11)
    hits = []
    for _ in range(tables):
        frame = runs(rng, n_clusters, own_x=own_x)
        [found] = fit(
            frame,
            "saturating power",
            x="labels",
            y="mae",
            cluster="root",
            reference=X0,
            draws=400,
            seed=int(rng.integers(2**31)),
        )
        truth = {"amplitude": AMPLITUDE, "exponent": EXPONENT, "E": E}
        law = E + AMPLITUDE * (AT / X0) ** -EXPONENT
        run = law * np.exp(rng.normal(0, 0.1 * 2**0.5))
        at = found.predict(AT).iloc[0]
        hits.append(
            {name: found.parameters[name].low <= v <= found.parameters[name].high
             for name, v in truth.items()}
            | {"law": at["mean_low"] <= law <= at["mean_high"],
               "run": at["new_run_low"] <= run <= at["new_run_high"]}
        )  # fmt: skip
    return {str(name): float(share) for name, share in pd.DataFrame(hits).mean().items()}


@pytest.mark.slow
@pytest.mark.parametrize("own_x", [False, True])
def test_twenty_four_checkpoints(own_x: bool) -> None:
    for name, share in coverage(24, 400, own_x=own_x).items():
        assert 0.93 <= share <= 0.97, name


@pytest.mark.slow
def test_four_checkpoints_do_not_feign_certainty() -> None:
    for name, share in coverage(4, 200, own_x=False).items():
        assert share >= 0.93, name
