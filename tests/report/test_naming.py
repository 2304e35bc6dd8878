"""Columns and groups under the names that people read."""

import pytest

from mfscale.report import column_label, group_names
from mfscale.report.naming import (
    names_of_groups,
    shared_by_groups,
    title_of_groups,
    told_apart,
    with_method_names,
)


@pytest.mark.parametrize(
    ("column", "label"),
    [
        ("cc_t_energy_mae_mev", "CC test MAE (meV)"),
        ("cc_t_energy_rmse_mev_per_atom", "CC test RMSE (meV/atom)"),
        ("dft_t_forces_mae_mev_per_a", "DFT test force MAE (meV/Å)"),
        ("cc_vs_dft_t_forces_mae_mev_per_a", "CC against DFT test force MAE (meV/Å)"),
        ("parent_validation_energy_mae_mev", "pre-trained validation MAE (meV)"),
        ("dft_b_validation_energy_mae_mev", "DFT validation MAE (meV)"),
        ("start_cc_t_energy_mae_mev", "CC test MAE before training (meV)"),
        ("baseline_cc_t_energy_mae_mev", "CC test MAE of the offsets alone (meV)"),
        ("cc_size", "CC training labels"),
        ("parent_dft_size", "DFT pre-training labels"),
        ("root_id", "pre-trained checkpoint"),
        ("my_own_column", "my own column"),
    ],
)
def test_columns(column: str, label: str) -> None:
    assert column_label(column) == label


def test_pretraining() -> None:
    values = ["none", "dft:b:100+forces", "xtb:b:1000 > dft:b:200", "dft:b:400 & cc:a:50", None]
    assert group_names("pretraining", values) == [
        "none (direct)",
        "DFT 100",
        "xTB 1000 → DFT 200",
        "DFT 400 & CC 50",
        "missing",
    ]


def test_names_that_would_coincide_say_more() -> None:
    values = ["dft:b:100", "dft:b:100+forces", "dft:b:200"]
    assert group_names("pretraining", values) == [
        "DFT 100 (no forces)",
        "DFT 100 (forces)",
        "DFT 200",
    ]
    assert group_names("pretraining", ["dft:b:100", "dft:c:100"]) == ["DFT 100 (b)", "DFT 100 (c)"]
    values = ["dft:b:100", "dft:c:100", "dft:b:100+forces"]
    assert len(set(group_names("pretraining", values))) == 3
    assert group_names("pretraining", ["dft:b:100", "dft:b:100"]) == ["DFT 100", "DFT 100"]


GROUPS = [
    {
        "pretraining": pretraining,
        "cc_beside": "none",
        "size": "tiny",
        "trainable": trainable,
        "hp_learning_rate": rate,
        "hp_max_steps": steps,
    }
    for pretraining, trainable, rate, steps in (
        ("none", "all", 0.03507, 1500),
        ("dft:b:100+forces", "all", 0.00616, 800),
        ("dft:b:100+forces", "all", 0.00616, 1500),
        ("dft:b:100+forces", "readout", 0.00711, 1500),
    )
]


def test_groups_are_named_by_what_tells_them_apart() -> None:
    assert names_of_groups(GROUPS) == [
        "none (direct)",
        "DFT 100, max steps 800",
        "DFT 100, max steps 1500",
        "DFT 100, readout alone",
    ]
    assert title_of_groups(GROUPS) == "pre-training, trainable, settings"
    assert shared_by_groups(GROUPS) == "tiny"
    assert told_apart(GROUPS) == ["pretraining", "trainable", "hp_max_steps"]


def test_a_single_group_and_none() -> None:
    assert names_of_groups(GROUPS[:1]) == ["none (direct), tiny"]
    assert names_of_groups([{}]) == ["all runs"]
    assert names_of_groups([{"cc_beside": "none"}, {"cc_beside": "dft:b:100"}]) == [
        "alone",
        "with DFT 100",
    ]


def test_methods_in_a_sentence() -> None:
    assert with_method_names("xtb 100 against my-dft, dft") == "xTB 100 against my-dft, DFT"


def test_other_columns_keep_their_values() -> None:
    assert group_names("cc_size", [25, 50.0, "a:b:1"]) == ["25", "50", "a:b:1"]
    assert group_names("pretraining_kind", ["dft:b+forces"]) == ["DFT"]
