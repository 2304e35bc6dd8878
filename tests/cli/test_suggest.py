"""``suggest`` on a real store: a study file that plans, shares stages and asks for no others."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from click.testing import Result

from mfscale.cli._catalogue import catalogue
from mfscale.cli._next_study import studies_of
from mfscale.cli._parameters import parameters_foretold
from mfscale.cli._runs import Run, runs_around
from mfscale.cli.study import expand_file
from mfscale.models import LADDER
from mfscale.results import Store
from mfscale.study import expand, parse_study
from tests.cli.conftest import Command, answer, assert_one_message, run_one

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
        (("--mix", 950, "--cost", "cc=10", "--cost", "dft=1"), "cheapest mix for"),
        (("--invert", 950, "--at", "dft=16"), "n_labels_cc for"),
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


SIZES = """
name: sizes
dataset: chno3
model: {architecture: nequip, size: [tiny, small]}
seed: [0, 1]
training: {max_steps: 2, validate_every: 2, batch_size: 4}
strategies: {direct: [{heads: {cc: {subset: a, size: [4, 8, 16], validation: 4}}}]}
"""


@pytest.mark.slow
def test_models_of_other_sizes_are_offered_where_the_law_is_of_size(
    call: Call, tmp_path: Path, mfscale_here: Command
) -> None:
    study = tmp_path / "sizes.yaml"
    study.write_text(SIZES)
    store = Store(tmp_path / "store", create=True)
    for stage in expand_file(study, store.path).stages.values():
        assert run_one(stage, store)["status"] == "finished"
    of = ("suggest", "--store", store.path, "--study", study)
    out = tmp_path / "next.yaml"
    at = ("--predict-at", "cc=32,n_parameters=100000", "--budget", 6)
    found = answer(call(*of, *at, "--out", out, "--json"))
    (row,) = found["answers"]
    assert row["asked"].endswith("n_parameters = 100000, cc_size = 32")
    assert row["narrowing"] < 1
    # What they would have is the ladder's number, which the models that were trained had too.
    known = {size: LADDER["nequip"][size].n_parameters for size in ("tiny", "small", "medium")}
    assert {run["n_parameters"] for run in found["runs"]} <= set(known.values())
    assert known["medium"] in {run["n_parameters"] for run in found["runs"]}
    written = expand_file(out, store.path)
    assert set(written.stages) - finished(store) == set(found["new_stages"])
    assert {s.model.size for s in written.stages.values()} <= set(known)
    inverse = ("--invert", 1000, "--at", "n_parameters=30000", "--budget", 2)
    (row,) = answer(call(*of, *inverse, "--json"))["answers"]
    assert row["asked"].startswith("cc_size for ")
    for options, words in (
        (("--predict-at", "cc=9,dft=9,n_parameters=9"), ("dft = 9", "n_parameters, cc_size")),
        (("--predict-at", "n_parameters=9"), ("--predict-at lacks cc_size",)),
    ):
        assert_one_message(mfscale_here(*of, *options, "--budget", 5), *words)


def test_what_a_model_would_have_is_left_open_where_nothing_tells(
    store: Store, study_file: Path
) -> None:
    """As its kind was counted, or by the ladder if that is right for it; else not at all."""
    runs = runs_around(study_file, store.path, catalogue(), target="cc", earlier=False).runs
    tiny = [run for run in runs if run.strategy == "direct" and run.last.seed == 0]
    small = [resized(run, "small") for run in tiny]
    n = LADDER["nequip"]["tiny"].n_parameters
    for counted, foretold in ((n, LADDER["nequip"]["small"].n_parameters), (n + 1, None)):
        frame = pd.DataFrame({"stage_id": [tiny[0].last.id], "n_parameters": [counted]})
        known = parameters_foretold(frame, runs)
        assert known(tiny[1]) == counted
        assert known(small[0]) == foretold
    other = next(run for run in runs if run.strategy == "finetune")
    assert parameters_foretold(frame, runs)(other) is None


def resized(run: Run, size: str) -> Run:
    stages = [
        stage.model_copy(update={"model": stage.model.model_copy(update={"size": size})})
        for stage in run.stages
    ]
    return replace(run, stages=tuple(stages))


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
        (("--budget", 5), ("--predict-at X, --invert ERROR or --mix ERROR",)),
        (("--predict-at", 64, "--invert", 30, "--budget", 5), ("one of them",)),
        (("--predict-at", -1, "--budget", 5), ("cc_size = -1",)),
        (("--predict-at", "many", "--budget", 5), ("many", "write a number")),
        (("--mix", 30, "--invert", 30, "--budget", 5), ("one of them",)),
        (("--mix", 0, "--budget", 5), ("= 0", "above 0")),
        (("--mix", 1e-6, "--budget", 5), ("not reachable", "irreducible error")),
        (("--mix", 900, "--cost", "xtb=1", "--budget", 5), ("--cost xtb", "cc, dft")),
        (("--mix", 900, "--law", "power", "--budget", 5), ("no law of a mix",)),
        (("--invert", 30, "--cost", "cc=1", "--budget", 5), ("--cost", "--mix ERROR")),
        (("--predict-at", 64, "--at", "dft=16", "--budget", 5), ("--at", "--invert ERROR")),
        (("--invert", 900, "--at", 16, "--budget", 5), ("--at 16", "n_parameters=30000")),
        (("--invert", 900, "--law", "additive", "--budget", 5), ("several numbers",)),
        (("--predict-at", "f=9,N=9", "--law", "effective data", "--budget", 5), ("store",)),
        (
            ("--predict-at", "cc=9,n_parameters=9", "--budget", 5),
            ("n_parameters: 1", "run a study"),
        ),
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
