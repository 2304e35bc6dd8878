"""Check a row against the schema, naming the key that is wrong, and make it a table of one row."""

import datetime as dt
import numbers
from collections.abc import Callable, Mapping

import numpy as np
import pyarrow as pa

from mfscale.results.errors import StoreError
from mfscale.results.schema import SCHEMA

UNIQUE = {
    "heads": ("name",),
    "kept_heads": ("name",),
    "offsets": ("head", "element"),
    "scales": ("head",),
    "evaluations": ("head", "method", "subset", "moment", "metric", "unit"),
}
"""Keys that tell the entries of a list apart, and later name the flattened columns."""


def row_table(row: Mapping[str, object]) -> pa.Table:
    """Turn one row into a table of the schema.

    Parameters
    ----------
    row
        Field name to value; lists of mappings for nested fields. A field that is absent is null.

    Returns
    -------
    pa.Table
        One row, with ``SCHEMA``.

    Raises
    ------
    StoreError
        If a key is unknown, a required one is missing, or a value has the wrong type or is not
        among the allowed ones; the message gives the path of the key.
    """
    try:
        plain = _struct(row, list(SCHEMA), "")
        for name, keys in UNIQUE.items():
            _check_unique(plain[name], keys, name)
        return pa.Table.from_pylist([plain], schema=SCHEMA)
    except (pa.ArrowException, OverflowError) as error:
        raise StoreError(f"the row of stage {row.get('stage_id')!r}: {error}") from error


def _struct(value: Mapping[str, object], fields: list[pa.Field], path: str) -> dict[str, object]:
    names = {field.name for field in fields}
    for key in value:
        if key not in names:
            raise StoreError(f"a result row has no field {_join(path, str(key))!r}")
    return {field.name: _value(value.get(field.name), field, path) for field in fields}


def _value(value: object, field: pa.Field, path: str) -> object:
    path = _join(path, field.name)
    if value is None:
        if not field.nullable:
            raise StoreError(f"a result row needs {path!r}")
        return None
    plain = _typed(value, field.type, path)
    choices = (field.metadata or {}).get(b"choices", b"").decode()
    if choices and plain not in choices.split("|"):
        raise StoreError(
            f"{path!r} of a result row is one of {choices.replace('|', ', ')}, not {value!r}"
        )
    return plain


def _typed(value: object, dtype: pa.DataType, path: str) -> object:
    if pa.types.is_struct(dtype):
        if isinstance(value, Mapping):
            return _struct(value, list(dtype), path)
    elif pa.types.is_list(dtype):
        if isinstance(value, list | tuple):
            item = dtype.value_field
            return [_typed(entry, item.type, f"{path}[{i}]") for i, entry in enumerate(value)]
    else:
        for is_type, accepts, convert in _SCALARS:
            if is_type(dtype) and accepts(value):
                return convert(value)
    raise StoreError(
        f"{path!r} of a result row is a {_spoken(dtype)}, not {value!r} ({type(value).__name__})"
    )


def _is_integer(value: object) -> bool:
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


def _is_real(value: object) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def _is_aware(value: object) -> bool:
    return isinstance(value, dt.datetime) and value.tzinfo is not None


_SCALARS: tuple[
    tuple[Callable[[pa.DataType], bool], Callable[[object], bool], Callable[..., object]], ...
] = (
    (pa.types.is_string, lambda value: isinstance(value, str), str),
    (pa.types.is_boolean, lambda value: isinstance(value, bool | np.bool_), bool),
    (pa.types.is_integer, _is_integer, int),
    (pa.types.is_floating, _is_real, float),
    (pa.types.is_timestamp, _is_aware, lambda value: value),
)
"""For each scalar type: how to tell it, the Python values it accepts, and their plain form."""


def _check_unique(entries: object, keys: tuple[str, ...], path: str) -> None:
    seen = set()
    for entry in entries if isinstance(entries, list) else []:
        key = tuple(entry[name] for name in keys)
        if key in seen:
            raise StoreError(f"{path!r} of a result row has {' '.join(map(str, key))} twice")
        seen.add(key)


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _spoken(dtype: pa.DataType) -> str:
    if pa.types.is_timestamp(dtype):
        return "time with its time zone"
    return "mapping" if pa.types.is_struct(dtype) else str(dtype).partition("<")[0]
