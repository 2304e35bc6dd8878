"""Flattened columns of two hand-made stages: names, values and the parent's columns."""

import math
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mfscale.results import Store, flatten
from mfscale.results.rows import row_table

Row = dict[str, object]


@pytest.fixture
def frame(store: Store, pretrained: Row, finetuned: Row) -> pd.DataFrame:
    store.publish(finetuned)
    store.publish(pretrained)
    return store.frame().set_index("stage_id")


@pytest.mark.parametrize(
    ("column", "root", "child"),
    [
        ("status", "finished", "finished"),
        ("step", 0, 1),
        ("parent_id", None, "aa11"),
        ("n_parameters", 12_345, None),
        ("converged", True, None),
        ("hp_learning_rate", 0.01, 0.002),
        ("hp_batch_size", 8, 4),
        ("hp_loss", None, None),
        ("cc_size", None, 50),
        ("cc_n_validation", None, 10),
        ("cc_subset", None, "a"),
        ("cc_forces", None, False),
        ("dft_size", 400, 100),
        ("dft_weight", 1.0, 0.1),
        ("dft_forces", True, True),
        ("labels", "dft:b:400+forces", "cc:a:50 & dft:b:100+forces"),
        ("pretraining", "none", "dft:b:400+forces"),
        # The 100 replayed labels are among the 400 of the pre-training: draws nest.
        ("n_labels_dft", 400, 400),
        ("n_labels_cc", 0, 50),
        ("offset_dft_O_ev", -2041.5, None),
        ("energy_scale_cc_ev", None, 0.25),
        ("energy_scale_old_ev", None, 2.0),
        ("dft_sampling_ratio", None, 2.0),
        ("dft_beside", "none", "cc:a:50"),
        ("cc_beside", None, "dft:b:100+forces"),
        # A kept head learned xTB labels long ago, and is measured against them by its own name.
        ("old_t_energy_mae_mev", None, 80),
        ("old_vs_cc_t_energy_mae_mev", None, 90),
        # Errors count up from 100, 200, … in the order end, start, baseline (see conftest).
        ("dft_t_energy_mae_mev", 100, None),
        ("dft_t_energy_mae_mev_per_atom", 101, None),
        ("dft_t_energy_rmse_mev", 102, None),
        ("dft_t_forces_mae_mev_per_a", 104, None),
        ("dft_t_forces_rmse_mev_per_a", 105, None),
        ("start_dft_t_energy_mae_mev", 106, None),
        ("baseline_dft_t_energy_mae_mev", 112, None),
        ("dft_vs_cc_t_energy_mae_mev", 200, None),
        ("cc_t_energy_mae_mev", None, 10),
        ("cc_vs_dft_t_forces_mae_mev_per_a", None, 24),
        ("dft_b_validation_energy_mae_mev", 300, 60),
        ("cc_a_validation_energy_mae_mev", None, 30),
        # Only a stage with a single head has one validation error to speak of.
        ("validation_energy_mae_mev", 300, None),
        ("start_validation_forces_mae_mev_per_a", 310, None),
        ("parent_size", None, "tiny"),
        ("parent_recipe", None, 2),
        ("parent_converged", None, True),
        ("parent_hp_learning_rate", None, 0.01),
        ("parent_hp_batch_size", None, 8),
        ("parent_hp_loss", None, None),
        ("parent_n_parameters", None, 12_345),
        ("parent_dft_size", None, 400),
        ("parent_labels", None, "dft:b:400+forces"),
        ("parent_pretraining", None, "none"),
        ("parent_dft_t_energy_mae_mev", None, 100),
        ("parent_validation_energy_mae_mev", None, 300),
    ],
)
def test_columns(frame: pd.DataFrame, column: str, root: object, child: object) -> None:
    for stage_id, expected in (("aa11", root), ("bb22", child)):
        value = frame.loc[stage_id, column]
        if expected is None:
            assert pd.isna(value)
        else:
            assert value == expected


def test_nested_fields_leave_no_trace(frame: pd.DataFrame) -> None:
    assert not {"heads", "lineage", "evaluations", "offsets", "hyperparameters"} & set(frame)
    assert frame.columns.is_unique


def test_whole_numbers_stay_whole_beside_missing_ones(frame: pd.DataFrame) -> None:
    assert frame["cc_size"].dtype == "Int64"
    assert frame["cc_forces"].dtype == "boolean"
    assert frame["cc_t_energy_mae_mev"].dtype == "float64"


def test_a_failed_row_among_finished_ones(
    store: Store, pretrained: Row, brief_row: Callable[..., Row]
) -> None:
    store.publish(pretrained)
    store.publish(brief_row("ff00", status="failed", reason="out of memory", parent_id="gone"))
    row = store.frame().set_index("stage_id").loc["ff00"]
    assert row["reason"] == "out of memory"
    for column in ("labels", "pretraining", "n_labels_dft", "dft_t_energy_mae_mev", "parent_size"):
        assert pd.isna(row[column])


def test_a_chain_names_its_steps_in_order(brief_row: Callable[..., Row]) -> None:
    def labels(step: int, method: str, size: int) -> Row:
        entry = {"step": step, "stage_id": f"s{step}", "head": method, "method": method}
        return entry | {"subset": "b", "size": size, "forces": method == "dft"}

    lineage = [labels(0, "xtb", 1000), labels(1, "dft", 200), labels(1, "xtb", 80)]
    lineage.append(labels(2, "cc", 50))
    rows = [
        row_table(brief_row("s2", step=2, lineage=lineage)),
        row_table(brief_row("s0", step=0, lineage=lineage[:1])),
    ]
    frame = flatten(pa.concat_tables(rows)).set_index("stage_id")
    assert frame.loc["s2", "pretraining"] == "xtb:b:1000 > dft:b:200+forces & xtb:b:80"
    assert frame.loc["s0", "pretraining"] == "none"
    assert frame.loc["s2", ["n_labels_xtb", "n_labels_dft", "n_labels_cc"]].tolist() == [
        1000,
        200,
        50,
    ]


def test_draws_from_two_subsets_are_different_labels(brief_row: Callable[..., Row]) -> None:
    entry = {"stage_id": "x", "head": "cc", "method": "cc", "forces": False}
    lineage = [
        entry | {"step": 0, "subset": "a", "size": 100},
        entry | {"step": 1, "subset": "c", "size": 30},
        entry | {"step": 2, "subset": "a", "size": 40},
    ]
    frame = flatten(row_table(brief_row(step=2, lineage=lineage)))
    assert frame["n_labels_cc"].tolist() == [130]


def of_one_head(name: str, method: str, first: float) -> Row:
    """Make a row of one head; its errors count up from the first."""
    labels = {"method": method, "subset": "a", "size": 50, "forces": False}
    kinds = [
        {"method": reference, "subset": subset, "moment": moment}
        for reference, subset in ((method, "t"), (method, "a/validation"), ("xtb", "t"))
        for moment in ("end", "start", "baseline")
    ]
    shared = {"head": name, "metric": "energy_mae", "unit": "meV"}
    return {
        "heads": [{"name": name} | labels],
        "evaluations": [shared | kind | {"value": first + i} for i, kind in enumerate(kinds)],
    }


def test_a_head_named_otherwise_than_its_method(brief_row: Callable[..., Row]) -> None:
    """Rows of one frame may differ in what a head learns, and a name may be another's method."""
    rows = [
        brief_row("a", **of_one_head("target", "cc", 100)),
        brief_row("b", **of_one_head("target", "dft", 200)),
        brief_row("c", parent_id="a", **of_one_head("xtb", "cc", 300)),
    ]
    frame = flatten(pa.concat_tables([row_table(row) for row in rows])).set_index("stage_id")
    for name, expected in {
        "target_t": [100, 200, None],
        "start_target_t": [101, 201, None],
        "baseline_target_t": [102, 202, None],
        "target_a_validation": [103, 203, None],
        "start_target_a_validation": [104, 204, None],
        "target_vs_xtb_t": [106, 206, None],
        "baseline_target_vs_xtb_t": [108, 208, None],
        "xtb_t": [None, None, 300],
        "xtb_vs_xtb_t": [None, None, 306],
        "validation": [103, 203, 303],
        "start_validation": [104, 204, 304],
        "baseline_validation": [105, 205, 305],
        "parent_target_t": [None, None, 100],
        "parent_target_vs_xtb_t": [None, None, 106],
        "parent_validation": [None, None, 103],
    }.items():
        found = frame[f"{name}_energy_mae_mev"]
        assert [None if pd.isna(value) else value for value in found] == expected, name
    assert not [name for name in frame if "_vs_cc_" in str(name) or "_vs_dft_" in str(name)]


values = st.floats(allow_nan=False, allow_infinity=True)
heads = st.sampled_from(["xtb", "dft", "cc"])
learned = st.dictionaries(heads, heads, max_size=3)
errors = st.dictionaries(st.tuples(heads, heads), values, max_size=5)


@given(
    st.lists(
        st.tuples(st.none() | learned, st.none() | errors),
        min_size=1,
        max_size=8,
    )
)
def test_every_error_lands_in_its_row_and_column(
    rows: list[tuple[dict[str, str] | None, dict[tuple[str, str], float] | None]],
) -> None:
    """Against the definition, one entry at a time; rows without a list among those with one."""
    kind = {"subset": "t", "moment": "end", "metric": "energy_mae", "unit": "meV"}
    tables, expected = [], {}
    for i, (methods, found) in enumerate(rows):
        row: Row = {"stage_id": f"s{i}", "attempt": 0, "status": "finished", "purpose": "science"}
        if methods is not None:
            labels = {"subset": "a", "size": 1}
            row["heads"] = [{"name": h, "method": m} | labels for h, m in methods.items()]
        if found is not None:
            row["evaluations"] = [
                {"head": head, "method": method, "value": value} | kind
                for (head, method), value in found.items()
            ]
        tables.append(row_table(row))
        for (head, method), value in (found or {}).items():
            own = head if methods is None else methods.get(head)
            pair = head if method == own else f"{head}_vs_{method}"
            expected[i, f"{pair}_t_energy_mae_mev"] = value
    frame = flatten(pa.concat_tables(tables))
    columns = [
        name for name in frame if "_t_energy" in str(name) and not str(name).startswith("parent_")
    ]
    found = {
        (i, str(name)): frame.loc[i, name]
        for name in columns
        for i in range(len(rows))
        if not math.isnan(frame.loc[i, name])
    }
    assert found == expected


def test_flattened_rows_survive_a_csv_file(frame: pd.DataFrame, tmp_path: Path) -> None:
    frame.to_csv(tmp_path / "flat.csv")
    read = pd.read_csv(tmp_path / "flat.csv").set_index("stage_id")
    assert read.loc["bb22", "parent_validation_energy_mae_mev"] == 300
    assert read.loc["bb22", "labels"] == "cc:a:50 & dft:b:100+forces"
