"""What a run weighs before it compiles is what was measured."""

import json
from pathlib import Path

import pytest

from mfscale.models import LADDER
from mfscale.models.compilation import COMPILATION

MEASURED = Path(__file__).parents[2] / "benchmarks" / "compiling.json"


def test_costs_are_those_of_the_benchmark() -> None:
    rows = json.loads(MEASURED.read_text())["rows"]
    assert {(r["architecture"], r["size"], r["forces"]) for r in rows} == COMPILATION.keys()
    for row in rows:
        cost = COMPILATION[row["architecture"], row["size"], row["forces"]]
        assert row["size"] in LADDER[row["architecture"]]
        assert cost.speedup == pytest.approx(row["speedup"], abs=0.06)
        assert (cost.cold_s, cost.warm_s) == pytest.approx((row["cold_s"], row["warm_s"]), abs=0.6)
        assert row["compiled_mae_mev"] == pytest.approx(row["eager_mae_mev"], rel=1e-3)
