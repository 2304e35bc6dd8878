"""An archive holds the rows and each head's own test errors, in two files that are only read."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mfscale.results import (
    ARCHIVE_ERRORS_SCHEMA,
    ERRORS_SCHEMA,
    SCHEMA,
    Store,
    StoreError,
    inspect,
    write_archive,
)

Row = dict[str, object]


def errors(*kinds: tuple[str, str]) -> pa.Table:
    """Errors of three structures for each head and method, counting on in tenths."""
    rows = [
        {
            "structure": structure,
            "n_atoms": 5,
            "head": head,
            "method": method,
            "energy_error_mev": (100 * i + structure) / 10,
            "forces_mae_mev_per_a": None if method == "cc" else 0.1,
        }
        for i, (head, method) in enumerate(kinds)
        for structure in (7, 8, 11)
    ]
    return pa.Table.from_pylist(rows, ERRORS_SCHEMA)


@pytest.fixture
def filled(store: Store, pretrained: Row, finetuned: Row, brief_row: Callable[..., Row]) -> Store:
    store.publish(pretrained | {"log_file": "logs/aa11-0.log"})
    store.publish(finetuned)
    store.publish(brief_row("cc33", status="failed"))
    store.publish_errors("aa11", errors(("dft", "dft"), ("dft", "cc")))
    store.publish_errors(
        "bb22", errors(("cc", "cc"), ("cc", "dft"), ("dft", "dft"), ("old", "xtb"))
    )
    return store


def test_rows_and_own_errors_come_back(filled: Store, tmp_path: Path) -> None:
    written = write_archive(filled, tmp_path / "archive")
    assert (written.stages, written.with_errors, written.n_errors) == (3, 2, 3 + 9)
    read = Store(tmp_path / "archive")
    assert read.is_archive
    assert read.table().drop_columns("log_file").equals(filled.table().drop_columns("log_file"))
    assert read.table()["log_file"].null_count == 3
    back = read.errors("bb22")
    assert back.schema.equals(ERRORS_SCHEMA, check_metadata=True)
    kept = errors(("cc", "cc"), ("cc", "dft"), ("dft", "dft"), ("old", "xtb")).to_pylist()
    kept = [row for row in kept if (row["head"], row["method"]) != ("cc", "dft")]
    # Single precision: seven digits.
    assert [row | {"forces_mae_mev_per_a": None} for row in back.to_pylist()] == [
        row
        | {"energy_error_mev": pytest.approx(row["energy_error_mev"], rel=1e-7)}
        | {"forces_mae_mev_per_a": None}
        for row in kept
    ]
    with pytest.raises(StoreError, match="no errors of stage cc33"):
        read.errors("cc33")
    assert read.find_errors("cc33") is None


def test_the_file_tells_any_tool_what_its_columns_are(filled: Store, tmp_path: Path) -> None:
    write_archive(filled, tmp_path / "archive")
    file = pq.read_schema(tmp_path / "archive" / "errors.parquet")
    assert file.equals(ARCHIVE_ERRORS_SCHEMA, check_metadata=True)
    assert file.names == ["stage_id", *ERRORS_SCHEMA.names]
    assert file.field("energy_error_mev").metadata[b"unit"] == b"meV"


def test_what_is_in_an_archive(filled: Store, tmp_path: Path) -> None:
    filled.publish_curve("aa11", pa.table({"step": [0]}))
    written = write_archive(filled, tmp_path / "archive")
    assert {path.name: path.stat().st_size for path in (tmp_path / "archive").iterdir()} == dict(
        written.sizes
    )
    assert written.sizes.keys() == {"results.parquet", "errors.parquet", "store.json"}


def test_a_part_of_the_stages_and_one_head(filled: Store, tmp_path: Path) -> None:
    part = write_archive(filled, tmp_path / "part", stages={"bb22", "unknown"})
    assert (part.stages, part.with_errors) == (1, 1)
    one = write_archive(filled, tmp_path / "one", head="cc")
    assert (one.stages, one.with_errors, one.n_errors) == (3, 1, 3)
    assert Store(tmp_path / "one").errors("bb22")["head"].unique().to_pylist() == ["cc"]
    with pytest.raises(StoreError, match="no stage has test errors of a head 'c'; heads here: cc"):
        write_archive(filled, tmp_path / "none", head="c")


def test_an_archive_of_an_archive_is_the_same(filled: Store, tmp_path: Path) -> None:
    write_archive(filled, tmp_path / "one")
    write_archive(Store(tmp_path / "one"), tmp_path / "two")
    for name in ("results.parquet", "errors.parquet", "store.json"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_only_a_new_or_empty_folder_is_written_to(filled: Store, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="is not empty"):
        write_archive(filled, filled.path)
    (tmp_path / "file").write_text("mine")
    with pytest.raises(StoreError, match="new or empty folder"):
        write_archive(filled, tmp_path / "file")
    (tmp_path / "empty").mkdir()
    write_archive(filled, tmp_path / "empty")
    with pytest.raises(StoreError, match="is not empty"):
        write_archive(filled, tmp_path / "empty")


def test_nothing_is_no_archive(store: Store, filled: Store, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no rows of these studies"):
        write_archive(filled, tmp_path / "archive", stages=[])
    with pytest.raises(StoreError, match="has no rows; run a study"):
        write_archive(Store(tmp_path / "new", create=True), tmp_path / "archive")
    assert not (tmp_path / "archive").exists()
    assert store.path == filled.path


def _hold(lock: AbstractContextManager[None]) -> None:
    with lock:
        pytest.fail("an archive was changed")


@pytest.mark.parametrize(
    "change",
    [
        lambda store: store.publish({"stage_id": "dd44", "attempt": 0, "status": "failed",
                                     "purpose": "science"}),
        lambda store: store.publish_errors("aa11", errors()),
        Store.compact,
        lambda store: _hold(store.in_use()),
        lambda store: _hold(store.alone()),
    ],
    ids=["publish", "publish_errors", "compact", "in_use", "alone"],
)  # fmt: skip
def test_an_archive_is_only_read(
    filled: Store, tmp_path: Path, change: Callable[[Store], object]
) -> None:
    write_archive(filled, tmp_path / "archive")
    read = Store(tmp_path / "archive", create=True)
    before = sorted(read.path.iterdir())
    with pytest.raises(StoreError, match="is an archive, only to be read"):
        change(read)
    assert sorted(read.path.iterdir()) == before


def test_inspection_looks_at_the_errors_of_an_archive(filled: Store, tmp_path: Path) -> None:
    write_archive(filled, tmp_path / "archive")
    read = Store(tmp_path / "archive")
    rows, findings = inspect(read)
    assert len(rows) == 3
    assert findings == []
    path = read.path / "errors.parquet"
    path.write_bytes(path.read_bytes()[:-10])
    assert [finding.kind for finding in inspect(read)[1]] == ["damaged file"]
    assert read.table().schema.equals(SCHEMA)
