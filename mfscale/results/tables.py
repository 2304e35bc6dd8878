"""What a stage leaves beside its row, as tables."""

from collections.abc import Iterable, Mapping
from typing import Any

import pyarrow as pa

from mfscale.results.schema import ERRORS_SCHEMA


def errors_table(parts: Iterable[Mapping[str, Any]]) -> pa.Table:
    """Test errors (``ERRORS_SCHEMA``) from those of each head against each method.

    Parameters
    ----------
    parts
        By column: an array of the part's structures, or what is the same for all of them.
    """
    tables = [ERRORS_SCHEMA.empty_table()]
    for part in parts:
        number = len(part["structure"])
        columns = [
            pa.array(value, field.type)
            if hasattr(value := part[field.name], "__array__")
            else pa.repeat(pa.scalar(value, field.type), number)
            for field in ERRORS_SCHEMA
        ]
        tables.append(pa.Table.from_arrays(columns, schema=ERRORS_SCHEMA))
    return pa.concat_tables(tables)
