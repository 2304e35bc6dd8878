"""Files of a store that are not what they seem: refused by name, never followed, never a row."""

import datetime as dt
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mfscale.results import (
    CURVE_SCHEMA,
    ERRORS_SCHEMA,
    SCHEMA,
    Store,
    StoreError,
    parquet,
    write_archive,
)
from mfscale.results.rows import row_table

Row = dict[str, Any]
BITS = st.integers(0, 2**32), st.integers(0, 7)


def flipped(whole: bytes, place: int, bit: int) -> bytes:
    content = bytearray(whole)
    content[place % len(whole)] ^= 1 << bit
    return bytes(content)


def test_no_flipped_bit_makes_another_row(finetuned: Row) -> None:
    table = row_table(finetuned)
    whole = parquet.encode(table)

    @settings(max_examples=400, deadline=None, derandomize=True)
    @given(*BITS)
    def check(place: int, bit: int) -> None:
        try:
            read = parquet.decode(pa.py_buffer(flipped(whole, place, bit)), SCHEMA)
        except (parquet.DamagedError, parquet.NewerFormatError):
            return
        assert read.to_pylist() == table.to_pylist()

    check()


@pytest.mark.parametrize("length", [0.0, 0.3, 0.9, 0.999])
def test_a_row_cut_short_is_set_aside(store: Store, finetuned: Row, length: float) -> None:
    path = Path(store.publish(finetuned))
    content = path.read_bytes()[: int(length * path.stat().st_size)]
    path.write_bytes(content)
    with pytest.raises(StoreError, match=f"^{path} is damaged .* was moved to .*set-aside"):
        store.table()
    assert (store.path / "set-aside" / "inbox" / path.name).read_bytes() == content


def test_swapped_rows_are_told_by_their_names(store: Store, brief_row: Callable[..., Row]) -> None:
    one, two = (Path(store.publish(brief_row(stage))) for stage in ("aa11", "bb22"))
    other = two.read_bytes()
    two.write_bytes(one.read_bytes())
    one.write_bytes(other)
    for read in (store.table, store.statuses, lambda: store.row("aa11"), store.compact):
        with pytest.raises(StoreError, match=f"^{one} does not hold the row that its name tells"):
            read()
    assert one.exists()


@pytest.mark.parametrize(
    ("folder", "schema"), [("curves", CURVE_SCHEMA), ("errors", ERRORS_SCHEMA)]
)
def test_the_curve_of_another_stage_is_refused(
    store: Store, folder: str, schema: pa.Schema
) -> None:
    publish = {"curves": store.publish_curve, "errors": store.publish_errors}[folder]
    read = {"curves": store.curve, "errors": store.errors}[folder]
    one, two = (Path(publish(stage, schema.empty_table())) for stage in ("aa11", "bb22"))
    assert read("aa11").schema == schema
    one.write_bytes(two.read_bytes())
    with pytest.raises(StoreError, match=f"^{one} is damaged .it is of stage bb22.*not affected"):
        read("aa11")


def evaluation(row: Row, **change: object) -> Row:
    first, *others = row["evaluations"]
    return {**row, "evaluations": [{**first, **change}, *others]}


WRONG: dict[str, tuple[Callable[[Row], Row], str]] = {
    "status": (lambda row: row | {"status": "done"}, "'status' of a row is not one of finished"),
    "purpose": (lambda row: row | {"purpose": "fun"}, "'purpose' of a row is not one of science"),
    "unit": (lambda row: evaluation(row, unit="eV"), "'evaluations.unit' of a row is not one of"),
    "path": (lambda row: row | {"parent_id": "../../aa11"}, "'parent_id' .* not the id of a stage"),
    "line": (lambda row: row | {"root_id": "aa11\n"}, "'root_id' of a row is not the id"),
    "null": (lambda row: row | {"heads": [None]}, "'heads' of a row has an entry that is null"),
    "twice": (
        lambda row: row | {"evaluations": row["evaluations"] * 2},
        "'evaluations' of a row has an entry twice",
    ),
}


@pytest.mark.parametrize(("change", "complaint"), WRONG.values(), ids=WRONG)
def test_a_row_that_nobody_published_is_no_row(
    store: Store, finetuned: Row, change: Callable[[Row], Row], complaint: str
) -> None:
    path = store.path / "results.parquet"
    plain = row_table(finetuned).to_pylist()
    path.write_bytes(parquet.encode(pa.Table.from_pylist([change(plain[0])], SCHEMA)))
    with pytest.raises(StoreError, match=rf"^{path}: {complaint}.*Restore it"):
        store.table()
    assert path.exists()


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"\xff", b"null", b'{"format": "3"}', b'{"format": -1}', b"[" * 100_000],
    ids=lambda content: repr(content[:12]),
)
def test_a_marker_that_is_none_is_named(store: Store, content: bytes) -> None:
    marker = store.path / "store.json"
    marker.write_bytes(content)
    with pytest.raises(StoreError, match=f"^{marker} is damaged; write"):
        Store(store.path)


@pytest.mark.parametrize("place", ["inbox/x-0.parquet", "results.parquet"])
@pytest.mark.parametrize("what", ["pipe", "device"])
def test_what_would_never_end_is_not_read(store: Store, place: str, what: str) -> None:
    path = store.path / place
    path.parent.mkdir(exist_ok=True)
    os.mkfifo(path) if what == "pipe" else path.symlink_to("/dev/zero")
    with pytest.raises(StoreError, match=f"^{path} cannot be read .it is a pipe, socket or device"):
        store.table()


def test_an_archive_takes_along_no_file_that_a_link_points_to(
    store: Store, finetuned: Row, tmp_path: Path
) -> None:
    store.publish(finetuned)
    secret = tmp_path / "secret.json"
    secret.write_text(json.dumps("secret"))
    link = store.path / "choices" / "tuning.json"
    link.parent.mkdir()
    link.symlink_to(secret)
    with pytest.raises(StoreError, match=f"^{link} is a link"):
        write_archive(store, tmp_path / "archive")
    assert not (tmp_path / "archive").exists()


def test_a_closed_database(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "canary")
    for name, value in {"temp_directory": "", "enable_external_access": False}.items():
        assert store.sql(f"SELECT current_setting('{name}') AS x").to_pylist() == [{"x": value}]
    assert store.sql("SELECT * FROM duckdb_secrets()").num_rows == 0
    with pytest.raises(StoreError):
        store.sql("SELECT getenv('AWS_SECRET_ACCESS_KEY')")
    settings_told = store.sql("SELECT * FROM duckdb_settings()").to_pylist()
    assert "canary" not in str(settings_told)


def test_attempts_are_told_by_their_numbers_whatever_the_clock_says(
    store: Store, brief_row: Callable[..., Row]
) -> None:
    """A clock that is set back by years, or ahead, between attempts neither hides nor reorders."""
    years = {0: 2040, 1: 1971, 2: 2026}
    for attempt, year in years.items():
        at = dt.datetime(year, 1, 1, tzinfo=dt.UTC)
        store.publish(brief_row("aa11", attempt, "failed", started_at=at))
        store.publish(brief_row("bb22", attempt, "finished", started_at=at))
        os.utime(store.path / "inbox" / f"aa11-{attempt}.parquet", (year, -year))
    for _ in range(2):
        rows = {row["stage_id"]: row for row in store.table().to_pylist()}
        assert {row["attempt"] for row in rows.values()} == {2}
        assert {row["started_at"].year for row in rows.values()} == {2026}
        assert store.next_attempt("aa11") == 3
        store.compact()
