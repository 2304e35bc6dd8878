"""The results store: one row per stage in Parquet, the ledger of what is finished, and queries.

Importing this package is quick; pandas and DuckDB load with the first use of what needs them.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from mfscale.results.archive import Archive, write_archive
from mfscale.results.causes import Cause, below, causes
from mfscale.results.errors import StoreError
from mfscale.results.inspection import Finding, inspect
from mfscale.results.own_folder import own_folder
from mfscale.results.place import Held, Place, open_place
from mfscale.results.schema import (
    ARCHIVE_ERRORS_SCHEMA,
    CURVE_SCHEMA,
    ERRORS_SCHEMA,
    FORMAT,
    GROUPS,
    SCHEMA,
    STATUSES,
)
from mfscale.results.store import Store, checkpoint, is_there, log_file
from mfscale.results.tables import errors_table
from mfscale.results.turn import turn

if TYPE_CHECKING:
    from mfscale.results.flat import flatten
    from mfscale.results.query import group, in_natural_order, pivot, read_table, select

__all__ = [
    "ARCHIVE_ERRORS_SCHEMA",
    "CURVE_SCHEMA",
    "ERRORS_SCHEMA",
    "FORMAT",
    "GROUPS",
    "SCHEMA",
    "STATUSES",
    "Archive",
    "Cause",
    "Finding",
    "Held",
    "Place",
    "Store",
    "StoreError",
    "below",
    "causes",
    "checkpoint",
    "errors_table",
    "flatten",
    "group",
    "in_natural_order",
    "inspect",
    "is_there",
    "log_file",
    "open_place",
    "own_folder",
    "pivot",
    "read_table",
    "select",
    "turn",
    "write_archive",
]

_LAZY = {
    "flatten": "flat",
    "group": "query",
    "in_natural_order": "query",
    "pivot": "query",
    "read_table": "query",
    "select": "query",
}


def __getattr__(name: str) -> object:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_LAZY[name]}"), name)
