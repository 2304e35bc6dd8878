"""SQL over a store answers questions and can change or read nothing else."""

from pathlib import Path

import pyarrow as pa
import pytest

from mfscale.results import Store, StoreError

Row = dict[str, object]


@pytest.fixture
def filled(store: Store, pretrained: Row, finetuned: Row) -> Store:
    store.publish(pretrained)
    store.publish(finetuned)
    store.compact()
    return store


@pytest.mark.parametrize(
    ("query", "answer"),
    [
        (
            "SELECT labels, parent_dft_size AS n FROM results WHERE step = 1",
            [{"labels": "cc:a:50 & dft:b:100+forces", "n": 400}],
        ),
        (
            "SELECT sum(cc_size) AS n, avg(hp_learning_rate) AS r FROM results",
            [{"n": 50, "r": 0.006}],
        ),
        (
            "SELECT stage_id, min(value) AS low FROM evaluations GROUP BY ALL ORDER BY low",
            [{"stage_id": "bb22", "low": 10.0}, {"stage_id": "aa11", "low": 100.0}],
        ),
        (
            "WITH s AS (FROM stages) SELECT len(heads) AS n FROM s ORDER BY stage_id",
            [{"n": 1}, {"n": 2}],
        ),
        ("SELECT max(started_at)::DATE::VARCHAR AS day FROM results;", [{"day": "2026-01-02"}]),
        ("SHOW TABLES", [{"name": "evaluations"}, {"name": "results"}, {"name": "stages"}]),
    ],
)
def test_answers(query: str, answer: list[Row], filled: Store) -> None:
    assert filled.sql(query).to_pylist() == answer


def test_sums_of_whole_numbers_are_ordinary_numbers(filled: Store) -> None:
    answer = filled.sql("SELECT sum(cc_size) AS small, 9e18::HUGEINT * 9 AS large FROM results")
    assert answer.schema.types == [pa.int64(), pa.float64()]
    assert answer.to_pylist() == [{"small": 50, "large": 8.1e19}]


@pytest.mark.parametrize(
    "query",
    [
        "INSERT INTO results VALUES (1)",
        "UPDATE results SET status = 'failed'",
        "DELETE FROM stages",
        "DROP VIEW results",
        "CREATE TABLE x AS SELECT 1",
        "WITH x AS (DELETE FROM results RETURNING *) SELECT * FROM x",
        "COPY results TO '{folder}/new.csv'",
        "COPY (SELECT 1) TO '{folder}/new.parquet'",
        "EXPLAIN ANALYZE COPY results TO '{folder}/new.csv'",
        "EXPORT DATABASE '{folder}/new'",
        "ATTACH '{folder}/new.db'",
        "SELECT * FROM read_csv('{folder}/secret.csv')",
        "SELECT * FROM read_text('{folder}/secret.csv')",
        "SELECT * FROM '{folder}/secret.csv'",
        "SELECT * FROM '{folder}/store/results.parquet'",
        "SELECT * FROM glob('{folder}/*')",
        "SELECT * FROM read_csv('https://example.org/x.csv')",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET enable_external_access = true",
        "SET lock_configuration = false",
        "RESET lock_configuration",
        "PRAGMA enable_profiling = 'json'",
        "CALL pragma_version()",
        "SELECT * FROM table",
        "SELECT 1; SELECT 2",
        "SELECT 1; SET threads = 1",
        "",
        "-- nothing",
    ],
)
def test_nothing_else_can_be_read_or_changed(query: str, filled: Store, tmp_path: Path) -> None:
    (tmp_path / "secret.csv").write_text("secret\n1\n")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(StoreError):
        filled.sql(query.format(folder=tmp_path))
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_tables_of_the_calling_program_are_out_of_reach(filled: Store) -> None:
    table = pa.table({"x": [1]})
    assert table.num_rows == 1
    with pytest.raises(StoreError, match="table"):
        filled.sql('SELECT * FROM "table"')


def test_a_wrong_query_ends_in_the_message_of_duckdb(filled: Store) -> None:
    with pytest.raises(StoreError, match='"cc_sise" not found'):
        filled.sql("SELECT cc_sise FROM results")
    with pytest.raises(StoreError, match='syntax error at or near "SELEC"'):
        filled.sql("SELEC 1")
