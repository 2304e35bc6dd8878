"""``metadata.parquet`` beside an LMDB: a row per label, with its method, energy and units."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mfscale.data.errors import DatasetError
from mfscale.data.imports.method_keys import KNOWN_COSTS, NAME, MethodKeys
from mfscale.data.imports.record import cause
from mfscale.data.imports.units import energy_factor, forces_factor

FILE = "metadata.parquet"

_NEEDED = ("idx", "method")
_LABELS = ("formula", "n_atoms", "energy", "forces_present", "energy_unit", "forces_unit")
_AT_ONCE = 512


@dataclass(frozen=True, kw_only=True)
class Row:
    """One label as the table has it; None where the table says nothing.

    Attributes
    ----------
    number
        Its place in the table, from 0.
    idx
        What finds its record.
    method, formula
        Text.
    n_atoms
        Of the structure.
    energy
        In `energy_ev` eV.
    has_forces
        Whether its record is to hold forces.
    energy_ev, forces_ev_a
        Units → eV, eV/Å; None where the table names none.
    """

    number: int
    idx: Any
    method: str
    formula: str | None
    n_atoms: int | None
    energy: float | None
    has_forces: bool | None
    energy_ev: float | None
    forces_ev_a: float | None


class Table:
    """A table of labels, read some hundred rows at a time.

    Raises
    ------
    DatasetError
        When it is no Parquet file, or lacks ``idx`` or ``method``.
    """

    def __init__(self, path: Path) -> None:
        import pyarrow.parquet as pq  # noqa: PLC0415 - this reader alone needs it

        self.path = path
        try:
            self._file = pq.ParquetFile(path)
            names = self._file.schema_arrow.names
        except (OSError, ValueError) as error:
            raise DatasetError(f"{path}: no readable Parquet file ({cause(error)})") from None
        lacking = [name for name in _NEEDED if name not in names]
        if lacking:
            raise DatasetError(
                f"{path}: has no column {lacking[0]!r}; its columns are {', '.join(names)}"
            )
        self._columns = [name for name in (*_NEEDED, *_LABELS) if name in names]

    @cached_property
    def labels_of(self) -> dict[str, tuple[int, bool]]:
        """Value of ``method`` → its rows, and whether any has forces; in the table's order."""
        found: dict[str, tuple[int, bool]] = {}
        for part in self._parts(["method", "forces_present"]):
            forces = part.get("forces_present", [None] * len(part["method"]))
            for method, has in zip(part["method"], forces, strict=True):
                n, any_has = found.get(str(method), (0, False))
                found[str(method)] = n + 1, any_has or has is None or bool(has)
        return found

    def methods(self) -> tuple[MethodKeys, ...]:
        """Each value of ``method`` as a method of that name; the paper's in lower case.

        Raises
        ------
        DatasetError
            When a value cannot name a method.
        """
        stated = []
        for value, (_, forces) in self.labels_of.items():
            name = value.lower() if value.lower() in KNOWN_COSTS else value
            if not NAME.fullmatch(name):
                raise DatasetError(
                    f"{self.path}: method {value!r} cannot be a name here; say which it is, for "
                    f"example --method dft:energy={value!r},forces={value!r}"
                )
            stated.append(
                MethodKeys(
                    name=name,
                    energy=value,
                    forces=value if forces else None,
                    level=f"{value} of {self.path.parent.name}",
                )
            )
        return tuple(stated)

    def rows(self) -> Iterator[list[Row]]:
        """Some hundred rows at a time, in order."""
        number = 0
        for part in self._parts(self._columns):
            n = len(part["idx"])
            columns = {name: part.get(name, [None] * n) for name in (*_NEEDED, *_LABELS)}
            yield [
                self._row(number + k, {name: column[k] for name, column in columns.items()})
                for k in range(n)
            ]
            number += n

    def index(self) -> tuple[NDArray[np.int64], NDArray[np.object_]]:
        """``idx`` and ``method`` of all rows, (R,) each.

        Raises
        ------
        DatasetError
            When an index is no whole number.
        """
        idx, method = [], []
        for part in self._parts(list(_NEEDED)):
            idx.append(np.array(part["idx"]))
            method.append(np.array(part["method"], dtype=np.object_))
        every = np.concatenate([np.zeros(0, np.int64), *idx])
        if every.dtype.kind not in "iu":
            raise DatasetError(f"{self.path}: idx holds something that is no whole number")
        return every.astype(np.int64), np.concatenate([np.zeros(0, np.object_), *method])

    def _row(self, number: int, of: dict[str, Any]) -> Row:
        where = f"{self.path}, row {number + 1}"
        idx, has_forces = of["idx"], of["forces_present"]
        try:
            return Row(
                number=number,
                idx=int(idx) if isinstance(idx, float) and idx.is_integer() else idx,
                method=str(of["method"]),
                formula=None if of["formula"] is None else str(of["formula"]),
                n_atoms=None if of["n_atoms"] is None else int(of["n_atoms"]),
                energy=None if of["energy"] is None else float(of["energy"]),
                has_forces=None if has_forces is None else bool(has_forces),
                energy_ev=self._factor(energy_factor, of["energy_unit"], where),
                forces_ev_a=self._factor(forces_factor, of["forces_unit"], where),
            )
        except DatasetError:
            raise
        except (ValueError, TypeError, OverflowError) as error:
            raise DatasetError(f"{where}: {cause(error)}") from None

    def _factor(self, of: Any, unit: Any, where: str) -> float | None:  # noqa: ANN401
        if unit is None or str(unit).strip().lower() in {"", "none", "nan", "n/a", "-"}:
            return None
        key = (of, str(unit))
        if key not in self._factors:
            self._factors[key] = of(str(unit), where)
        return self._factors[key]

    @cached_property
    def _factors(self) -> dict[tuple[Any, str], float]:
        return {}

    def _parts(self, columns: list[str]) -> Iterator[dict[str, list[Any]]]:
        there = [name for name in columns if name in self._columns]
        try:
            for batch in self._file.iter_batches(batch_size=_AT_ONCE, columns=there):
                yield batch.to_pydict()
        except (OSError, ValueError) as error:
            raise DatasetError(f"{self.path}: damaged ({cause(error)})") from None
