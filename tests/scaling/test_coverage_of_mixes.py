"""Nominal 95% intervals of mixes of three methods cover: simulated runs of the law of worths."""

import numpy as np
import pandas as pd
import pytest

from mfscale.scaling import Fit, fit_mix

METHODS = ("cc", "dft", "xtb")
WORTH = {"cc": 1.0, "dft": 0.1, "xtb": 0.01}
NOISE = 0.1
MIXES = ((100, 0, 0), (50, 500, 0), (100, 300, 300), (200, 1000, 1000), (50, 0, 1000))


def error_of(cc: float, dft: float, xtb: float, floor: float) -> float:
    equivalents = sum(n * w for n, w in zip((cc, dft, xtb), WORTH.values(), strict=True))
    return float(floor + 600 * (equivalents / 50) ** -0.5)


def fitted(rng: np.random.Generator, floor: float) -> Fit:
    """Every combination of three sizes once, each with a checkpoint of its own."""
    sizes = (v.ravel() for v in np.meshgrid([50, 100, 200], [0, 100, 1000], [0, 100, 1000]))
    table = pd.DataFrame(dict(zip(METHODS, sizes, strict=True)))
    law = [error_of(row.cc, row.dft, row.xtb, floor) for row in table.itertuples()]
    table["mae"] = law * np.exp(rng.normal(0, NOISE, len(table)))
    return fit_mix(table, {m: m for m in METHODS}, target="cc", y="mae")


@pytest.mark.slow
@pytest.mark.parametrize("floor", [0.0, 80.0])
def test_twenty_seven_checkpoints(floor: float) -> None:
    """Within the data; worths at 0 and floors that are not identified are among the draws."""
    rng = np.random.default_rng(5)
    hits = []
    for _ in range(200):
        found = fitted(rng, floor)
        assert np.isfinite(found.draws).all(axis=1).mean() > 0.9
        for mix in MIXES:
            at = found.predict(dict(zip(METHODS, mix, strict=True))).iloc[0]
            assert at["mean_low"] <= at["median"] <= at["mean_high"]
            hits.append(at["mean_low"] <= error_of(*mix, floor) <= at["mean_high"])
    assert 0.93 <= np.mean(hits) <= 0.98
