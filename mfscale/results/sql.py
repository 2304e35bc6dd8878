"""Answer SQL over result rows with DuckDB, in a database that can only read them."""

import duckdb
import pyarrow as pa

from mfscale.results.errors import StoreError
from mfscale.results.flat import evaluations_table, flat_table

_READING = (duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN)

_CLOSED = (
    "allow_persistent_secrets = false",
    "temp_directory = ''",  # a query that outgrows memory fails; nothing spills into a folder
    "enable_external_access = false",
    "lock_configuration = true",
)
"""What shuts a database off: from files and the network, and last from its own settings."""


def run_sql(table: pa.Table, query: str) -> pa.Table:
    """Answer one SQL query.

    The query sees three tables: ``results``, one row per stage with the columns of ``flatten``;
    ``stages``, the same rows with their nested fields; ``evaluations``, one row per evaluation
    with its ``stage_id``. They are copies in memory, and the database is shut off from files,
    extensions and its own settings before the query is read, so nothing can be changed.

    Parameters
    ----------
    table
        Rows with ``SCHEMA``, one per stage.
    query
        One statement that reads: SELECT, WITH, FROM, DESCRIBE, SHOW, SUMMARIZE or EXPLAIN.

    Returns
    -------
    pa.Table
        The answer. Whole-number sums are 64-bit integers where they fit.

    Raises
    ------
    StoreError
        If the query is not one reading statement, or DuckDB refuses it; with DuckDB's message.
    """
    with duckdb.connect(":memory:") as database:
        database.register("results", flat_table(table))
        database.register("stages", table)
        database.register("evaluations", evaluations_table(table))
        for setting in _CLOSED:
            database.execute(f"SET {setting}")
        try:
            statements = database.extract_statements(query)
            if len(statements) != 1 or statements[0].type not in _READING:
                raise StoreError(
                    f"not one statement that reads (SELECT, DESCRIBE, SUMMARIZE …): {query!r}"
                )
            answer = database.sql(query).to_arrow_table()
        except duckdb.Error as error:
            raise StoreError(f"SQL: {error}") from error
    return _plain(answer)


def _plain(table: pa.Table) -> pa.Table:
    """Turn DuckDB's 128-bit integers, which few tools read, into 64-bit ones or reals."""
    for i, field in enumerate(table.schema):
        if field.type == pa.decimal128(38, 0):
            try:
                column = table.column(i).cast(pa.int64())
            except pa.ArrowInvalid:
                column = table.column(i).cast(pa.float64())
            table = table.set_column(i, field.name, column)
    return table
