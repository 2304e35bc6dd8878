"""Conditions, groups and pivots over a small table, and tables read from files."""

import contextlib
import math
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mfscale.results import FORMAT, Store, StoreError, group, pivot, read_table, select

Row = dict[str, object]


@pytest.fixture
def frame() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "stage_id": list("abcdef"),
            "size": ["tiny", "tiny", "small", "small", "tiny", None],
            "cc_size": pd.array([50, 50, 100, 100, 100, None], dtype="Int64"),
            "seed": [0, 1, 0, 1, 0, 2**62 + 1],
            "error": [8.0, 6.0, 4.0, 2.0, 3.0, math.nan],
            "forces": pd.array([True, False, True, False, None, True], dtype="boolean"),
            "started_at": pd.date_range("2026-01-01", periods=6, tz="UTC"),
            "pretraining": ["none", "dft:b:400+forces", "none", "none", "none", "none"],
        }
    )


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ([], "abcdef"),
        (["size=tiny"], "abe"),
        (["size == tiny"], "abe"),
        (["size!=tiny"], "cd"),  # a missing size meets no condition
        (["cc_size>=100"], "cde"),
        (["cc_size<100"], "ab"),
        (["cc_size = 50", " error > 7 "], "a"),
        (["error<=3"], "de"),
        (["error=3.0"], "e"),
        (["seed in 0,1", "size in small, medium"], "cd"),
        ([f"seed={2**62 + 1}"], "f"),
        ([f"seed={2**62}"], ""),  # the nearest float to the seed above
        (["forces=true"], "acf"),
        (["forces!=True"], "bd"),
        (["started_at<2026-01-03"], "ab"),
        (["started_at>=2026-01-03T00:00:00+00:00", "cc_size>0"], "cde"),
        (["pretraining=dft:b:400+forces"], "b"),
        (["size=huge"], ""),
    ],
)
def test_conditions(where: list[str], expected: str, frame: pd.DataFrame) -> None:
    assert "".join(select(frame, where)["stage_id"]) == expected


def test_columns_come_in_the_order_asked_for(frame: pd.DataFrame) -> None:
    assert list(select(frame, ["size=tiny"], ["error", "stage_id"])) == ["error", "stage_id"]


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        ("cc_sise>=100", "no column 'cc_sise': did you mean cc_size"),
        ("zzz=1", "no column 'zzz': there are stage_id, size"),
        ("cc_size", "cannot read the condition 'cc_size'"),
        ("=5", "cannot read the condition"),
        ("cc_size~5", "cannot read the condition"),
        ("cc_size>=many", "'many' is no value of cc_size, which holds numbers"),
        ("cc_size in 1,,2", "'' is no value of cc_size"),
        ("forces=maybe", "'maybe' is no value of forces, which holds true or false"),
        ("started_at>soon", "'soon' is no value of started_at, which holds times"),
        ("size>tiny", "size has no order"),
        ("forces<true", "forces has no order"),
    ],
)
def test_a_wrong_condition_says_what_is_wrong(
    condition: str, message: str, frame: pd.DataFrame
) -> None:
    with pytest.raises(StoreError, match=message):
        select(frame, [condition])


@given(st.text(max_size=20))
def test_any_condition_is_answered_or_refused(text: str) -> None:
    frame = pd.DataFrame({"a": [1.0, 2.0], "b": ["x", "y"]})
    for condition in (text, f"a{text}", f"a={text}", f"b{text}1", f"a in {text}"):
        with contextlib.suppress(StoreError):
            assert len(select(frame, [condition])) <= 2


def test_groups(frame: pd.DataFrame) -> None:
    table = group(frame, ["size", "cc_size"], ["error"])
    assert list(table) == ["size", "cc_size", "column", "n", "mean", "std", "min", "max"]
    tiny = table[(table["size"] == "tiny") & (table["cc_size"] == 50)].iloc[0]
    assert (tiny["n"], tiny["mean"], tiny["min"], tiny["max"]) == (2, 7, 6, 8)
    assert tiny["std"] == pytest.approx(math.sqrt(2))  # of 8 and 6, with n − 1
    missing = table[table["size"].isna()].iloc[0]
    assert missing["n"] == 0
    assert math.isnan(missing["mean"])
    assert table["n"].sum() == frame["error"].count()


def test_groups_of_several_values(frame: pd.DataFrame) -> None:
    table = group(frame, ["size"], ["error", "cc_size"])
    assert table["column"].tolist() == ["error"] * 3 + ["cc_size"] * 3


def test_a_pivot_averages_over_the_rest(frame: pd.DataFrame) -> None:
    table = pivot(frame, ["size"], "cc_size", "error").set_index("size")
    assert list(table) == ["cc_size=50", "cc_size=100", "cc_size missing"]
    assert table.loc["tiny", "cc_size=50"] == 7
    assert table.loc["small", "cc_size=100"] == 3
    assert math.isnan(table.loc["small", "cc_size=50"])
    assert len(table) == 3


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda frame: group(frame, ["sise"], ["error"]), "no column 'sise': did you mean size"),
        (lambda frame: group(frame, ["size"], ["stage_id"]), "'stage_id' does not hold numbers"),
        (lambda frame: group(frame, [], ["error"]), "at least one column"),
        (lambda frame: pivot(frame, ["size"], "size", "error"), "different columns"),
        (lambda frame: pivot(frame, [], "size", "error"), "at least one index"),
        (
            lambda frame: pivot(frame, ["size"], "cc_size", "forces"),
            "'forces' does not hold numbers",
        ),
        (lambda frame: select(frame, (), ["eror"]), "no column 'eror': did you mean error"),
    ],
)
def test_a_wrong_column_says_what_is_wrong(
    call: Callable[[pd.DataFrame], object], message: str, frame: pd.DataFrame
) -> None:
    with pytest.raises(StoreError, match=message):
        call(frame)


def test_nothing_in_nothing_out(store: Store) -> None:
    frame = store.frame()
    assert len(select(frame, ["status=finished", "step>=1"])) == 0
    assert len(group(frame, ["size"], ["steps"])) == 0
    assert len(pivot(frame, ["size"], "step", "steps")) == 0


def test_tables_from_files(tmp_path: Path, store: Store, pretrained: Row) -> None:
    (tmp_path / "t.csv").write_text("x,y\n1,2.5\n2,1.5\n")
    assert read_table(tmp_path / "t.csv")["y"].tolist() == [2.5, 1.5]
    pq.write_table(pa.table({"x": [1, 2]}), tmp_path / "named-anything")
    assert read_table(str(tmp_path / "named-anything"))["x"].tolist() == [1, 2]
    store.publish(pretrained)
    store.compact()
    frame = read_table(store.path / "results.parquet")  # rows of a store come flattened
    assert frame["dft_t_energy_mae_mev"].tolist() == [100]


@pytest.mark.parametrize(
    "content",
    [b"", b"\n\n", b"PAR1 and no more", b"x,y\n1,2\n1,2,3,4\n", b"x,y\n\xff\xfe\x00,1\n"],
)
def test_an_unreadable_table_is_named(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "table"
    path.write_bytes(content)
    with pytest.raises(StoreError, match=f"{path}.* neither CSV nor Parquet"):
        read_table(path)
    assert path.exists()


def test_no_table_at_all(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot be read: No such file"):
        read_table(tmp_path / "missing.csv")
    with pytest.raises(StoreError, match="cannot be read: Is a directory"):
        read_table(tmp_path)


def test_a_table_of_a_newer_format_asks_for_an_upgrade(tmp_path: Path) -> None:
    table = pa.table({"x": [1]}).replace_schema_metadata({"mfscale_format": str(FORMAT + 1)})
    pq.write_table(table, tmp_path / "newer.parquet")
    with pytest.raises(StoreError, match="upgrade mfscale"):
        read_table(tmp_path / "newer.parquet")
