"""``suggest`` on a real store: a study file that plans, shares stages and asks for no others."""

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from mfscale.cli._catalogue import catalogue
from mfscale.cli._next_study import studies_of
from mfscale.cli._runs import Run, runs_around
from mfscale.cli.study import expand_file
from mfscale.results import Store
from mfscale.study import expand, parse_study
from tests.cli.conftest import Command, answer, assert_one_message

Call = Callable[..., Result]


def finished(store: Store) -> set[str]:
    return {stage for stage, status in store.statuses().items() if status == "finished"}


@pytest.mark.parametrize(
    ("question", "asked"),
    [
        (("--predict-at", 64), "cc_size = 64"),
        (("--predict-at", 64, "--predict-at", 16, "--where", "pretraining=none"), "cc_size = 16"),
        (("--law", "line", "--predict-at", 1000), "parent_validation_energy_mae_mev = 1000"),
        (("--predict-at", "cc=64,dft=32"), "n_labels_cc = 64, n_labels_dft = 32"),
    ],
)
def test_the_file_asks_for_what_was_chosen(
    question: tuple[object, ...],
    asked: str,
    call: Call,
    store: Store,
    study_file: Path,
    tmp_path: Path,
) -> None:
    out = tmp_path / "next.yaml"
    of = ("--store", store.path, "--study", study_file, *question, "--budget", 5)
    found = answer(call("suggest", *of, "--out", out, "--json"))
    assert 0 < found["cost"] == len(found["new_stages"]) <= 5
    assert any(asked in row["asked"] for row in found["answers"])
    written = [expand_file(Path(path), store.path) for path in found["files"]]
    stages = {stage for graph in written for stage in graph.stages}
    assert stages - finished(store) == set(found["new_stages"])
    planned = answer(call("plan", out, "--store", store.path, "--json"))
    assert planned["to_run"] == len(set(written[0].stages) - finished(store)) > 0
    text = out.read_text()
    assert text.startswith("# Suggested to narrow an answer of small")
    assert f"{asked}" in text
    for row in found["answers"]:
        if row["narrowing"] is not None:
            assert row["expected_high"] / row["expected_low"] < row["high"] / row["low"] * 1.0001
    codes = {warning["code"] for warning in found["warnings"]}
    assert codes & {"few-clusters", "few-points", "one-draw"}
    assert out.read_text().count("interval now") == len(found["answers"])


def test_it_shows_what_it_would_do_without_a_file(
    call: Call, store: Store, study_file: Path
) -> None:
    of = ("--store", store.path, "--study", study_file, "--invert", 1000)
    shown = call("suggest", *of, "--budget", 3, "--where", "pretraining=none")
    assert "3 new stages, 3 stages of 3" in shown.stdout
    assert "--out FILE" in shown.stdout
    assert "narrowing" in shown.stdout


def test_a_known_checkpoint_is_shared(
    call: Call, store: Store, study_file: Path, tmp_path: Path
) -> None:
    """At one stage, a further size of a checkpoint that there is already is all that can be had."""
    out = tmp_path / "next.yaml"
    where = ("--where", "pretraining=dft:b:8+forces")
    of = ("--store", store.path, "--study", study_file, *where, "--predict-at", 64)
    call("suggest", *of, "--budget", 1, "--out", out)
    graph = expand_file(out, store.path)
    (new,) = set(graph.stages) - finished(store)
    parent = graph.stages[new].parent_id
    assert parent in finished(store)
    assert graph.stages[new].heads["cc"].size in {4, 32, 64}


def test_strategies_share_a_file_where_finished_runs_fill_the_lists(
    store: Store, study_file: Path
) -> None:
    """Of seed 2 no strategy has a finished run: a fine-tuning of it and a direct run need two."""
    offer = runs_around(study_file, store.path, catalogue(), target="cc", earlier=False)
    done = frozenset(finished(store))

    def new(strategy: str, seed: int) -> Run:
        return next(
            run
            for run in offer.runs
            if (run.strategy, run.last.seed) == (strategy, seed) and run.last.id not in done
        )

    for seed, n_files in ((1, 1), (2, 2)):
        chosen = [new("direct", 0), new("finetune", seed)]
        files = studies_of(chosen, offer, done, lambda runs: [f"{len(runs)} runs"])
        assert len(files) == n_files
        asked: set[str] = set()
        for file in files:
            assert file.text.startswith(f"# {2 // n_files} runs\n")
            study = parse_study(file.text, source="next.yaml")
            asked |= set(expand(study, catalogue()).stages)
        assert asked - done == {s.id for run in chosen for s in run.stages} - done


def test_labels_and_seconds_are_budgets_too(call: Call, store: Store, study_file: Path) -> None:
    of = ("--store", store.path, "--study", study_file, "--predict-at", 64, "--json")
    labels = answer(call("suggest", *of, "--unit", "labels-cost", "--budget", 100))
    assert 0 < labels["cost"] <= 100
    # A CC label counts 1; the dataset has a DFT label cost a tenth of it.
    costs = {run["cost"] for run in labels["runs"]}
    assert costs <= {4.0, 8.0, 16.0, 32.0, 64.0, 128.0}
    seconds = answer(call("suggest", *of, "--unit", "seconds", "--budget", 10_000))
    assert 0 < seconds["cost"] <= 10_000


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--predict-at", 64, "--budget", 0), ("budget = 0", "positive")),
        (("--predict-at", 64, "--budget", 0.5), ("budget = 0.5", "cheapest")),
        (("--budget", 5), ("--predict-at X or --invert ERROR",)),
        (("--predict-at", 64, "--invert", 30, "--budget", 5), ("one of them",)),
        (("--predict-at", -1, "--budget", 5), ("cc_size = -1",)),
        (("--predict-at", "many", "--budget", 5), ("many", "write a number")),
        (("--predict-at", "cc=9,n_parameters=9", "--budget", 5), ("not of model size",)),
        (("--predict-at", "cc=9,xtb=9", "--budget", 5), ("xtb = 9", "n_labels_dft")),
        (("--invert", 1e-6, "--budget", 5), ("not reachable",)),
        (("--predict-at", 64, "--budget", 5, "--where", "size=large"), ("size", "large")),
    ],
)
def test_bad_questions_get_one_message(
    options: tuple[object, ...],
    words: tuple[str, ...],
    store: Store,
    study_file: Path,
    mfscale_here: Command,
) -> None:
    of = ("--store", store.path, "--study", study_file)
    assert_one_message(mfscale_here("suggest", *of, *options), *words)


def test_bad_files_get_one_message(
    store: Store, study_file: Path, mfscale_here: Command, tmp_path: Path
) -> None:
    of = ("suggest", "--store", store.path, "--predict-at", 64, "--budget", 5)
    assert_one_message(mfscale_here(*of), "--study")
    assert_one_message(mfscale_here(*of, "--study", "nowhere.yaml"), "nowhere.yaml")
    taken = tmp_path / "taken.yaml"
    taken.write_text("mine")
    refused = mfscale_here(*of, "--study", study_file, "--out", taken)
    assert_one_message(refused, "taken.yaml exists")
    assert taken.read_text() == "mine"
    nowhere = mfscale_here(*of, "--study", study_file, "--out", tmp_path / "none" / "next.yaml")
    assert_one_message(nowhere, "none")
