"""What is compiled: sums done by hand, over stages whose cost of compiling is given."""

import pytest

from mfscale.orchestration import Compiling, Cost, Rates
from mfscale.study import Stage
from tests.orchestration.test_estimate import ENERGIES, REFERENCE, stage

RATES = Rates({}, REFERENCE, 2.0, 0)
COSTS = {ENERGIES: Cost(speedup=2.0, cold_s=60.0, warm_s=10.0)}


def deciding(*stages: Stage, slots: int = 1, kept: bool = False, **changed: object) -> Compiling:
    compiling = Compiling(
        **{"mode": "auto", "costs": COSTS, "estimate": RATES, "kept": lambda _: kept} | changed
    )
    compiling.decide(stages, slots)
    return compiling


def test_work_is_weighed_against_what_compiling_takes() -> None:
    stages = [stage(f"s{n}", steps=10_000) for n in range(12)]  # 100 s each at 3,000 structures/s
    (decision,) = deciding(*stages, slots=2).decisions.values()
    assert decision.takes_s == pytest.approx(60 + 2 * 10)  # one slot makes it, both load it
    assert decision.saves_s == pytest.approx(0.25 * 1200 * (1 - 1 / 2))  # of a quarter of the cap
    assert decision.compiled
    assert not deciding(*stages[:6], slots=2).wanted(stages[0])  # 75 s do not pay for 80
    assert deciding(*stages[:6], slots=2, kept=True).wanted(stages[0])
    assert deciding(*stages[:6], slots=1).wanted(stages[0])


def test_stages_wait_for_code_that_saves_each_more_than_making_it_takes() -> None:
    long = [stage(f"s{n}", steps=50_000) for n in range(3)]  # 125 s of a quarter of the cap
    assert deciding(*long, slots=2).waits(long[0])  # of which code saves 62.5
    (decision,) = deciding(*long, slots=2).decisions.values()
    assert decision.takes_s == pytest.approx(2 * (60 + 10))
    short = [stage(f"s{n}", steps=40_000) for n in range(3)]  # and here 50, less than 60
    assert deciding(*short, slots=2).wanted(short[0])
    assert not deciding(*short, slots=2).waits(short[0])
    assert deciding(*short, mode="always").waits(short[0])


def test_what_is_compiled_stays_so_and_serves_its_kind_alone() -> None:
    stages = [stage(f"s{n}", steps=10_000) for n in range(8)]  # which pays in one slot
    compiling = deciding(*stages)
    compiling.decide(stages[:1], 1)
    assert compiling.wanted(stages[0])
    assert not compiling.wanted(stages[0].model_copy(update={"trainable": "readout"}))
    assert not compiling.wanted(stage(steps=10_000, forces=True))


def test_measured_speeds_do_not_change_a_decision() -> None:
    stages = [stage(f"s{n}", steps=10_000) for n in range(12)]
    fast = Rates({ENERGIES: 1e6}, REFERENCE, 0.1, 7)
    assert deciding(*stages, slots=2, estimate=fast).wanted(stages[0])


def test_always_and_never_ask_nobody() -> None:
    short = stage(steps=1)
    assert deciding(short, mode="always").wanted(short)
    long = stage(steps=10**7)
    assert deciding(long).wanted(long)
    assert not deciding(long, mode="never").wanted(long)
    assert not deciding(stage(steps=10**7, forces=True)).wanted(stage(forces=True))  # cost unknown
