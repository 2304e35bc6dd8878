"""Failures by cause: messages that differ in particulars alone are one; what each blocks."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mfscale.results import below, causes
from mfscale.results.causes import evened


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("[Errno 28] No space left: '/a/b c.d'", "[Errno 28] No space left: '/x/y c.d'"),
        ("stage 0123456789abcdef is gone", "stage fedcba9876543210 is gone"),
        ("asked for 1,024 of 3.5e9 bytes", "asked for 7 of 0.25 bytes"),
        ("in ./mine/labels.npy: bad", "in ../theirs/labels.npy: bad"),
        ("in mine/labels.npy: bad", "in theirs/deep/other.npy: bad"),
        ("two\n  lines", "two lines"),
    ],
)
def test_particulars_do_not_count(one: str, other: str) -> None:
    assert evened(one) == evened(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("No space left on device", "Permission denied"),
        ("meV/atom is wrong", "meV/Å is wrong"),
        ("head cc is missing", "head dft is missing"),
        ("a face in the dark", "a fade in the dark"),
    ],
)
def test_words_do(one: str, other: str) -> None:
    assert evened(one) != evened(other)


NUMBERS = st.one_of(st.integers(), st.floats(allow_nan=False, allow_infinity=False))
IDS = st.text("0123456789abcdef", min_size=16, max_size=16)
PATHS = st.lists(st.from_regex(r"\A[a-z0-9_-]{1,9}\Z"), min_size=1, max_size=9).map(
    lambda p: "/" + "/".join(p)
)


@given(st.tuples(NUMBERS, IDS, PATHS), st.tuples(NUMBERS, IDS, PATHS))
def test_whatever_the_particulars_the_cause_is_one(
    one: tuple[float, str, str], other: tuple[float, str, str]
) -> None:
    template = "got {0}, not {0}: stage {1} in '{2}' ({0}; {1})"
    assert evened(template.format(*one)) == evened(template.format(*other))


def row(stage: str, parent: str | None, status: str, reason: str = "") -> dict[str, str | None]:
    return {
        "stage_id": stage,
        "parent_id": parent,
        "status": status,
        "reason": reason,
        "log_file": f"logs/{stage}-0.log",
    }


ROWS = [
    row("a", None, "failed", "disk 1"),
    row("b", "a", "skipped"),
    row("c", "b", "skipped"),
    row("d", None, "failed", "disk 2"),
    row("e", None, "finished"),
    row("f", "e", "diverged", "NaN"),
    row("g", "f", "skipped"),
    row("h", None, "failed", "memory"),
]


def test_a_cause_counts_its_stages_and_all_behind_them() -> None:
    found = [(c.cause, c.status, c.stages, c.blocked, c.log_file) for c in causes(ROWS)]
    assert found == [
        ("disk ‹…›", "failed", ("a", "d"), ("b", "c"), "logs/a-0.log"),
        ("NaN", "diverged", ("f",), ("g",), "logs/f-0.log"),
        ("memory", "failed", ("h",), (), "logs/h-0.log"),
    ]


def test_of_a_study_those_are_blocked_too_that_never_had_their_turn() -> None:
    """`x` has no row; `b` is not in the study, so neither it nor what is behind it counts."""
    (only,) = causes(ROWS, {"a": None, "x": "a", "y": "x", "e": None})
    assert (only.stages, only.blocked) == (("a",), ("x", "y"))


def test_a_stage_that_has_finished_blocks_nothing() -> None:
    """As when a stage trained again for its lost model fails: its row says finished."""
    rows = [row("a", None, "failed", "x"), row("b", "a", "finished"), row("c", "b", "skipped")]
    assert [c.blocked for c in causes(rows)] == [()]


def test_a_circle_ends() -> None:
    assert below(["a"], {"a": "b", "b": "a"}) == ["b"]
