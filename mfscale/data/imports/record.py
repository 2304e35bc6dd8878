"""One structure with its labels, as every reader hands it on, and the checks it has to pass."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mfscale.data.imports.kept_split import WORDS, code_of
from mfscale.data.imports.method_keys import MethodKeys
from mfscale.data.periodic import is_usable, periodic_pairs

MOST_ATOMS = 100_000
"""A structure that claims more is damaged or hostile; nothing is allocated for it."""

HEAVIEST = 118

FARTHEST_A, LARGEST_EV = 1e6, 1e12
"""Beyond these a coordinate, an energy (eV) or a force (eV/Å) is damage."""

CLOSEST_A = 0.2
"""Atoms closer than this are one atom written twice, or lengths in another unit."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Label:
    """An energy in eV, and forces (n, 3) in eV/Å or None."""

    energy: float
    forces: NDArray[np.float64] | None


@dataclass(frozen=True, eq=False)
class Box:
    """Cell vectors, rows of (3, 3) in Å, and which (3,) are periodic."""

    cell: NDArray[np.float64]
    pbc: NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True, eq=False)
class Record:
    """A structure of n atoms.

    Attributes
    ----------
    number
        Its place in the file, from 0.
    numbers, positions
        (n,) atomic numbers; (n, 3) in Å.
    labels
        By method; methods that did not label it are absent.
    molecule
        A name, or empty: its formula is taken.
    box
        Of a periodic structure.
    subset
        What the source calls its subset, or empty.
    keys
        What the source has beside structures: names for messages.
    """

    number: int
    numbers: NDArray[np.int64]
    positions: NDArray[np.float64]
    labels: dict[str, Label]
    molecule: str = ""
    box: Box | None = None
    subset: str = ""
    keys: tuple[str, ...] = field(default=())


@dataclass(frozen=True, kw_only=True)
class Bad:
    """A structure that cannot be read, and why."""

    number: int
    reason: str


_LOOKED_AT_A = 1.0
_FEW = 200  # atoms, up to which all distances are looked at rather than searched

Item = Record | Bad


@dataclass(frozen=True, kw_only=True)
class Taken:
    """The first structures of a source, which an interrupted import has taken.

    Attributes
    ----------
    structures
        How many.
    done
        How far the last of them is, as `Reading.items` says it.
    """

    structures: int = 0
    done: int = 0


NOTHING = Taken()


@dataclass(frozen=True, kw_only=True, eq=False)
class Reading:
    """A source being read.

    Attributes
    ----------
    total
        Bytes, rows or structures.
    items
        How far one is, and a structure; those that were taken before are left out.
    notes
        What people should know of the source, sentences.
    """

    total: int
    items: Iterator[tuple[int, Item]]
    notes: tuple[str, ...] = ()


Reader = Callable[[Path, Sequence[MethodKeys], str | None, Taken], Reading]
"""File or folder, methods, the key of a structure that names its subset, and what was taken."""


def problem_of(record: Record) -> str | None:  # noqa: PLR0911 - a list of checks
    """Why a structure cannot be taken, in words that structures with the same fault share."""
    n = len(record.numbers)
    if not n:
        return "has no atoms"
    if record.positions.shape != (n, 3):
        return "positions do not match the atoms"
    if record.numbers.min() < 1 or record.numbers.max() > HEAVIEST:
        return "unknown element"
    if not (np.abs(record.positions) < FARTHEST_A).all():
        return "positions are not finite, or beyond 1e6 Å"
    if record.box and not is_usable(record.box.cell, record.box.pbc):
        return "is periodic, but its cell is flat, not finite, or under 0.5 or over 1e4 Å"
    if code_of(record.subset) is None:
        return f"is in a subset {record.subset[:20]!r}, which is none of {WORDS}"
    if _closest(record.positions, record.box) < CLOSEST_A:
        return f"two atoms are closer than {CLOSEST_A} Å"
    faults = (_fault_of(label, n) for label in record.labels.values())
    return next(
        (f"{m} {said}" for m, said in zip(record.labels, faults, strict=True) if said), None
    )


def _fault_of(label: Label, n: int) -> str | None:
    if not abs(label.energy) < LARGEST_EV:  # NaN is not less either
        return "energy is not finite"
    if label.forces is None:
        return None
    if label.forces.shape != (n, 3):
        return "forces do not match the atoms"
    return None if (np.abs(label.forces) < LARGEST_EV).all() else "forces are not finite"


def _closest(positions: NDArray[np.float64], box: Box | None) -> float:
    """The shortest distance of two atoms or their images, Å, as far as it matters."""
    if box:
        i, j, shift = periodic_pairs(positions, box.cell, box.pbc, _LOOKED_AT_A)
        apart = positions[j] - positions[i] + shift @ box.cell
        return float(np.linalg.norm(apart, axis=1).min(initial=np.inf))
    from scipy.spatial import cKDTree  # noqa: PLC0415 - an import alone needs it

    if len(positions) <= _FEW:
        one, other = _pairs(len(positions))
        apart = positions[one] - positions[other]
        return float(np.sqrt(np.einsum("ij,ij->i", apart, apart).min(initial=np.inf)))
    nearest = np.asarray(cKDTree(positions).query(positions, k=2)[0])
    return float(nearest[:, 1].min())


@lru_cache(maxsize=_FEW)
def _pairs(n: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Both atoms of all pairs."""
    one, other = np.triu_indices(n, 1)
    return one, other


def label_or_reason(keys: MethodKeys, energy: Any, forces: Any) -> Label | str | None:  # noqa: ANN401
    """A label in eV and eV/Å from what a source holds; a reason if that is no label.

    Parameters
    ----------
    keys
        Of the method.
    energy, forces
        As the source has them; None where it has none. Anything but numbers is refused.

    Returns
    -------
    Label, str or None
        None without an energy.
    """
    if energy is None:
        return None
    value = as_numbers(energy)
    if value is None or value.size != 1:
        return f"{keys.name}: {keys.energy} is not a number"
    per_atom = None
    if forces is not None:
        per_atom = as_numbers(forces)
        if per_atom is None:
            return f"{keys.name}: {keys.forces} are not numbers"
        per_atom = per_atom * keys.forces_ev_a
    return Label(energy=float(value.reshape(())) * keys.energy_ev, forces=per_atom)


def as_numbers(value: Any) -> NDArray[np.float64] | None:  # noqa: ANN401 - whatever a file holds
    """An array of real numbers, or None for anything else (text, objects, true or false)."""
    try:
        array = np.asarray(value)
    except (ValueError, TypeError, OverflowError):
        return None
    return array.astype(np.float64) if array.dtype.kind in "iuf" else None


def box_or_none(cell: Any, pbc: Any) -> Box | None:  # noqa: ANN401 - whatever a source holds
    """A periodic structure's box from what a source says; None for a molecule.

    A cell without word on periodic directions is periodic, as ASE reads it; one of zeros is none.
    What is no cell becomes one that `problem_of` refuses, unless no direction is periodic.
    """
    vectors = np.zeros((3, 3)) if cell is None else as_numbers(cell)
    if vectors is not None and not vectors.size:
        vectors = np.zeros((3, 3))
    if vectors is None or vectors.size not in {3, 9}:
        vectors = np.full((3, 3), np.nan)  # which no check lets pass
    vectors = np.diag(vectors.reshape(-1)) if vectors.size == 3 else vectors.reshape(3, 3)
    if pbc is None:
        along = np.full(3, bool(vectors.any()))
    else:
        try:
            along = np.broadcast_to(np.asarray(pbc, dtype=np.bool_).reshape(-1), (3,)).copy()
        except (ValueError, TypeError):
            along = np.ones(3, dtype=np.bool_)
    return Box(vectors, along) if along.any() else None


def cause(error: Exception) -> str:
    """What an error of a library says, on one line, at most 120 characters."""
    return " ".join(str(error).split())[:120] or type(error).__name__
