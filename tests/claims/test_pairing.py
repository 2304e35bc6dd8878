"""Only like is compared with like, under a budget that is named."""

from typing import Any

import numpy as np
import pytest

from mfscale.claims import ClaimsError, assess
from tests.claims.conftest import Rows, part_of, pretraining, replicated

CC, LN = "cc:a:50", 4.6


def pair(rows: Rows, seed: int, direct: dict[str, Any], tuned: dict[str, Any]) -> None:
    rows.stage(LN, CC, seed=seed, **direct)
    rows.stage(LN - 0.5, CC, parent=pretraining(rows, seed), **tuned)


def n_pairs(direct: dict[str, Any], tuned: dict[str, Any], budget: str = "equal caps") -> int:
    rows = replicated(3, lambda rows, seed: pair(rows, seed, direct, tuned))
    return part_of(rows.assess(), "1a", budget).n_pairs


@pytest.mark.parametrize(
    ("direct", "tuned"),
    [
        ({}, {"architecture": "mace"}),
        ({}, {"size": "small"}),
        ({}, {"cutoff_a": 5.0}),
        ({}, {"recipe": 2}),
        ({}, {"dataset": "ani-1ccx"}),
        ({}, {"data_seed": 17}),
        ({}, {"seed": 17}),
        ({"tuning": "each"}, {}),  # tuned never against untuned
        ({"tuning": "each"}, {"tuning": "other"}),
        ({"fidelity": "readout"}, {"fidelity": "embedding"}),
        ({}, {"cc_minus": "dft"}),  # Δ-learning
        ({}, {"parent_dft_minus": "xtb"}),
        ({}, {"cc_size": 51}),
        ({}, {"status": "failed"}),
        ({}, {"purpose": "tune"}),
        ({}, {"hp_max_steps": 1600}),
        ({}, {"hp_batch_size": 8}),
        ({}, {"trainable": "freeze_blocks:1"}),
    ],
)
def test_unlike_runs_are_not_paired(direct: dict[str, Any], tuned: dict[str, Any]) -> None:
    assert n_pairs(direct, tuned) == 0


@pytest.mark.parametrize(
    "both",
    [
        {},
        {"tuning": "each"},
        {"fidelity": "readout"},
        {"cc_minus": "xtb"},
        {"cc_minus": None, "tuning": None},
        {"hp_learning_rate": 0.01},
    ],
)
def test_like_runs_are_paired(both: dict[str, Any]) -> None:
    assert n_pairs(both, both) == 3


def test_patience_counts_in_steps() -> None:
    assert n_pairs({}, {"hp_patience": 20, "hp_validate_every": 10}) == 3
    assert n_pairs({}, {"hp_patience": 20}) == 0


def test_budgets_are_told_apart() -> None:
    """Fine-tuned stages see 40 000 samples with their pre-training, direct ones 20 000."""
    assert n_pairs({}, {}, "matched total compute") == 0
    longer = {"total_samples_seen": 39_000, "hp_max_steps": 1600}
    assert n_pairs(longer, {}, "matched total compute") == 3
    assert n_pairs(longer, {}, "equal caps") == 0
    assert n_pairs(longer | {"total_samples_seen": 37_000}, {}, "matched total compute") == 0


def test_compute_of_an_adopted_model_is_unknown() -> None:
    def fill(rows: Rows, seed: int) -> None:
        rows.stage(LN, CC, seed=seed)
        before = pretraining(rows, seed, total_samples_seen=0, stop_reason="adopted")
        rows.stage(LN - 0.5, CC, parent=before)

    claims = replicated(3, fill).assess()
    assert part_of(claims, "1a").n_pairs == 3
    assert part_of(claims, "1a", "matched total compute").n_pairs == 0


def test_caps_of_pretraining_are_equal_where_both_sides_have_it() -> None:
    def fill(rows: Rows, seed: int) -> None:
        for size, steps in ((100, 800), (400, 800), (1600, 3200)):
            before = pretraining(rows, seed, f"dft:b:{size}", hp_max_steps=steps)
            rows.stage(LN, CC, parent=before)

    assert part_of(replicated(3, fill).assess(), "1b").n_pairs == 3


def test_several_learning_rates_of_one_cell_are_averaged() -> None:
    def fill(rows: Rows, seed: int) -> None:
        rows.stage(LN, CC, seed=seed)
        before = pretraining(rows, seed)
        for rate, gain in ((0.003, -0.2), (0.01, -0.6)):
            rows.stage(LN + gain, CC, parent=before, hp_learning_rate=rate)
        if seed == 0:  # more runs of one seed do not make it count more
            for _ in range(5):
                rows.stage(LN - 0.4, CC, parent=before, hp_learning_rate=0.005)

    found = part_of(replicated(4, fill, noise=1e-9).assess(), "1a")
    assert found.factor == pytest.approx(np.exp(-0.4), rel=1e-6)
    assert (found.n_pairs, found.n_clusters) == (13, 4)


def test_runs_that_share_a_checkpoint_are_one_cluster() -> None:
    """A chain: two pre-trainings are linked by the direct runs that both are compared with."""

    def fill(rows: Rows, seed: int) -> None:
        for size in (50, 100):
            rows.stage(LN, f"cc:a:{size}", seed=seed)
        for labels in ("dft:b:400", "xtb:b:400"):
            before = pretraining(rows, seed, labels)
            for size in (50, 100):
                rows.stage(LN - 1, f"cc:a:{size}", parent=before)

    found = part_of(replicated(4, fill).assess(), "1a")
    assert (found.n_pairs, found.n_clusters) == (16, 4)


def test_replay_and_chains_take_no_part_where_labels_must_be_the_same() -> None:
    def fill(rows: Rows, seed: int) -> None:
        before = pretraining(rows, seed, "dft:b:400")
        rows.stage(LN, CC, "dft:b:400", parent=before)  # replay
        rows.stage(LN, CC, "dft:b:400", seed=seed)
        rows.stage(LN, CC, parent=rows.stage(4, "dft:b:400", parent=before))

    assert part_of(replicated(3, fill).assess(), "7a").n_pairs == 0


def test_steps_in_a_row_and_side_by_side_learn_the_same_labels() -> None:
    def fill(rows: Rows, seed: int) -> None:
        rows.stage(LN + 1, CC, "dft:b:400+forces", "xtb:b:400", seed=seed)
        before = pretraining(rows, seed, "xtb:b:400")
        rows.stage(LN, CC, parent=rows.stage(4, "dft:b:400+forces", parent=before))
        both = rows.stage(4, "xtb:b:400", "dft:b:400+forces", seed=seed)
        rows.stage(LN, CC, parent=both)

    assert part_of(replicated(3, fill).assess(), "7a").n_pairs == 6


def test_notes_tell_what_no_interval_shows() -> None:
    def fill(rows: Rows, seed: int) -> None:
        rows.stage(LN, CC, seed=seed, data_seed=0, converged=False)
        rows.stage(LN, CC, parent=pretraining(rows, seed, data_seed=0))

    notes = " ".join(part_of(replicated(3, fill).assess(), "1a").notes)
    assert "one draw of labels" in notes
    assert "3 of 6 runs, or what they start from, were still improving" in notes


def test_columns_that_a_table_lacks_are_done_without() -> None:
    rows = replicated(3, lambda rows, seed: pair(rows, seed, {}, {}))
    frame = rows.frame().drop(columns=["stop_reason", "converged", "split", "parent_converged"])
    found = assess(frame, rows.errors)
    assert found[0].parts[0].n_pairs == 3


def test_a_target_nobody_has() -> None:
    rows = replicated(1, lambda rows, seed: rows.stage(LN, CC, seed=seed))
    with pytest.raises(ClaimsError, match="no column 'ccsd_t_energy_mae_mev'"):
        rows.assess(target="ccsd")
    frame = rows.frame().assign(status="failed")
    with pytest.raises(ClaimsError, match="no finished stage"):
        assess(frame, rows.errors)


def test_tuning_of_pretraining_is_alike_where_both_sides_have_it() -> None:
    def fill(rows: Rows, seed: int) -> None:
        for forces, tuning in (("", "each"), ("+forces", None)):
            before = pretraining(rows, seed, f"dft:b:400{forces}", tuning=tuning)
            rows.stage(LN, CC, parent=before)

    assert part_of(replicated(3, fill).assess(), "3a").n_pairs == 0


def test_differences_to_a_method_are_compared_with_one_another_alone() -> None:
    """Labels of Δ-learning are told as ``cc-xtb``, the errors as those of ``cc``."""

    def fill(rows: Rows, seed: int) -> None:
        delta = {"cc_minus": "xtb", "labels": "cc-xtb:a:50"}
        rows.stage(LN, CC, seed=seed, **delta)
        rows.stage(LN, CC, seed=seed)
        rows.stage(LN - 0.5, CC, parent=pretraining(rows, seed), **delta)

    found = part_of(replicated(3, fill).assess(), "1a")
    assert found.n_pairs == 3
    assert not any("structure by structure" in note for note in found.notes)


def test_differences_learned_long_ago_are_seen() -> None:
    def fill(rows: Rows, seed: int) -> None:
        rows.stage(LN, CC, seed=seed)
        first = pretraining(rows, seed, labels="dft-xtb:b:400", dft_minus="xtb")
        first["labels"] = "dft-xtb:b:400"
        second = rows.stage(4, "dft:b:400", parent=first)
        rows.stage(LN - 0.5, CC, parent=second)

    assert part_of(replicated(3, fill).assess(), "1a").n_pairs == 0
