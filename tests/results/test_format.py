"""Files of other formats: older ones are completed, newer ones refused, and no type is inferred."""

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mfscale.results import FORMAT, SCHEMA, Store, StoreError

Row = dict[str, object]
REQUIRED = [field.name for field in SCHEMA if not field.nullable]


def rewrite(path: Path, change: Callable[[pa.Table], pa.Table], version: int = FORMAT) -> None:
    """Write a file as another version of the schema would have."""
    table = change(pq.read_table(path))
    pq.write_table(table.replace_schema_metadata({"mfscale_format": str(version)}), path)


def test_an_older_file_with_fewer_columns_is_filled_with_nulls(
    store: Store, pretrained: Row
) -> None:
    path = Path(store.publish(pretrained))
    rewrite(path, lambda table: table.drop_columns(["evaluations", "wall_time_s"]))
    row = store.row("aa11")
    assert row is not None
    assert row["evaluations"] is None
    assert row["heads"] == store.row("aa11")["heads"]
    assert row["n_parameters"] == 12_345


def test_an_older_file_with_fewer_nested_fields_is_filled_with_nulls(
    store: Store, pretrained: Row, finetuned: Row
) -> None:
    def drop_weight_and_batch_size(table: pa.Table) -> pa.Table:
        (row,) = table.to_pylist()
        heads = [{k: v for k, v in head.items() if k != "weight"} for head in row["heads"]]
        settings = {"learning_rate": row["hyperparameters"]["learning_rate"]}
        table = table.set_column(table.column_names.index("heads"), "heads", pa.array([heads]))
        return table.set_column(
            table.column_names.index("hyperparameters"), "hyperparameters", pa.array([settings])
        )

    rewrite(store.publish(pretrained), drop_weight_and_batch_size)
    store.publish(finetuned)
    old, new = store.table().to_pylist()
    assert old["heads"][0]["weight"] is None
    assert old["heads"][0]["size"] == 400
    assert old["hyperparameters"]["learning_rate"] == 0.01
    assert old["hyperparameters"]["batch_size"] is None
    assert new["heads"][1]["weight"] == 0.1
    store.compact()
    assert store.table().to_pylist() == [old, new]


def test_null_and_empty_stay_apart_in_an_older_file(
    store: Store, brief_row: Callable[..., Row]
) -> None:
    """Completing a nested column must not turn a missing list or struct into an empty one."""
    old_offsets = pa.list_(pa.struct([("element", pa.string()), ("head", pa.string())]))
    old_settings = pa.struct([("batch_size", pa.int64())])
    entry = {"head": "cc", "element": "H"}
    old = pa.table(
        {
            "stage_id": ["a", "b", "c", "d"],
            "attempt": pa.array([0] * 4, pa.int32()),
            "status": ["finished"] * 4,
            "purpose": ["science"] * 4,
            "offsets": pa.array([None, [], [entry], None], old_offsets),
            "hyperparameters": pa.array([None, {}, {"batch_size": 8}, None], old_settings),
        }
    )
    for i, stage in enumerate("abcd"):
        rewrite(store.publish(brief_row(stage)), lambda _, i=i: old.slice(i, 1))
    table = store.table()
    complete = entry | {"offset_ev": None}
    assert table["offsets"].to_pylist() == [None, [], [complete], None]
    assert [row and row["batch_size"] for row in table["hyperparameters"].to_pylist()] == [
        None,
        None,
        8,
        None,
    ]
    assert table["hyperparameters"].is_null().to_pylist() == [True, False, False, True]
    store.compact()
    assert store.table().equals(table)


def test_a_file_of_a_newer_format_asks_for_an_upgrade_and_stays(
    store: Store, brief_row: Callable[..., Row]
) -> None:
    path = Path(store.publish(brief_row()))
    rewrite(path, lambda table: table.append_column("tomorrow", [[1]]), version=FORMAT + 1)
    for read in (store.table, store.statuses, store.compact):
        with pytest.raises(StoreError, match=f"format {FORMAT + 1}.*upgrade mfscale"):
            read()
    assert path.exists()


def test_whole_numbers_first_do_not_make_a_later_1_5_a_2(
    store: Store, brief_row: Callable[..., Row]
) -> None:
    """DuckDB without ``union_by_name`` took the first file's types: 1.5 was read as 2."""
    first = Path(store.publish(brief_row("a", cutoff_a=1)))
    as_whole_number = pa.array([1], pa.int64())
    rewrite(
        first,
        lambda table: table.set_column(
            table.column_names.index("cutoff_a"), "cutoff_a", as_whole_number
        ).drop_columns(["train_time_s"]),
    )
    store.publish(brief_row("b", cutoff_a=1.5, train_time_s=2.5))
    query = "SELECT stage_id, cutoff_a, train_time_s FROM results ORDER BY stage_id"
    expected = [
        {"stage_id": "a", "cutoff_a": 1.0, "train_time_s": None},
        {"stage_id": "b", "cutoff_a": 1.5, "train_time_s": 2.5},
    ]
    assert store.sql(query).to_pylist() == expected
    store.compact()
    assert store.sql(query).to_pylist() == expected
    assert store.table().schema.field("cutoff_a").type == pa.float64()


@pytest.mark.parametrize(
    ("column", "value", "complaint"),
    [
        ("steps", pa.array([1.5]), "steps"),
        ("steps", pa.array(["7"]), "steps"),
        ("attempt", pa.array([2**40]), "attempt"),
        ("attempt", pa.array([None], pa.int32()), "attempt"),
        ("hyperparameters", pa.array([{"magic": 1}]), "hyperparameters.magic"),
    ],
)
def test_a_value_of_another_type_is_damage_not_a_guess(
    column: str,
    value: pa.Array,
    complaint: str,
    store: Store,
    brief_row: Callable[..., Row],
) -> None:
    path = Path(store.publish(brief_row()))
    i = SCHEMA.get_field_index(column)
    rewrite(path, lambda table: table.set_column(i, column, value))
    with pytest.raises(StoreError, match=complaint):
        store.table()
    assert not path.exists()


def test_a_file_of_someone_else_in_the_inbox_is_set_aside(store: Store) -> None:
    (store.path / "inbox").mkdir()
    pq.write_table(pa.table({"x": [1]}), store.path / "inbox" / "x-0.parquet")
    with pytest.raises(StoreError, match="not a table that mfscale wrote"):
        store.table()


def test_every_field_says_what_it_means() -> None:
    def fields(parent: pa.Schema | pa.StructType) -> list[pa.Field]:
        own = list(parent)
        for field in own:
            dtype = field.type.value_type if pa.types.is_list(field.type) else field.type
            own = own + fields(dtype) if pa.types.is_struct(dtype) else own
        return own

    every = fields(SCHEMA)
    assert all(field.metadata[b"description"] for field in every)
    units = {name: field.metadata.get(b"unit") for field in every for name in [field.name]}
    for name, unit in units.items():
        if name.endswith("_ev"):
            assert unit == b"eV"
        if name.endswith("_s"):
            assert unit == b"s"
    assert set(REQUIRED) == {"stage_id", "attempt", "status", "purpose"}


def test_the_meaning_of_fields_is_in_the_file(store: Store, brief_row: Callable[..., Row]) -> None:
    store.publish(brief_row())
    store.compact()
    written = pq.read_schema(store.path / "results.parquet")
    assert written.field("train_time_s").metadata[b"unit"] == b"s"
    assert written.field("cutoff_a").metadata[b"description"] == b"neighbour cutoff"
