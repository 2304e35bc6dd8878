"""Every command on a store that real training filled: what people see, what scripts get."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import Result
from typer.testing import CliRunner

from mfscale.cli import app
from mfscale.results import Store

Call = Callable[..., Result]

DIRECT = """
dataset: chno3
seed: [0, 1]
training: {max_steps: 10, validate_every: 10, batch_size: 8}
strategies: {mine: [{heads: {cc: {subset: a, size: [8, 16], validation: 8}}}]}
"""
"""Part of the study that the store holds, under another name."""


def answer(result: Result) -> Any:  # noqa: ANN401 - whatever JSON a command prints
    """What a script reads: strict JSON on standard output."""
    return json.loads(result.stdout, parse_constant=lambda name: pytest.fail(f"{name} in JSON"))


def test_plan_tells_cached_shared_and_what_will_run(
    call: Call, study_file: Path, store: Store
) -> None:
    plan = answer(call("plan", study_file, "--store", store.path, "--cpus", 2, "--json"))
    # 2 seeds × (3 direct + 2 × (1 pre-training, asked for twice) + 4 fine-tunings)
    assert (plan["requested"], plan["stages"]) == (22, 18)
    assert (plan["cached"], plan["to_run"]) == (17, 1)
    assert plan["estimate_s"] > 0
    assert "17 stages already measured" in plan["estimate_basis"]
    statuses = [stage["status"] for stage in plan["details"]]
    assert statuses == ["cached"] * 17 + ["to run"]
    shown = call("plan", study_file, "--store", store.path).stdout
    assert "22 steps make 18 stages (4 shared); 17 are cached, 1 will run" in shown
    assert "dft:b:16+forces" in shown


def test_plan_of_a_study_needs_no_store(call: Call, study_file: Path, tmp_path: Path) -> None:
    plan = answer(call("plan", study_file, "--store", tmp_path / "none", "--json"))
    assert plan["to_run"] == 18
    assert "reference rates" in plan["estimate_basis"]
    assert not (tmp_path / "none").exists()


def test_status_counts(call: Call, study_file: Path, store: Store) -> None:
    assert answer(call("status", "--store", store.path, "--json"))["finished"] == 17
    of_study = answer(call("status", study_file, "--store", store.path, "--json"))
    assert (of_study["finished"], of_study["missing"]) == (17, 1)
    assert "17 finished, 1 missing" in call("status", study_file, "--store", store.path).stdout


def test_results_filter_group_and_pivot(call: Call, store: Store) -> None:
    rows = answer(call("results", "--store", store.path, "--where", "cc_size>=16", "--json"))
    assert {row["cc_size"] for row in rows} == {16, 32}
    assert all(row["cc_t_energy_mae_mev"] > 0 for row in rows)
    grouped = answer(
        call("results", "--store", store.path, "--group-by", "pretraining,cc_size",
             "--where", "pretraining=none", "--where", "cc_size>0",
             "--values", "cc_t_energy_mae_mev", "--json")
    )  # fmt: skip
    assert [(g["cc_size"], g["n"]) for g in grouped] == [(8, 2), (16, 2), (32, 2)]
    pivot = answer(
        call("results", "--store", store.path, "--pivot", "pretraining:cc_size:cc_t_energy_mae_mev",
             "--where", "cc_size>0", "--json")
    )  # fmt: skip
    assert {row["pretraining"] for row in pivot} == {"none", "dft:b:8+forces", "dft:b:16+forces"}
    shown = call("results", "--store", store.path, "--columns", "labels,steps").stdout.splitlines()
    assert shown[0].split() == ["labels", "steps"]
    assert len(shown) == 18


def test_all_columns_are_tab_separated_text(call: Call, store: Store) -> None:
    header, *rows = call("results", "--store", store.path, "--columns", "all").stdout.splitlines()
    assert {"stage_id", "cc_t_energy_mae_mev", "hp_batch_size"} <= set(header.split("\t"))
    assert len(rows) == 17


def test_columns_are_chosen_in_tables_alone(store: Store) -> None:
    refused = CliRunner().invoke(app, ["fit", "--store", str(store.path), "--y", "cc_size"])
    assert refused.exit_code == 2
    assert "go with --table" in refused.output


def test_results_of_one_study(call: Call, store: Store, tmp_path: Path) -> None:
    study = tmp_path / "direct.yaml"
    study.write_text(DIRECT)
    rows = answer(call("results", "--store", store.path, "--study", study, "--json"))
    assert [(row["cc_size"], row["seed"]) for row in rows] == [(8, 0), (8, 1), (16, 0), (16, 1)]


def test_sql_counts_what_results_shows(call: Call, store: Store) -> None:
    query = "select status, count(*) as n from results group by all"
    assert answer(call("sql", query, "--store", store.path, "--json")) == [
        {"status": "finished", "n": 17}
    ]
    assert "finished" in call("sql", query, "--store", store.path).stdout


def test_fit_reports_both_laws_in_words_and_numbers(call: Call, store: Store) -> None:
    shown = call("fit", "--store", store.path).stdout
    assert "Doubling the CC training labels multiplies the CC test MAE (meV) by" in shown
    assert "pre-trained validation MAE (meV)" in shown
    assert "root_id" in shown
    fits = answer(call("fit", "--store", store.path, "--json"))
    groups = {(f["law"], *f["group"].values()) for f in fits}
    assert ("power", "none") in groups
    assert ("line", 8) in groups
    direct = next(f for f in fits if f["group"] == {"pretraining": "none"})
    assert direct["solution"]["n_clusters"] == 6  # every direct run is a checkpoint of its own
    assert "one-draw" in {w["code"] for w in direct["warnings"]}
    assert "one draw of labels" in shown


def test_a_law_that_cannot_be_fitted_does_not_hide_the_other(
    call: Call, store: Store, tmp_path: Path
) -> None:
    study = tmp_path / "direct.yaml"
    study.write_text(DIRECT)
    both = call("fit", "--store", store.path, "--study", study)
    assert "Doubling the CC training labels" in both.stdout
    assert "left out: no finished stage has both" in both.stderr
    assert len(answer(call("fit", "--store", store.path, "--study", study, "--json"))) == 1


def test_runs_trained_otherwise_are_a_group_of_their_own(
    call: Call, store: Store, tmp_path: Path
) -> None:
    """The same labels with another cap of steps: pooled, they would only widen the law."""
    mixed = Store(tmp_path / "store", create=True)
    rows = [row for row in store.table().to_pylist() if row["step"] == 0]
    for row in rows:
        mixed.publish(row)
        longer = {**row["hyperparameters"], "max_steps": 9999}
        other = f"other{row['stage_id']}"
        mixed.publish({**row, "stage_id": other, "root_id": other, "hyperparameters": longer})
    fits = answer(call("fit", "--store", mixed.path, "--law", "power", "--json"))
    assert [(f["group"]["hp_max_steps"], f["solution"]["n_points"]) for f in fits] == [
        (10, 6),
        (9999, 6),
    ]


def test_fit_of_the_store_is_the_least_squares_line_of_its_rows(call: Call, store: Store) -> None:
    rows = answer(call("results", "--store", store.path, "--where", "pretraining=none",
                       "--where", "cc_size>0", "--json"))  # fmt: skip
    x = np.log([row["cc_size"] for row in rows])
    y = np.log([row["cc_t_energy_mae_mev"] for row in rows])
    slope, _ = np.polyfit(x, y, 1)
    fits = answer(call("fit", "--store", store.path, "--law", "power", "--json"))
    direct = next(f for f in fits if f["group"] == {"pretraining": "none"})
    assert direct["parameters"]["exponent"]["estimate"] == pytest.approx(-slope, rel=1e-9)


def test_fit_and_predict_on_a_table_of_ones_own(call: Call, tmp_path: Path) -> None:
    """Exact data, y = 3·x^−0.5, for two groups whose amplitudes differ by a factor of 2."""
    table = tmp_path / "mine.csv"
    with table.open("w") as file:
        writer = csv.writer(file)
        writer.writerow(["labels", "mae", "code"])
        for x in (1, 4, 16, 64):
            writer.writerows([[x, 3 * x**-0.5, "A"], [x, 6 * x**-0.5, "B"]])
    options = ("--table", table, "--x", "labels", "--y", "mae", "--group", "code")
    fits = answer(call("fit", *options, "--json"))
    assert [f["parameters"]["exponent"]["estimate"] for f in fits] == pytest.approx([0.5, 0.5])
    said = answer(call("predict", *options, "--at", 100, "--json"))
    assert [row["median"] for row in said["predictions"]] == pytest.approx([0.3, 0.6])
    assert any("beyond the data" in warning["message"] for warning in said["warnings"])
    assert "0.3" in call("predict", *options, "--at", 100).stdout


def test_plot_writes_both_figures(call: Call, store: Store, tmp_path: Path) -> None:
    written = answer(call("plot", "--store", store.path, "--out", tmp_path / "figures", "--json"))
    starts = {Path(path).name: Path(path).read_bytes()[:4] for path in written}
    assert starts == {
        "error-against-labels.png": b"\x89PNG",
        "error-against-labels.pdf": b"%PDF",
        "fine-tuned-against-pretrained.png": b"\x89PNG",
        "fine-tuned-against-pretrained.pdf": b"%PDF",
    }


def test_data_describe(call: Call) -> None:
    found = answer(call("data", "describe", "chno3", "--json"))
    assert found["structures"] == 17000
    differences = {(d["method"], d["reference"]): d["std_mev"] for d in found["differences"]}
    # the dataset's README: about 0.17 eV and 0.35 eV
    assert differences["dft", "cc"] == pytest.approx(170, abs=10)
    assert differences["xtb", "cc"] == pytest.approx(350, abs=10)
    assert "17000 structures of 62 molecules" in call("data", "describe", "chno3").stdout
