"""Bad input of every command: one message naming place and remedy, status 2, nothing lost."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from mfscale.data import open_dataset
from mfscale.results import Store
from tests.cli.conftest import Command, assert_one_message

STUDY = "dataset: chno3\nstrategies: {direct: [{heads: {cc: {subset: a, size: 50}}}]}\n"


@pytest.fixture
def study(tmp_path: Path) -> Path:
    path = tmp_path / "study.yaml"
    path.write_text(STUDY)
    return path


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A store with four finished stages, trained on CC labels alone."""
    made = Store(tmp_path / "store", create=True)
    for stage_id, size, error in (("aa0", 50, 30.0), ("aa1", 100, 21.0), ("ab2", 200, 15.1)):
        error_of = {"head": "cc", "method": "cc", "moment": "end", "metric": "energy_mae"}
        labels = {"method": "cc", "subset": "a", "size": size, "forces": False}
        made.publish(
            {
                "stage_id": stage_id,
                "attempt": 0,
                "status": "finished",
                "purpose": "science",
                "root_id": stage_id,
                "step": 0,
                "architecture": "nequip",
                "size": "tiny",
                "dtype": "float32",
                "seed": 0,
                "steps": 100,
                "converged": True,
                "heads": [{"name": "cc", "n_validation": 8, "weight": 1.0, **labels}],
                "lineage": [{"step": 0, "stage_id": stage_id, "head": "cc", **labels}],
                "samples_seen": 100,
                "train_time_s": 1.0,
                "wall_time_s": 2.0,
                "evaluations": [
                    {**error_of, "subset": "t", "unit": "meV", "value": error, "n": 50}
                ],
            }
        )
    return made


READING = [
    ["status"],
    ["results"],
    ["sql", "select 1"],
    ["fit"],
    ["predict", "--at", "100"],
    ["plot"],
    ["export", "aa0"],
]


def named(command: list[str]) -> str:
    return command[0]


@pytest.mark.parametrize("command", READING, ids=named)
def test_no_store_is_said_with_how_one_is_made(
    mfscale_here: Command, tmp_path: Path, command: list[str]
) -> None:
    absent = tmp_path / "absent"
    answer = mfscale_here(*command, "--store", absent)
    assert_one_message(answer, absent, "not a results store", "mfscale run STUDY --store")
    assert not absent.exists()


@pytest.mark.parametrize("command", [*READING, ["plan", "study.yaml"]], ids=named)
def test_a_store_of_a_newer_version_is_left_alone(
    mfscale_here: Command, study: Path, store: Store, command: list[str]
) -> None:
    marker = store.path / "store.json"
    marker.write_text('{"format": 1000}')
    before = sorted(store.path.rglob("*"))
    answer = mfscale_here(*command, "--store", store.path)
    assert_one_message(answer, marker, "1000", "upgrade mfscale")
    assert sorted(store.path.rglob("*")) == before
    assert study.exists()


def test_a_folder_of_other_things_does_not_become_a_store(
    mfscale_here: Command, study: Path, tmp_path: Path
) -> None:
    answer = mfscale_here("run", study, "--store", tmp_path)
    assert_one_message(answer, tmp_path, "holds other files", "name a new or empty folder")
    assert [path.name for path in tmp_path.iterdir()] == ["study.yaml"]


@pytest.mark.parametrize("command", [["status"], ["plan", "study.yaml"]], ids=named)
def test_a_corrupt_result_is_set_aside_and_the_next_command_works(
    mfscale_process: Command, study: Path, store: Store, command: list[str]
) -> None:
    damaged = store.path / "inbox" / "ab2-0.parquet"
    content = damaged.read_bytes()[:100]
    damaged.write_bytes(content)
    answer = mfscale_process(*command, "--store", store.path)
    aside = store.path / "set-aside" / "inbox" / "ab2-0.parquet"
    assert_one_message(answer, damaged, "is damaged", f"was moved to {aside}", "running the study")
    assert aside.read_bytes() == content
    assert study.exists()
    again = mfscale_process(*command, "--store", store.path)
    assert again.status == 0
    assert again.err == ""
    assert Store(store.path).statuses() == {"aa0": "finished", "aa1": "finished"}


QUESTIONS: dict[str, tuple[list[str], list[str]]] = {
    "column of a condition": (
        ["results", "--where", "cc_sise>=100"],
        ["no column 'cc_sise'", "did you mean cc_size"],
    ),
    "condition without operator": (["results", "--where", "cc_size"], ["column=value"]),
    "condition of another type": (
        ["results", "--where", "cc_size>many"],
        ["'many' is no value of cc_size, which holds numbers"],
    ),
    "columns": (["results", "--columns", "stage_id,sed"], ["no column 'sed'", "seed"]),
    "groups": (["results", "--group-by", "architectur"], ["mean architecture"]),
    "values that are no numbers": (
        ["results", "--group-by", "seed", "--values", "status"],
        ["'status' does not hold numbers"],
    ),
    "half a pivot": (["results", "--pivot", "seed:cc_size"], ["ROWS:COLUMN:VALUE"]),
    "SQL syntax": (["sql", "selct 1"], ["SQL: Parser Error", "selct"]),
    "SQL column": (["sql", "select cc_sise from results"], ["cc_sise", "cc_size"]),
    "SQL that writes": (["sql", "drop table results"], ["not one statement that reads"]),
    "SQL on files": (["sql", "select * from 'x.csv'"], ["x.csv", "disabled"]),
    "two SQL statements": (["sql", "select 1; select 2"], ["not one statement"]),
    "target": (["fit", "--target", "ccsd"], ["ccsd_t_energy_mae_mev", "name another --target"]),
    "level": (["fit", "--law", "power", "--level", "95"], ["level = 95", "between 0 and 1"]),
    "predict at zero": (["predict", "--at", "0"], ["cc_size = 0", "must be positive"]),
    "predict below zero": (["predict", "--at=-5"], ["cc_size = -5", "must be positive"]),
    "predict at nan": (["predict", "--at", "nan"], ["cc_size = nan", "must be positive"]),
    "unknown stage": (["export", "zz"], ["no stage", "begins with 'zz'"]),
    "ambiguous stage": (["export", "aa"], ["2 stages", "more characters: aa0, aa1"]),
    "stage without a model": (["export", "aa0"], ["stage aa0 is finished and left no model"]),
    "stage outside the store": (["export", "../aa0"], ["no stage", "'../aa0'"]),
    "folder of figures": (["plot", "--law", "power", "--out", "study.yaml"], ["study.yaml"]),
    "law of no stage": (
        ["fit", "--law", "line"],
        ["no finished stage", "parent_validation_energy_mae_mev", "or name another"],
    ),
    "wrong study": (["results", "--study", "absent.yaml"], ["absent.yaml: cannot be read"]),
}


@pytest.mark.parametrize(("question", "words"), QUESTIONS.values(), ids=QUESTIONS)
def test_a_question_nobody_can_answer_says_what_would_be_right(
    mfscale_here: Command, store: Store, study: Path, question: list[str], words: list[str]
) -> None:
    answer = mfscale_here(*question, "--store", store.path)
    assert_one_message(answer, *words)
    assert study.read_text() == STUDY


@pytest.mark.parametrize(
    ("question", "words"),
    [
        (["results"], ["aa0", "ab2", "15.1"]),
        (["results", "--columns", "stage_id,parent_id,wall_time_s"], ["aa0"]),
        (["results", "--group-by", "seed,seed", "--values", "cc_size"], ["116.7"]),
        (["sql", 'select 1 as "[/x]"'], ["[/x]"]),
        (["sql", "select [1, 2] as pair, 'a[/b]' as text"], ["[1, 2]", "a[/b]"]),
        (["sql", "select * from stages"], ["aa0"]),
        (["fit"], ["amplitude"]),
    ],
)
def test_odd_but_right_questions_are_answered(
    mfscale_here: Command, store: Store, question: list[str], words: list[str]
) -> None:
    # Each stage has empty columns, none has been fine-tuned, and SQL may name columns anyhow.
    answer = mfscale_here(*question, "--store", store.path)
    assert answer.status == 0
    for word in words:
        assert word in answer.out


TABLES: dict[str, tuple[bytes, list[str]]] = {
    "nothing": (b"", ["neither CSV nor Parquet"]),
    "garbage": (b"\x00\xff\xfe" * 99, ["neither CSV nor Parquet"]),
    "half a Parquet file": (b"PAR1" + b"\xff" * 99, ["neither CSV nor Parquet, or is damaged"]),
    "no rows": (b"x,y\n", ["no rows"]),
    "one row": (b"x,y\n1,2\n", ["add another value"]),
    "text": (b"x,y\n1,a\n2,b\n", ["column 'y' holds 'a' in row 0", "not a number"]),
    "other columns": (b"x,z\n1,2\n", ["no column 'y'", "x, z"]),
}


@pytest.mark.parametrize(("content", "words"), TABLES.values(), ids=TABLES)
def test_a_table_that_cannot_be_fitted(
    mfscale_here: Command, tmp_path: Path, content: bytes, words: list[str]
) -> None:
    table = tmp_path / "table"
    table.write_bytes(content)
    answer = mfscale_here("fit", "--table", table, "--x", "x", "--y", "y")
    assert_one_message(answer, *words)


def test_a_table_needs_its_columns_named(mfscale_here: Command) -> None:
    answer = mfscale_here("fit", "--table", "table.csv", "--x", "x")
    assert_one_message(answer, "table.csv", "--x and --y")


def without_energies(dataset: Path) -> Path:
    damaged = dataset / "cc_energy.npy"
    damaged.unlink()
    return damaged


def with_half_the_positions(dataset: Path) -> Path:
    damaged = dataset / "positions.npy"
    damaged.write_bytes(damaged.read_bytes()[: damaged.stat().st_size // 2])
    return damaged


def with_half_a_header(dataset: Path) -> Path:
    damaged = dataset / "dataset.json"
    damaged.write_text(damaged.read_text()[:100])
    return damaged


def of_a_newer_version(dataset: Path) -> Path:
    damaged = dataset / "dataset.json"
    damaged.write_text(damaged.read_text().replace('"format_version": 1', '"format_version": 99'))
    return damaged


@pytest.mark.parametrize(
    ("damage", "remedy"),
    [
        (without_energies, "is missing; restore the file"),
        (with_half_the_positions, "restore the file"),
        (with_half_a_header, "restore it"),
        (of_a_newer_version, "upgrade mfscale"),
    ],
)
def test_a_damaged_dataset_is_named_by_its_file(
    mfscale_here: Command, tmp_path: Path, damage: Callable[[Path], Path], remedy: str
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(open_dataset("chno3").path, copy)
    damaged = damage(copy)
    study = tmp_path / "study.yaml"
    study.write_text(STUDY.replace("chno3", "./copy"))
    assert_one_message(mfscale_here("plan", study), study, "dataset: ", damaged, remedy)
    assert_one_message(mfscale_here("data", "describe", copy), damaged, remedy)


@pytest.mark.parametrize("name", ["chno", "study.yaml", "[/b]", "~nobody-here", "x" * 300])
def test_a_dataset_nobody_has(mfscale_here: Command, study: Path, name: str) -> None:
    answer = mfscale_here("data", "describe", name)
    assert_one_message(answer, f"no dataset {name!r}", "chno3")
    assert study.exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["plam"], ["plam"]),
        (["plan"], ["Missing argument"]),
        (["plan", "study.yaml", "--cpus", "0"], ["--cpus", "1"]),
        (["plan", "study.yaml", "--cpu", "2"], ["--cpu"]),
        (["predict", "--at", "many"], ["--at", "number"]),
        (["fit", "--law", "quadratic"], ["--law", "power", "line"]),
    ],
)
def test_wrong_options(mfscale_here: Command, arguments: list[str], words: list[str]) -> None:
    answer = mfscale_here(*arguments)
    assert answer.status == 2
    assert answer.out == ""
    for word in words:
        assert word in answer.err


@pytest.mark.parametrize("name", ["a[/b]", "[bold]", "[/]"])
def test_brackets_in_names_are_shown_as_they_are(
    mfscale_here: Command, tmp_path: Path, name: str
) -> None:
    study = tmp_path / "study.yaml"
    study.write_text(STUDY.replace("direct", f'"{name}"') + f'name: "{name}"\n')
    answer = mfscale_here("plan", study)
    assert answer.status == 0
    assert answer.out.startswith(f"{name}: 1 steps make 1 stages")
    assert f"{name}[0]" in answer.out
