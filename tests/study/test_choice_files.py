"""Choices on disk: kept, merged by kind of step, refused with a reason where they are broken."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mfscale.study import Choice, StudyError, add_choices, read_choices

ONE = Choice(
    key="k1",
    search="s1",
    signature="cc",
    where="direct[0]: cc, nequip tiny",
    values={"learning_rate": 0.1 + 0.2, "batch_size": 8, "schedule": "cosine"},
    error_mev=12.5,
    untuned_mev=None,
    trials=4,
    pruned=1,
)
OTHER = replace(ONE, key="k2", signature="dft", where="dft[0]: dft+forces, nequip tiny")
BETTER = replace(ONE, key="k3", error_mev=1.0, untuned_mev=3.0)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "choices" / "mine.json"
    assert add_choices(tmp_path, "mine", [ONE, OTHER]) == str(path)
    assert read_choices(tmp_path) == {"mine": {"cc": ONE, "dft": OTHER}}
    assert [p.name for p in path.parent.iterdir()] == ["mine.json"], "nothing is left behind"


@given(st.dictionaries(st.sampled_from(["a", "b"]), st.floats(1e-300, 1e300) | st.integers(1)))
def test_values_come_back_to_the_last_bit(
    tmp_path_factory: pytest.TempPathFactory, values: dict[str, float]
) -> None:
    folder = tmp_path_factory.mktemp("choices")
    add_choices(folder, "mine", [replace(ONE, values=values)])
    found = read_choices(folder)["mine"]["cc"].values
    assert found == values
    assert {n: type(v) for n, v in found.items()} == {n: type(v) for n, v in values.items()}


def test_a_later_choice_takes_the_place_of_one_for_the_same_step(tmp_path: Path) -> None:
    add_choices(tmp_path, "mine", [ONE, OTHER])
    add_choices(tmp_path, "mine", [BETTER])
    add_choices(tmp_path, "yours", [ONE])
    assert read_choices(tmp_path) == {
        "mine": {"cc": BETTER, "dft": OTHER},
        "yours": {"cc": ONE},
    }


def test_of_two_folders_the_first_counts(tmp_path: Path) -> None:
    add_choices(tmp_path / "store", "mine", [BETTER])
    add_choices(tmp_path / "study", "mine", [ONE, OTHER])
    folders = tmp_path / "store", tmp_path / "study"
    assert read_choices(*folders) == {"mine": {"cc": BETTER, "dft": OTHER}}
    assert read_choices(*folders[::-1]) == {"mine": {"cc": ONE, "dft": OTHER}}


def test_where_nothing_was_chosen_there_is_nothing(tmp_path: Path) -> None:
    assert read_choices() == read_choices(tmp_path, tmp_path / "absent") == {}


def changed(**changes: object) -> str:
    """A choice whose fields are others, as a file holds it."""
    entry: dict[str, Any] = {**vars(ONE), **changes}
    return json.dumps({"format": 1, "choices": [entry]})


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "not JSON"),
        (b'{"format": 1, "choices": [', "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b"[" * 100_000, "restore or move it"),
        (b"[]", "holds no choices"),
        (b"3", "holds no choices"),
        (b"{}", "holds no choices"),
        (b'{"format": 1}', "holds no choices"),
        (b'{"format": 1, "choices": 3}', "holds no choices"),
        (b'{"format": 1, "choices": [{}]}', "holds no choices"),
        (changed(values=[1]).encode(), "holds no choices"),
        (changed(values={"learning_rate": None}).encode(), "holds no choices"),
        (changed(trials="many").encode(), "holds no choices"),
        (b'{"format": 99, "choices": []}', r"newer mfscale \(format 99\); upgrade"),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_a_file_that_cannot_be_believed_is_named(
    tmp_path: Path, content: bytes, words: str
) -> None:
    path = Path(add_choices(tmp_path, "mine", [ONE]))
    path.write_bytes(content)
    for use in (lambda: read_choices(tmp_path), lambda: add_choices(tmp_path, "mine", [OTHER])):
        with pytest.raises(StudyError, match=words) as caught:
            use()
        assert str(caught.value).startswith(f"{path}: ")
        assert path.read_bytes() == content, "what cannot be read is not overwritten"


def test_a_folder_in_the_place_of_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "choices" / "mine.json").mkdir(parents=True)
    with pytest.raises(StudyError, match=r"mine\.json: cannot be read"):
        read_choices(tmp_path)


def test_a_file_in_the_place_of_the_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "choices").write_text("in the way")
    with pytest.raises(StudyError, match=r"mine\.json cannot be written"):
        add_choices(tmp_path, "mine", [ONE])


@pytest.mark.parametrize("name", ["", "..", "../mine", "a/b", "/mine", "a\x00b", ".mine", "a" * 65])
def test_no_name_leads_out_of_the_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(StudyError, match="cannot name a tuning"):
        add_choices(tmp_path, name, [ONE])
    assert not list(tmp_path.iterdir())
