"""Files that were changed at random: every command answers, or says one thing and ends with 2."""

import json
import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import mfscale
from mfscale.results import SCHEMA, Store, parquet
from mfscale.study import Stage
from tests.cli.conftest import Answer, Command, assert_one_message, model_of

SWEEPS = Path(mfscale.__file__).parents[1] / "sweeps"
FUZZED = settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
PLAIN = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from(["", "cc", "../../x", "/etc/passwd", "\x1b[31m", "!!python/object:os.system"])
)
JSON = st.recursive(
    PLAIN,
    lambda some: (
        st.lists(some, max_size=3) | st.dictionaries(st.text(max_size=5), some, max_size=3)
    ),
    max_leaves=6,
)


def answered(answer: Answer, *places: object) -> None:
    """Check that a command gave an answer, or one message that names the place."""
    assert "Traceback" not in answer.err
    if answer.status:
        assert_one_message(answer, *places)


def places_in(tree: object, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inside = (
        tree.items()
        if isinstance(tree, dict)
        else enumerate(tree if isinstance(tree, list) else ())
    )
    found = [path] if path else []
    return found + [deeper for key, value in inside for deeper in places_in(value, (*path, key))]


def replaced(tree: Any, path: tuple[Any, ...], value: object) -> Any:  # noqa: ANN401 - JSON
    changed = json.loads(json.dumps(tree))
    inside = changed
    for key in path[:-1]:
        inside = inside[key]
    inside[path[-1]] = value
    return changed


@given(
    tree=st.dictionaries(
        st.sampled_from(["name", "dataset", "model", "tune", "strategies", "x"]), JSON
    )
)
@FUZZED
def test_any_tree_as_a_study(mfscale_here: Command, tmp_path: Path, tree: object) -> None:
    study = tmp_path / "study.yaml"
    study.write_text(json.dumps(tree))
    before = sorted(tmp_path.iterdir())
    answered(mfscale_here("plan", study), study)
    assert sorted(tmp_path.iterdir()) == before


@given(data=st.data())
@FUZZED
def test_any_change_of_choices(mfscale_here: Command, tmp_path: Path, data: st.DataObject) -> None:
    tree = json.loads((SWEEPS / "choices" / "embedded.json").read_text())
    path = data.draw(st.sampled_from(places_in(tree)))
    folder = tmp_path / "choices"
    folder.mkdir(exist_ok=True)
    study = shutil.copy(SWEEPS / "frozen.yaml", tmp_path / "study.yaml")
    (folder / "embedded.json").write_text(json.dumps(replaced(tree, path, data.draw(JSON))))
    answered(mfscale_here("plan", study), "choices")


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"[" * 100_000, b"[]", b"\x80\x04N."])
def test_choices_that_are_none(mfscale_here: Command, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "choices" / "embedded.json"
    path.parent.mkdir()
    path.write_bytes(content)
    study = shutil.copy(SWEEPS / "frozen.yaml", tmp_path / "study.yaml")
    assert_one_message(mfscale_here("plan", study), path, "restore or move it")


CELLS = [
    field.name
    for field in SCHEMA
    if not pa.types.is_timestamp(field.type) and field.name != "stage_id"
]


@pytest.mark.slow
@given(
    name=st.sampled_from(CELLS),
    rows=st.sets(st.integers(0, 11), min_size=1, max_size=3),
    value=PLAIN,
    command=st.sampled_from(["status", "results", "fit", "triage", "sql"]),
)
@FUZZED
def test_any_cell_of_a_store(
    mfscale_here: Command,
    tmp_path: Path,
    archive: Path,
    name: str,
    rows: set[int],
    value: object,
    command: str,
) -> None:
    path = tmp_path / "store"
    shutil.rmtree(path, ignore_errors=True)
    store = Store(path, create=True)
    table = Store(archive).table().slice(0, 12).to_pylist()
    for row in rows:
        old = table[row][name]
        table[row][name] = [*(old or []), None] if isinstance(old, list) else value
    try:
        content = parquet.encode(pa.Table.from_pylist(table, SCHEMA))
    except (pa.ArrowException, OverflowError, TypeError, UnicodeError):
        return  # no such table can be written
    (store.path / "results.parquet").write_bytes(content)
    more = ["select * from results"] if command == "sql" else []
    answered(mfscale_here(command, *more, "--store", path))


@given(
    place=st.integers(0, 2**32),
    bit=st.integers(0, 7),
    command=st.sampled_from(["export", "verify"]),
)
@FUZZED
def test_any_flip_of_a_model(
    mfscale_here: Command,
    store: Store,
    stages: list[Stage],
    tmp_path: Path,
    place: int,
    bit: int,
    command: str,
) -> None:
    copy = tmp_path / "copy"
    if not copy.exists():
        shutil.copytree(store.path, copy)
    model = model_of(Store(copy), stages[0])
    whole = model_of(store, stages[0]).read_bytes()
    content = bytearray(whole)
    content[(8 + int.from_bytes(whole[:8], "little") + place) % len(whole)] ^= 1 << bit
    model.write_bytes(content)
    if command == "export":
        answer = mfscale_here("export", stages[0].id, "--store", copy)
        assert_one_message(answer, model, "damaged")
    else:
        answer = mfscale_here("verify", "--store", copy)
        assert answer.status == 1
        assert "damaged model" in answer.out


def test_gc_follows_no_link_of_a_store(
    mfscale_here: Command, copied: Store, tmp_path: Path
) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "model.safetensors").write_text("mine")
    (mine / ".model.safetensors-x").write_text("mine")
    (copied.path / "checkpoints" / "aa11").symlink_to(mine)
    assert mfscale_here("gc", "--leaves", "--yes", "--store", copied.path).status == 0
    assert {path.name for path in mine.iterdir()} == {"model.safetensors", ".model.safetensors-x"}


NAMES = {
    "study": ("name: fine", "name: ../../x"),
    "tuning": ("tune: {", "tune: {name: ../../x, "),
    "head": ("cc: {", '"../cc": {'),
}


@pytest.mark.parametrize("change", NAMES.values(), ids=NAMES)
def test_names_in_a_study_are_no_paths(
    mfscale_here: Command, tmp_path: Path, change: tuple[str, str]
) -> None:
    study = tmp_path / "study.yaml"
    text = (
        "name: fine\ndataset: chno3\ntune: {trials: 2, space: {learning_rate: [0.01, 0.02]}}\n"
        "strategies: {direct: [{heads: {cc: {subset: a, size: 50}}}]}\n"
    )
    study.write_text(text)
    assert mfscale_here("plan", study).status == 0
    study.write_text(text.replace(*change))
    assert_one_message(mfscale_here("run", study, "--store", "store"), study, "cannot name a")
    assert [path.name for path in tmp_path.iterdir()] == ["study.yaml"]
