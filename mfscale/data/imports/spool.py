"""Structures written down as they come, in flat files, so that memory does not grow with them.

The files are mapped, and what comes after reading looks at some thousand structures at a time.
"""

import json
import os
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from mfscale.data.durable import sync
from mfscale.data.imports.kept_split import code_of
from mfscale.data.imports.matching import kind_of, projections
from mfscale.data.imports.method_keys import MethodKeys
from mfscale.data.imports.record import Record
from mfscale.data.splits import NO_SUBSET

_BUFFER = 1 << 20
_MOLECULES = "molecules"


@dataclass(frozen=True, kw_only=True)
class Spooled:
    """How much is on the disk: structures, periodic ones, and bytes by name of array."""

    n_structures: int
    n_periodic: int
    lengths: dict[str, int]


class Spool:
    """Appends structures to files in a directory; reads them back as arrays.

    Parameters
    ----------
    directory
        Exists, and is empty but for what `spooled` says.
    methods
        Whose labels are kept.
    spooled
        What to go on from; the files are cut to it.

    Attributes
    ----------
    molecules
        Names, in the order in which they came.
    n_structures
        Written so far.
    n_periodic
        Of them periodic: those alone have a ``cell`` and ``pbc``, at the place that ``box`` says.
    """

    def __init__(
        self, directory: Path, methods: Sequence[MethodKeys], spooled: Spooled | None = None
    ) -> None:
        self._directory = directory
        self._methods = tuple(methods)
        self._dtypes = _dtypes(methods)
        paths = _paths(directory, methods)
        self._molecules: dict[str, int] = {}
        if spooled:
            for name, path in paths.items():
                os.truncate(path, spooled.lengths[name])
            lines = paths[_MOLECULES].read_text(encoding="ascii").splitlines()
            self._molecules = {json.loads(line): k for k, line in enumerate(lines)}
        self._files = {name: path.open("ab", buffering=_BUFFER) for name, path in paths.items()}
        self.n_structures = spooled.n_structures if spooled else 0
        self.n_periodic = spooled.n_periodic if spooled else 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def molecules(self) -> tuple[str, ...]:
        """Names of the molecules that `molecule` indexes into."""
        return tuple(self._molecules)

    def append(self, record: Record, source: int) -> None:
        """Write a structure that has passed its checks, and the labels it has."""
        name = record.molecule or formula(record.numbers)
        molecule = self._molecules.get(name)
        if molecule is None:
            molecule = self._molecules[name] = len(self._molecules)
            self._files[_MOLECULES].write(json.dumps(name).encode() + b"\n")
        code = code_of(record.subset)
        self._put("numbers", record.numbers)
        self._put("positions", record.positions)
        self._put("n_atoms", len(record.numbers))
        self._put("molecule", molecule)
        self._put("source", source)
        self._put("number", record.number)
        self._put("subset", NO_SUBSET if code is None else code)
        self._put("kind", kind_of(record.numbers, record.box))
        self._put("box", self.n_periodic if record.box else -1)
        if record.box:
            self._put("cell", record.box.cell)
            self._put("pbc", record.box.pbc)
            self.n_periodic += 1
        self._put("projections", projections(record.positions))
        for method in self._methods:
            label = record.labels.get(method.name)
            forces = None if label is None else label.forces
            self._put(f"{method.name}_energy", np.nan if label is None else label.energy)
            self._put(f"{method.name}_n_forces", 0 if forces is None else len(forces))
            if forces is not None:
                self._put(f"{method.name}_forces", forces)
        self.n_structures += 1

    def sync(self) -> Spooled:
        """Wait until all is on the disk."""
        for file in self._files.values():
            file.flush()
            os.fsync(file.fileno())
        sync(self._directory)
        return Spooled(
            n_structures=self.n_structures,
            n_periodic=self.n_periodic,
            lengths={name: file.tell() for name, file in self._files.items()},
        )

    def close(self) -> None:
        """Finish writing; no file stays open, even if one cannot be written."""
        with ExitStack() as closing:
            for file in self._files.values():
                closing.callback(file.close)

    def read(self, name: str) -> NDArray[Any]:
        """An array of the spool, mapped; after `close`. Atoms and forces come as (…, 3).

        Projections come as (…, 2).
        """
        file = self._directory / f"{name}.bin"
        dtype = np.dtype(self._dtypes[name])
        array: NDArray[Any] = np.zeros(0, dtype)
        if file.stat().st_size:
            array = np.memmap(file, dtype=dtype, mode="r").view(np.ndarray)
        if name == "projections":
            return array.reshape(-1, 2)
        vectors = name == "positions" or (
            name.endswith("_forces") and not name.endswith("_n_forces")
        )
        return array.reshape(-1, 3) if vectors else array

    def boxes(self, rows: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Cells (k, 3, 3) and periodic directions (k, 3) of structures; zeros for molecules."""
        cell, pbc = np.zeros((len(rows), 3, 3)), np.zeros((len(rows), 3), dtype=np.bool_)
        place = self.read("box")[rows]
        periodic = place >= 0
        cell[periodic] = self.read("cell").reshape(-1, 3, 3)[place[periodic]]
        pbc[periodic] = self.read("pbc").reshape(-1, 3)[place[periodic]]
        return cell, pbc

    def _put(self, name: str, value: Any) -> None:  # noqa: ANN401 - a number or an array
        self._files[name].write(np.asarray(value).astype(self._dtypes[name]).tobytes())


def is_whole(directory: Path, methods: Sequence[MethodKeys], spooled: Spooled) -> bool:
    """Whether a spool's files are there, each as long as it is to be, or longer."""
    paths = _paths(directory, methods)
    return spooled.lengths.keys() == paths.keys() and all(
        path.is_file() and path.stat().st_size >= spooled.lengths[name]
        for name, path in paths.items()
    )


def _dtypes(methods: Sequence[MethodKeys]) -> dict[str, str]:
    of = {
        "numbers": "<u1",
        "positions": "<f8",
        "n_atoms": "<i4",
        "molecule": "<i4",
        "source": "<i4",
        "number": "<i8",
        "subset": "<u1",
        "box": "<i4",
        "cell": "<f8",
        "pbc": "|b1",
        "kind": "<u8",
        "projections": "<f8",
    }
    for method in methods:
        of[f"{method.name}_energy"] = "<f8"
        of[f"{method.name}_n_forces"] = "<i4"
        of[f"{method.name}_forces"] = "<f4"
    return of


def _paths(directory: Path, methods: Sequence[MethodKeys]) -> dict[str, Path]:
    """Files by name of array; names of molecules are JSON, a line each."""
    arrays = {name: directory / f"{name}.bin" for name in _dtypes(methods)}
    return arrays | {_MOLECULES: directory / f"{_MOLECULES}.jsonl"}


def formula(numbers: NDArray[np.int64]) -> str:
    """The formula in Hill's order: C and H first if there is carbon, then by the alphabet."""
    return _formula(numbers.astype("|u1").tobytes())


@lru_cache(maxsize=4096)
def _formula(numbers: bytes) -> str:
    from ase.data import chemical_symbols  # noqa: PLC0415 - many commands need no ASE

    z, counts = np.unique(np.frombuffer(numbers, dtype=np.uint8), return_counts=True)
    of = {chemical_symbols[i]: n for i, n in zip(z.tolist(), counts.tolist(), strict=True)}
    first = [symbol for symbol in ("C", "H") if "C" in of and symbol in of]
    order = first + sorted(set(of) - set(first))
    return "".join(symbol + (str(of[symbol]) if of[symbol] > 1 else "") for symbol in order)
