"""What goes into a store comes out, whatever the order of attempts and compactions."""

import itertools
import json
import tempfile
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mfscale.results import (
    CURVE_SCHEMA,
    ERRORS_SCHEMA,
    SCHEMA,
    STATUSES,
    Store,
    StoreError,
    log_file,
    parquet,
)

Row = dict[str, object]


def without_nulls(value: object) -> object:
    if isinstance(value, dict):
        return {key: without_nulls(entry) for key, entry in value.items() if entry is not None}
    return [without_nulls(entry) for entry in value] if isinstance(value, list) else value


def test_a_row_comes_back_as_it_went_in(store: Store, finetuned: Row, pretrained: Row) -> None:
    for row in (finetuned, pretrained):
        store.publish(row)
    assert without_nulls(store.row("bb22")) == finetuned
    store.compact()
    reopened = Store(store.path)
    assert without_nulls(reopened.row("aa11")) == pretrained
    assert reopened.table().schema.equals(SCHEMA, check_metadata=True)
    assert reopened.table()["stage_id"].to_pylist() == ["aa11", "bb22"]
    assert reopened.statuses() == {"aa11": "finished", "bb22": "finished"}


def test_a_field_that_is_absent_is_null(store: Store, brief_row: Callable[..., Row]) -> None:
    store.publish(brief_row(status="skipped", reason="its parent failed"))
    row = store.row("aa11")
    assert row is not None
    assert set(row) == set(SCHEMA.names)
    assert row["evaluations"] is None
    assert row["hyperparameters"] is None


def test_a_store_without_rows_is_empty_not_an_error(store: Store) -> None:
    assert store.table().equals(SCHEMA.empty_table())
    assert store.statuses() == {}
    assert store.row("aa11") is None
    assert store.compact() == 0
    frame = store.frame()
    assert len(frame) == 0
    assert {"stage_id", "hp_learning_rate", "labels", "pretraining", "parent_size"} <= set(frame)
    assert store.sql("SELECT count(*) AS n FROM results").to_pylist() == [{"n": 0}]


def test_publishing_the_same_attempt_again_keeps_the_first(
    store: Store, brief_row: Callable[..., Row]
) -> None:
    first = store.publish(brief_row(reason="first"))
    assert store.publish(brief_row(reason="second")) == first
    row = store.row("aa11")
    assert row is not None
    assert row["reason"] == "first"


events = st.lists(
    st.one_of(
        st.tuples(st.sampled_from("abc"), st.integers(0, 3), st.sampled_from(STATUSES)),
        st.just("compact"),
    ),
    max_size=12,
)


@settings(max_examples=25, deadline=None)
@given(events)
def test_the_best_then_latest_attempt_counts_whenever_the_inbox_is_compacted(
    events: list[str | tuple[str, int, str]],
) -> None:
    """Against the definition: the maximum over what was published, in any order."""
    with tempfile.TemporaryDirectory() as folder:
        store = Store(folder, create=True)
        published: dict[tuple[str, int], str] = {}
        for event in events:
            if isinstance(event, str):
                store.compact()
                continue
            stage_id, attempt, status = event
            status = published.setdefault((stage_id, attempt), status)
            row = {"stage_id": stage_id, "attempt": attempt, "status": status, "purpose": "science"}
            store.publish(row)
        best = {
            stage_id: min(
                (STATUSES.index(s), -a) for (other, a), s in published.items() if other == stage_id
            )
            for stage_id, _ in published
        }
        expected = {stage_id: STATUSES[rank] for stage_id, (rank, _) in sorted(best.items())}
        before = store.table()
        assert (
            dict(zip(before["stage_id"].to_pylist(), before["status"].to_pylist(), strict=True))
            == expected
        )
        assert before["attempt"].to_pylist() == [
            -attempt for _, (_, attempt) in sorted(best.items())
        ]
        assert store.statuses() == expected
        assert store.compact() == len(expected)
        assert store.table().equals(before)
        assert store.statuses() == expected


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))))
def test_finished_over_diverged_over_failed_over_skipped(
    order: tuple[int, ...], store: Store, brief_row: Callable[..., Row]
) -> None:
    names = ["skipped", "failed", "diverged", "finished"]
    for attempt, i in enumerate(order):
        store.publish(brief_row(attempt=attempt, status=names[i]))
        assert store.statuses() == {"aa11": names[max(order[: attempt + 1])]}


def test_the_next_attempt_is_above_every_one_that_left_a_trace(
    store: Store, brief_row: Callable[..., Row]
) -> None:
    assert store.next_attempt("aa11") == 0
    store.publish(brief_row(attempt=0, status="diverged"))
    store.publish(brief_row(attempt=1, status="failed"))
    assert store.next_attempt("aa11") == 2
    (store.path / "logs").mkdir()
    for killed in (2, 3):
        (store.path / log_file("aa11", killed)).touch()
    assert store.next_attempt("aa11") == 4
    assert store.next_attempt("aa1") == 0


def test_an_id_is_completed_from_its_beginning(store: Store, brief_row: Callable[..., Row]) -> None:
    for stage_id in ("ab", "abc1", "abc2", "d0"):
        store.publish(brief_row(stage_id))
    assert store.resolve("d") == "d0"
    assert store.resolve("ab") == "ab"  # a whole id, though others begin with it
    with pytest.raises(StoreError, match=r"2 stages .* 'abc'.*abc1, abc2"):
        store.resolve("abc")
    with pytest.raises(StoreError, match=r"no stage .* 'x'"):
        store.resolve("x")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"stage": "x"}, "no field 'stage'"),
        ({"hyperparameters": {"learning_rat": 0.1}}, "no field 'hyperparameters.learning_rat'"),
        ({"status": None}, "needs 'status'"),
        ({"status": "done"}, "'status' .* one of finished, diverged, failed, skipped, not 'done'"),
        ({"attempt": 1.5}, "'attempt' .* int32, not 1.5"),
        ({"attempt": True}, "'attempt' .* int32, not True"),
        ({"attempt": 2**31}, "aa11"),
        ({"seed": "0"}, "'seed' .* int64, not '0'"),
        ({"cutoff_a": "5"}, "'cutoff_a' .* double, not '5'"),
        ({"converged": 1}, "'converged' .* bool, not 1"),
        ({"started_at": "today"}, "'started_at' .* time with its time zone"),
        ({"warnings": "slow"}, "'warnings' .* list"),
        ({"warnings": ["slow", 1]}, r"'warnings\[1\]' .* string"),
        ({"evaluations": [{"head": "cc"}]}, r"needs 'evaluations\[0\].method'"),
        ({"offsets": [{"head": "cc", "element": "H"}] * 2}, "'offsets' .* cc H twice"),
        ({"stage_id": "../x"}, "'../x' is not a stage id"),
    ],
)
def test_a_wrong_row_names_the_field_and_writes_nothing(
    change: Row, message: str, store: Store, brief_row: Callable[..., Row]
) -> None:
    with pytest.raises(StoreError, match=message):
        store.publish(brief_row() | change)
    assert store.statuses() == {}


def test_numbers_of_numpy_are_numbers(store: Store, brief_row: Callable[..., Row]) -> None:
    import numpy as np

    store.publish(brief_row(steps=np.int32(7), cutoff_a=np.float32(2.5), converged=np.True_))
    row = store.row("aa11")
    assert row is not None
    assert (row["steps"], row["cutoff_a"], row["converged"]) == (7, 2.5, True)


def test_curves_and_errors(store: Store) -> None:
    curve = pa.table({"step": [0, 10], "validation_loss": [2.0, 1.0]})
    store.publish_curve("aa11", curve)
    read = store.curve("aa11")
    assert read.schema.equals(CURVE_SCHEMA, check_metadata=True)
    assert read["validation_loss"].to_pylist() == [2.0, 1.0]
    assert read["epoch"].null_count == 2
    store.publish_curve("aa11", curve.slice(0, 1))
    assert store.curve("aa11").num_rows == 1

    store.publish_errors("aa11", pa.table({"structure": [3], "energy_error_mev": [-1.5]}))
    assert store.errors("aa11").schema.equals(ERRORS_SCHEMA, check_metadata=True)
    with pytest.raises(StoreError, match="no curves of stage bb22"):
        store.curve("bb22")
    with pytest.raises(StoreError, match="no column 'loss'"):
        store.publish_curve("aa11", pa.table({"loss": [1.0]}))
    with pytest.raises(StoreError, match="'step'"):
        store.publish_curve("aa11", pa.table({"step": [0.5]}))


def test_a_folder_that_is_no_store_is_refused_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="mfscale run STUDY --store"):
        Store(tmp_path / "missing")
    assert not (tmp_path / "missing").exists()
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(StoreError, match="mfscale run STUDY --store"):
        Store(tmp_path)
    with pytest.raises(StoreError, match="new or empty folder"):
        Store(tmp_path, create=True)
    with pytest.raises(StoreError, match="is a file"):
        Store(tmp_path / "notes.txt", create=True)
    with pytest.raises(StoreError):
        Store(tmp_path / "notes.txt" / "below", create=True)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (json.dumps({"format": 99}), "format 99.*upgrade mfscale"),
        ("{", "is damaged; write"),
        ("[]", "is damaged; write"),
        ("\udcff", "is damaged; write"),
    ],
)
def test_a_foreign_or_newer_store_is_refused(content: str, message: str, store: Store) -> None:
    (store.path / "store.json").write_bytes(content.encode(errors="surrogateescape"))
    for create in (False, True):
        with pytest.raises(StoreError, match=message):
            Store(store.path, create=create)


def test_opening_an_existing_store_writes_nothing(store: Store) -> None:
    before = {path: path.stat().st_mtime_ns for path in store.path.rglob("*")}
    opened = Store(store.path, create=True)
    opened.statuses()
    opened.checkpoint_dir("aa11")
    assert {path: path.stat().st_mtime_ns for path in store.path.rglob("*")} == before


def test_a_row_among_many_is_found_and_costs_no_reading_of_the_others(
    store: Store, brief_row: Callable[..., dict[str, object]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet, "_GROUP", 10)
    for number in range(95):
        store.publish(brief_row(f"s{number:03d}", seed=number))
    store.compact()
    compacted = store.path / "results.parquet"
    assert pq.ParquetFile(compacted).num_row_groups == 10

    rows = [store.row(f"s{number:03d}") for number in range(95)]
    assert [row and row["seed"] for row in rows] == [*range(95)]
    assert store.row("s095") is None
    assert store.row("s") is None
    assert store.next_attempt("s042") == 1
    assert store.next_attempt("s") == 0
