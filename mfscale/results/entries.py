"""The entries of a nested list column of all rows, worked on as flat arrays."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Columns = dict[str, pa.Array]
Index = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Entries:
    """The entries of a nested list column, one after the other.

    Attributes
    ----------
    present
        Whether a row has a list at all, shape (rows,).
    rows
        Row of each entry, ascending, shape (entries,).
    fields
        Each field of the entries, of shape (entries,).
    """

    present: npt.NDArray[np.bool_]
    rows: Index
    fields: Columns

    @classmethod
    def of(cls, table: pa.Table, column: str) -> Self:
        """Take the entries of a list-of-structs column."""
        lists = table[column].combine_chunks()
        lengths = np.asarray(lists.value_lengths().fill_null(0))
        values = lists.flatten()
        names = (field.name for field in values.type)
        return cls(
            present=np.asarray(lists.is_valid()),
            rows=np.repeat(np.arange(len(lists)), lengths),
            fields=dict(zip(names, values.flatten(), strict=True)),
        )

    @property
    def n_rows(self) -> int:
        """Rows of the table."""
        return len(self.present)

    def is_first(self) -> npt.NDArray[np.bool_]:
        """Tell which entries are the first of their row, shape (entries,)."""
        first: npt.NDArray[np.bool_] = np.diff(self.rows, prepend=-1) != 0
        return first

    def keep(self, mask: npt.NDArray[np.bool_]) -> Self:
        """Drop the entries outside a mask of shape (entries,)."""
        kept = pa.array(mask)
        fields = {name: array.filter(kept) for name, array in self.fields.items()}
        return replace(self, rows=self.rows[mask], fields=fields)

    def kinds(self, keys: Sequence[str]) -> Iterator[tuple[tuple[str, ...], Index]]:
        """Yield each distinct combination of keys, sorted, with the entries that have it."""
        code = np.zeros(len(self.rows), dtype=np.int64)
        for key in keys:
            encoded = self.fields[key].dictionary_encode()
            code = code * len(encoded.dictionary) + np.asarray(encoded.indices)
        order = np.argsort(code, kind="stable")
        groups = np.split(order, np.flatnonzero(np.diff(code[order])) + 1) if len(code) else []
        named = [
            (tuple(self.fields[key][int(group[0])].as_py() for key in keys), group)
            for group in groups
        ]
        yield from sorted(named, key=lambda kind: kind[0])

    def spread(self, name: str, entries: Index) -> pa.Array:
        """Put a field of the chosen entries, one per row at most, into a column of all rows."""
        position = np.full(self.n_rows, -1)
        position[self.rows[entries]] = entries
        return self.fields[name].take(pa.array(position, mask=position < 0))

    def join(self, separators: npt.NDArray[np.object_], pieces: pa.Array) -> pa.Array:
        """Join the pieces of each row, each behind its own separator; null where no list is."""
        text = pc.binary_join_element_wise(pa.array(separators, pa.string()), pieces, "")
        ends = np.cumsum(np.bincount(self.rows, minlength=self.n_rows))
        offsets = pa.array(np.concatenate([[0], ends]), pa.int32())
        joined = pc.binary_join(pa.ListArray.from_arrays(offsets, text), "")
        return pc.if_else(pa.array(self.present), joined, None)
