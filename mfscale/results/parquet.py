"""Tables to Parquet bytes and back, always through an explicit schema.

Every file carries the format version in its schema metadata and a checksum on every page.
Reading fills columns, and fields inside nested columns, that an older format lacked with nulls.
"""

import errno
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from mfscale.results.schema import FORMAT, FORMAT_KEY

_OWNER = b"mfscale_stage"
"""Key of a schema's metadata: the stage that a table without a column of stages belongs to."""

_GROUP = 2000
"""Rows that are read together if one of them is wanted."""
_NO_THREAD = "Failed to launch worker thread"


class DamagedError(Exception):
    """Bytes that are no table of ours: truncated, corrupt or written by something else."""


class NewerFormatError(Exception):
    """A table that a newer mfscale wrote."""


def encode(table: pa.Table, *, compressed: bool = False, stage_id: str | None = None) -> bytes:
    """Write a table as Parquet with a checksum on every page, a long one always compressed.

    With `stage_id` it says whose it is.
    """
    if stage_id is not None:
        metadata = {**(table.schema.metadata or {}), _OWNER: stage_id.encode()}
        table = table.replace_schema_metadata(metadata)
    sink = pa.BufferOutputStream()
    # A dictionary pays in a long table only; in a file of one row it is all overhead.
    long = compressed or table.num_rows > 64
    pq.write_table(
        table,
        sink,
        compression="zstd" if long else "none",
        use_dictionary=long,
        write_statistics=long,
        write_page_checksum=True,
        row_group_size=_GROUP,
    )
    return bytes(sink.getvalue())


def decode(
    data: pa.Buffer,
    schema: pa.Schema,
    *,
    columns: Sequence[str] | None = None,
    stage_id: str | None = None,
    owner: str | None = None,
) -> pa.Table:
    """Read Parquet bytes as a table of the given schema.

    Parameters
    ----------
    data
        The bytes of the whole file.
    schema
        The types to return; the file may lack columns, not have others.
    columns
        Read these alone; all by default.
    stage_id
        Read the rows of this stage alone; all by default.
    owner
        Whose table it is, if it says so; older versions did not.

    Raises
    ------
    DamagedError
        If the bytes are not such a table, or it is another stage's.
    NewerFormatError
        If they were written in a newer format.
    MemoryError, OSError
        If memory or the system fails, which says nothing about the bytes.
    """
    try:
        with pq.ParquetFile(data, page_checksum_verification=True) as file:
            written = file.schema_arrow
            _check_format(written)
            _check_owner(written, owner)
            wanted = schema if columns is None else _subset(schema, columns)
            names = [name for name in wanted.names if name in written.names]
            if stage_id is None:
                table = file.read(columns=names)
            elif groups := _groups_of(stage_id, file):
                table = file.read_row_groups(groups, columns=names)
                table = table.filter(pc.equal(table["stage_id"], stage_id))
            else:
                table = wanted.empty_table()
        table = conform(table, wanted)
        table.validate(full=True)
    except MemoryError:  # of which Arrow's own is one
        raise
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        if _NO_THREAD in str(error):  # a machine without room for one more; the bytes may be sound
            raise OSError(errno.EAGAIN, _NO_THREAD) from error
        if isinstance(error, OSError) and error.errno:  # Arrow's about damaged bytes have none
            raise
        raise DamagedError(str(error).strip().splitlines()[0]) from error
    if unknown := set(written.names) - set(schema.names):
        raise DamagedError(f"column {min(unknown)!r} is not part of format {FORMAT}")
    return table


def _groups_of(stage_id: str, file: pq.ParquetFile) -> list[int]:
    """The groups of rows that hold rows of a stage; of the others its column alone is read."""
    return [
        group
        for group in range(file.num_row_groups)
        if pc.index(file.read_row_group(group, ["stage_id"])["stage_id"], stage_id).as_py() >= 0
    ]


def is_ours(schema: pa.Schema) -> bool:
    """Tell whether a Parquet file's schema bears the mark of this package."""
    return FORMAT_KEY in (schema.metadata or {})


def conform(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """Give a table exactly the columns and types of a schema, without ever changing a value.

    Raises
    ------
    DamagedError
        If a column is of another kind, a value does not fit its type, or a required one is null.
    """
    written = dict(zip(table.column_names, table.columns, strict=True))
    columns = []
    for field in schema:
        column = written.get(field.name)
        column = pa.nulls(table.num_rows) if column is None else column.combine_chunks()
        column = _conform(column, field.type, field.name)
        columns.append(_complete(column, field, field.name))
    return pa.Table.from_arrays(columns, schema=schema)


def _conform(array: pa.Array, dtype: pa.DataType, path: str) -> pa.Array:
    written = array.type
    if written == dtype:
        return array
    if pa.types.is_null(written):
        return pa.nulls(len(array), dtype)
    if _kind(written) != _kind(dtype):
        raise DamagedError(f"column {path!r} holds {_kind(written)} where {_kind(dtype)} belongs")
    if pa.types.is_struct(dtype):
        return _conform_struct(array, dtype, path)
    if pa.types.is_list(dtype):
        lengths = array.value_lengths().fill_null(0).to_numpy(zero_copy_only=False)
        offsets = pa.array(np.concatenate([[0], np.cumsum(lengths)]), pa.int32())
        values = _conform(array.flatten(), dtype.value_type, path)
        return pa.ListArray.from_arrays(offsets, values, type=dtype, mask=array.is_null())
    try:
        return array.cast(dtype)  # safe: a value that would change is an error
    except pa.ArrowInvalid as error:
        raise DamagedError(f"column {path!r}: {error}") from error


def _conform_struct(array: pa.StructArray, dtype: pa.StructType, path: str) -> pa.StructArray:
    written = dict(zip((field.name for field in array.type), array.flatten(), strict=True))
    if unknown := set(written) - {field.name for field in dtype}:
        raise DamagedError(f"field {path}.{min(unknown)} is not part of format {FORMAT}")
    children = []
    for field in dtype:
        child = written.get(field.name, pa.nulls(len(array)))
        child = _conform(child, field.type, f"{path}.{field.name}")
        children.append(_complete(child, field, f"{path}.{field.name}"))
    return pa.StructArray.from_arrays(children, fields=list(dtype), mask=array.is_null())


def _complete(array: pa.Array, field: pa.Field, path: str) -> pa.Array:
    if array.null_count and not field.nullable:
        raise DamagedError(f"column {path!r} lacks values")
    return array


def _kind(dtype: pa.DataType) -> str:
    kinds = {
        "text": pa.types.is_string(dtype) or pa.types.is_large_string(dtype),
        "numbers": pa.types.is_integer(dtype) or pa.types.is_floating(dtype),
        "flags": pa.types.is_boolean(dtype),
        "times": pa.types.is_timestamp(dtype),
        "lists": pa.types.is_list(dtype),
        "structs": pa.types.is_struct(dtype),
    }
    return next((kind for kind, matches in kinds.items() if matches), str(dtype))


def _check_format(schema: pa.Schema) -> None:
    version = (schema.metadata or {}).get(FORMAT_KEY, b"").decode()
    if not version.isdecimal():
        raise DamagedError("it is not a table that mfscale wrote")
    if int(version) > FORMAT:
        raise NewerFormatError(version)


def _check_owner(schema: pa.Schema, owner: str | None) -> None:
    said = (schema.metadata or {}).get(_OWNER)
    if said is not None and owner is not None and said != owner.encode():
        raise DamagedError(f"it is of stage {said.decode(errors='replace')}")


def _subset(schema: pa.Schema, columns: Sequence[str]) -> pa.Schema:
    return pa.schema([schema.field(name) for name in columns], metadata=schema.metadata)
