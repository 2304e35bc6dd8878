"""Each claim, on rows of which it is true, false, or on which it cannot be told."""

from itertools import product
from typing import Any

import numpy as np
import pytest

from tests.claims.conftest import Rows, part_of, pretraining, replicated

CC, LN = "cc:a:50", float(np.log(100))


def direct_and_fine_tuned(effect: float) -> Any:  # noqa: ANN401
    def fill(rows: Rows, seed: int) -> None:
        rows.stage(LN, CC, seed=seed)
        for i, size in enumerate((100, 200, 400)):
            gain = effect * (1 + 0.5 * i)
            before = pretraining(rows, seed, f"dft:b:{size}+forces", 4 - 0.5 * i)
            rows.stage(LN + gain, CC, parent=before)

    return fill


def test_pretraining_helps() -> None:
    claims = replicated(5, direct_and_fine_tuned(-0.4)).assess()
    a, b = part_of(claims, "1a"), part_of(claims, "1b")
    assert (a.verdict, b.verdict) == ("supported", "supported")
    assert a.factor == pytest.approx(np.exp(-0.6), rel=0.05)  # the mean of −0.4, −0.6, −0.8
    assert b.factor == pytest.approx(np.exp(-0.2), rel=0.05)  # each doubling adds −0.2
    assert a.low < a.factor < a.high < 1
    assert a.p < 0.001
    assert (a.n_pairs, a.n_clusters) == (15, 5)
    assert (b.n_pairs, b.n_clusters) == (15, 5)
    assert len(a.treatments) == 15
    assert len(a.controls) == 5
    assert claims[1].verdicts["equal caps"] == "supported"
    assert claims[1].verdicts["matched total compute"] == "undecided"


def test_pretraining_harms() -> None:
    claims = replicated(5, direct_and_fine_tuned(0.3)).assess()
    assert part_of(claims, "1a").verdict == "contradicted"
    assert claims[1].verdicts["equal caps"] == "contradicted"


def test_pretraining_does_nothing() -> None:
    claims = replicated(5, direct_and_fine_tuned(0.0)).assess()
    found = part_of(claims, "1a")
    assert found.verdict == "undecided"
    assert found.reason == "the interval includes 1, no effect"
    assert found.low < 1 < found.high


def test_two_checkpoints_are_too_few() -> None:
    found = part_of(replicated(2, direct_and_fine_tuned(-2.0), noise=1e-6).assess(), "1a")
    assert found.verdict == "undecided"
    assert found.reason == "too few independent checkpoints (2; 3 needed)"
    assert found.factor < 0.1
    assert np.isnan(found.low)


def test_what_is_missing_is_said() -> None:
    claims = replicated(3, lambda rows, seed: rows.stage(LN, CC, seed=seed)).assess()
    for claim in claims.values():
        assert set(claim.verdicts.values()) == {"undecided"}
        for part in claim.parts:
            assert part.n_pairs == 0
            assert "a study would need" in part.reason
    assert "one of the sides is not in the store" in part_of(claims, "1a").reason
    assert "neither side" in part_of(claims, "5a").reason


@pytest.mark.parametrize(
    ("slope", "curve", "verdicts"),
    [
        (0.6, 0.0, ("supported", "supported")),
        (-0.6, 0.0, ("contradicted", "supported")),
        (0.6, 0.4, ("supported", "contradicted")),
    ],
)
def test_line_of_fine_tuned_against_pretrained(
    slope: float, curve: float, verdicts: tuple[str, str]
) -> None:
    def fill(rows: Rows, seed: int) -> None:
        for architecture, x in product(("nequip", "mace"), (-1.0, 0.0, 1.0)):
            given = {"architecture": architecture}
            size = int(100 * 4 ** (1 - x))
            before = pretraining(rows, seed, f"dft:b:{size}+forces", 4 + x, **given)
            before["dft_t_energy_mae_mev"] = float(np.exp(4 + x))
            y = LN + (architecture == "mace") * 0.5 + slope * x + curve * x**2
            rows.stage(y, CC, parent=before, **given)

    claims = replicated(4, fill).assess()
    a, b = part_of(claims, "2a"), part_of(claims, "2b")
    assert (a.verdict, b.verdict) == verdicts
    assert a.group == "50 target labels"
    assert a.factor == pytest.approx(2**-slope, rel=0.1)
    # Of x² at −1, 0, 1 the best line is 2/3: the curve is farthest from it at 0, by two thirds.
    assert b.factor == pytest.approx(np.exp(-2 / 3 * curve), rel=0.06)
    assert a.n_pairs == a.n_clusters == 24
    assert any("nequip" in note and "mace" in note for note in b.notes)
    assert "the test error on its own method's labels" in " ".join(a.notes)
    expected = "contradicted" if "contradicted" in verdicts else "supported"
    assert claims[2].verdicts == {"not compared": expected}


def test_no_line_is_drawn_through_seeds_alone() -> None:
    """Target sizes with one pre-training set each, as mixes of equal cost have, are left out."""

    def fill(rows: Rows, seed: int) -> None:
        luck = rows.rng.normal(0, 0.3)
        before = pretraining(rows, seed, "dft:b:500+forces", 4 + luck)
        before["dft_t_energy_mae_mev"] = float(np.exp(4 + luck))
        rows.stage(LN - luck, "cc:a:75", parent=before)
        direct_and_fine_tuned(-0.4)(rows, seed)

    parts = [part for part in replicated(4, fill).assess()[2].parts if part.part == "a"]
    assert [part.group for part in parts] == ["50 target labels"]


def test_validation_errors_stand_in_for_test_errors_of_the_parents() -> None:
    rows = replicated(4, direct_and_fine_tuned(-0.4))
    for row in rows.rows:
        if tested := row.pop("parent_dft_t_energy_mae_mev", None):
            row["parent_validation_energy_mae_mev"] = tested
    found = part_of(rows.assess(), "2a")
    assert found.verdict == "supported"
    assert "the validation error" in found.notes[0]


@pytest.mark.parametrize(("effect", "verdict"), [(-0.3, "supported"), (0.3, "contradicted")])
def test_forces(effect: float, verdict: str) -> None:
    def fill(rows: Rows, seed: int) -> None:
        for forces in (True, False):
            before = pretraining(rows, seed, f"dft:b:400{'+forces' * forces}")
            rows.stage(LN + effect * forces, CC, parent=before)

    found = part_of(replicated(4, fill).assess(), "3a")
    assert found.verdict == verdict
    assert found.factor == pytest.approx(np.exp(effect), rel=0.06)


def closer_and_cheaper(at_cost: float) -> Any:  # noqa: ANN401
    def fill(rows: Rows, seed: int) -> None:
        for labels, gain in (
            ("dft:b:40", 0.0),
            ("xtb:b:40", 0.5),
            ("xtb:b:4000", at_cost),  # as dear as 40 of dft
            ("dft:b:400", 0.0),
            ("xtb:b:40000", 0.8),
        ):
            rows.stage(LN + gain, CC, parent=pretraining(rows, seed, labels))

    return fill


def test_closer_method_wins_at_equal_size_and_cheaper_at_equal_cost() -> None:
    claims = replicated(5, closer_and_cheaper(-0.4)).assess()
    a, b = part_of(claims, "4a"), part_of(claims, "4b")
    assert a.verdict == b.verdict == "supported"
    assert a.factor == pytest.approx(np.exp(-0.5), rel=0.06)
    assert b.group == "xtb 4000 against dft 40, 50 target labels"
    assert b.level == pytest.approx(0.975)  # two comparisons at equal cost
    assert b.factor == pytest.approx(np.exp(-0.4), rel=0.06)
    assert claims[4].verdicts["equal caps"] == "supported"


def test_cheaper_method_never_wins() -> None:
    found = part_of(replicated(5, closer_and_cheaper(0.4)).assess(), "4b")
    assert found.verdict == "contradicted"


def test_cheaper_method_may_win_where_one_comparison_is_open() -> None:
    found = part_of(replicated(5, closer_and_cheaper(0.0)).assess(), "4b")
    assert found.verdict == "undecided"
    assert found.group.startswith("xtb 4000")


def test_costs_may_be_given() -> None:
    rows = replicated(5, closer_and_cheaper(-0.4))
    found = part_of(rows.assess(costs={"xtb": 10, "dft": 10, "cc": 100}), "4b")
    assert found.group.startswith("xtb 40 against dft 40")
    found = part_of(rows.assess(costs={"dft": 10, "cc": 100}), "4b")
    assert found.n_pairs == 0


@pytest.mark.parametrize(
    ("effect", "verdict"), [(0.3, "supported"), (0.09, "undecided"), (-0.2, "contradicted")]
)
def test_readout_alone(effect: float, verdict: str) -> None:
    def fill(rows: Rows, seed: int) -> None:
        before = pretraining(rows, seed)
        rows.stage(LN, CC, parent=before)
        rows.stage(LN + effect, CC, parent=before, trainable="readout")

    found = part_of(replicated(5, fill).assess(), "5a")
    assert found.verdict == verdict
    assert verdict != "undecided" or "the margin, a factor of 1.1" in found.reason


def backbones(of_dft: float, of_xtb: float) -> Any:  # noqa: ANN401
    def fill(rows: Rows, seed: int) -> None:
        for gain, labels in (
            (0.0, ("dft:b:400+forces", "xtb:b:400+forces")),
            (of_dft, ("dft:b:400+forces",)),
            (of_xtb, ("xtb:b:400+forces",)),
            (0.0, ("dft:b:800+forces",)),
        ):
            before = rows.stage(4, *labels, seed=seed)
            rows.stage(LN + gain, CC, parent=before, trainable="readout")

    return fill


def test_multi_headed_backbone_is_better_than_each_alone() -> None:
    claims = replicated(4, backbones(0.3, 0.5)).assess()
    for method, effect in (("dft", -0.3), ("xtb", -0.5)):
        found = part_of(claims, "6a", group=f"against a backbone of {method}")
        assert found.verdict == "supported"
        assert found.factor == pytest.approx(np.exp(effect), rel=0.06)
        assert found.n_pairs == 4


def test_multi_headed_backbone_must_beat_both() -> None:
    claims = replicated(4, backbones(-0.3, 0.5)).assess()
    assert claims[6].verdicts["equal caps"] == "contradicted"


@pytest.mark.parametrize(("curve", "verdict"), [(0.0, "supported"), (0.4, "contradicted")])
def test_errors_of_heads_lie_on_a_line(curve: float, verdict: str) -> None:
    def fill(rows: Rows, seed: int) -> None:
        for x in (-1.0, 0.0, 1.0):
            labels = (CC, f"dft:b:{int(100 * 4 ** (1 - x))}+forces")
            error = float(np.exp(3 + x))
            y = LN + 0.5 * x + curve * x**2
            rows.stage(y, *labels, seed=seed, dft_t_energy_mae_mev=error)

    claims = replicated(5, fill).assess()
    slope, bend = part_of(claims, "6b"), part_of(claims, "6c")
    assert slope.verdict == "supported"
    assert slope.factor == pytest.approx(2**-0.5, rel=0.05)
    assert bend.verdict == verdict
    assert slope.group == bend.group == "against the dft head"


@pytest.mark.parametrize(("effect", "verdict"), [(0.15, "supported"), (-0.15, "contradicted")])
def test_multi_headed_against_fine_tuned(effect: float, verdict: str) -> None:
    def fill(rows: Rows, seed: int) -> None:
        rows.stage(LN + effect, CC, "dft:b:400+forces", seed=seed)
        rows.stage(LN, CC, parent=pretraining(rows, seed))
        rows.stage(LN + 9, CC, parent=pretraining(rows, seed, "dft:b:800+forces"))

    found = part_of(replicated(5, fill).assess(), "7a")
    assert found.verdict == verdict
    assert found.n_pairs == 5
    assert f"worse in {5 if effect > 0 else 0} of 5 pairs" in found.notes


@pytest.mark.parametrize(("effect", "verdict"), [(-0.3, "supported"), (0.3, "contradicted")])
def test_three_heads(effect: float, verdict: str) -> None:
    def fill(rows: Rows, seed: int) -> None:
        rows.stage(LN, CC, seed=seed)
        rows.stage(LN - 5, CC, "dft:b:400+forces", seed=seed)
        rows.stage(LN + effect, CC, "dft:b:400+forces", "xtb:b:400+forces", seed=seed)

    found = part_of(replicated(5, fill).assess(), "7b")
    assert found.verdict == verdict
    assert found.n_pairs == 5


@pytest.mark.parametrize(
    ("effect", "verdict"), [(0.0, "supported"), (0.095, "undecided"), (0.3, "contradicted")]
)
def test_replacement(effect: float, verdict: str) -> None:
    def fill(rows: Rows, seed: int) -> None:
        rows.stage(LN, "cc:a:100", seed=seed)
        rows.stage(LN, "cc:a:400", seed=seed)  # costs four times as much: no part
        before = pretraining(rows, seed, "dft:b:500+forces")  # 50 000, as 50 of cc
        rows.stage(LN + effect, CC, parent=before)
        rows.stage(LN + effect, CC, "dft:b:500+forces", seed=seed)

    found = part_of(replicated(5, fill).assess(), "8a")
    assert found.verdict == verdict
    assert (found.n_pairs, found.n_clusters) == (10, 5)
