"""The arrays of a dataset directory: one memory-mapped ``.npy`` file each.

With S structures of A atoms in all, and n labels of a method on structures of F atoms in all:

=========================== ======= ======== ===================================================
file                        shape   dtype    content
=========================== ======= ======== ===================================================
``numbers``                 (A,)    uint8    atomic numbers
``positions``               (A, 3)  float64  Å
``first_atom``              (S+1,)  int64    structure s holds atoms first_atom[s:s+2]
``molecule``                (S,)    int32    index into the header's ``molecules``
``conformer``               (S,)    int8     index of the minimum the structure was sampled around
``source_id``               (S,)    int64    the structure's id where it came from
``temperature_K``           (S,)    float32  sampling temperature, K
``digest``                  (S, 16) uint8    content digest of each structure
``split_<split>``           (S,)    uint8    subset: 0 a, 1 b, 2 c, 3 t, 255 none
``validation_<split>``      (S,)    bool     whether kept for validation, in the split's own words
``cell``                    (S,3,3) float64  Å, a vector a row; zeros for a molecule
``pbc``                     (S, 3)  bool     directions that are periodic
``<method>_structure``      (n,)    int64    labelled structures, ascending
``<method>_energy``         (n,)    float64  total energies, eV
``<method>_first_force``    (n+1,)  int64    label k holds forces first_force[k:k+2]
``<method>_forces``         (F, 3)  float32  eV/Å
``<method>_forces_digest``  (n, 16) uint8    content digest of each label's forces
=========================== ======= ======== ===================================================

The last three exist for methods with forces alone, ``validation_<split>`` for the splits that the
header names so (other splits reserve a tenth by content), ``cell`` and ``pbc`` for datasets that it
calls periodic. Bytes are little-endian.
"""

import warnings
from collections.abc import Mapping
from pathlib import Path
from tokenize import TokenError
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mfscale.data.errors import DatasetError
from mfscale.data.header import Header

Arrays = dict[str, NDArray[Any]]

_Layout = dict[str, tuple[str, tuple[str | int, ...]]]

_STRUCTURES: _Layout = {
    "numbers": ("|u1", ("A",)),
    "positions": ("<f8", ("A", 3)),
    "first_atom": ("<i8", ("S+1",)),
    "molecule": ("<i4", ("S",)),
    "conformer": ("|i1", ("S",)),
    "source_id": ("<i8", ("S",)),
    "temperature_K": ("<f4", ("S",)),
    "digest": ("|u1", ("S", 16)),
}

_DAMAGED = (
    *(EOFError, MemoryError, OSError, OverflowError, RecursionError),
    *(SyntaxError, TokenError, TypeError, ValueError),
)
"""What NumPy raises over a header that is none: it reads them as Python literals."""


def array_layout(header: Header) -> _Layout:
    """Name of each array of a dataset → its dtype and symbolic shape."""
    layout = dict(_STRUCTURES)
    for split in header.splits:
        layout[f"split_{split}"] = ("|u1", ("S",))
    if header.periodic:
        layout["cell"], layout["pbc"] = ("<f8", ("S", 3, 3)), ("|b1", ("S", 3))
    for split in header.own_validation:
        layout[f"validation_{split}"] = ("|b1", ("S",))
    for method in header.methods:
        n, atoms = f"n_{method.name}", f"F_{method.name}"
        layout[f"{method.name}_structure"] = ("<i8", (n,))
        layout[f"{method.name}_energy"] = ("<f8", (n,))
        if method.has_forces:
            layout[f"{method.name}_first_force"] = ("<i8", (f"{n}+1",))
            layout[f"{method.name}_forces"] = ("<f4", (atoms, 3))
            layout[f"{method.name}_forces_digest"] = ("|u1", (n, 16))
    return layout


def write_arrays(arrays: Mapping[str, NDArray[Any]], header: Header, directory: Path) -> None:
    """Write every array the header promises, in the dtype of the format."""
    for name, (dtype, _) in array_layout(header).items():
        np.save(directory / f"{name}.npy", np.ascontiguousarray(arrays[name], dtype=dtype))


def open_arrays(header: Header, directory: Path) -> Arrays:
    """Memory-map every array, reading no more than their headers.

    Raises
    ------
    DatasetError
        When one is missing, truncated, of another dtype, or of a shape that contradicts the rest.
    """
    arrays: Arrays = {}
    sizes: dict[str, int] = {}
    for name, (dtype, shape) in array_layout(header).items():
        file = directory / f"{name}.npy"
        array = open_array(file)
        if array.dtype != np.dtype(dtype):
            raise _wrong(file, f"holds {array.dtype}, not {np.dtype(dtype)}")
        _check_shape(file, array.shape, shape, sizes)
        arrays[name] = array
    _check_offsets(directory, "first_atom", arrays["first_atom"], sizes["A"])
    for method in header.methods:
        if method.has_forces:
            name = f"{method.name}_first_force"
            _check_offsets(directory, name, arrays[name], sizes[f"F_{method.name}"])
    return arrays


def open_array(file: Path) -> NDArray[Any]:
    """Memory-map one ``.npy`` file, read-only; `DatasetError` when missing or damaged."""
    try:
        with warnings.catch_warnings(action="ignore"):  # of odd headers, which are refused
            mapped = np.load(file, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        raise _wrong(file, "is missing") from None
    except _DAMAGED as error:
        raise _wrong(file, f"is truncated or damaged ({error})") from None
    if not isinstance(mapped, np.ndarray):
        raise _wrong(file, "is an archive of arrays, not one array")
    # A plain ndarray over the same pages: the memmap subclass slows down every small operation.
    array: NDArray[Any] = mapped.view(np.ndarray)
    return array


def _check_shape(
    file: Path, shape: tuple[int, ...], symbols: tuple[str | int, ...], sizes: dict[str, int]
) -> None:
    """Compare a shape with its symbols; the first array to name a size settles it."""
    expected = []
    for axis, symbol in enumerate(symbols):
        if isinstance(symbol, int):
            expected.append(symbol)
            continue
        name, plus_one = symbol.removesuffix("+1"), int(symbol.endswith("+1"))
        if axis < len(shape):
            sizes.setdefault(name, shape[axis] - plus_one)
        expected.append(sizes.get(name, 0) + plus_one)
    if shape != tuple(expected):
        raise _wrong(file, f"has shape {shape}, not the {tuple(expected)} of the other arrays")


def _check_offsets(directory: Path, name: str, offsets: NDArray[np.int64], total: int) -> None:
    """First and last entry of an offsets array; the rest is not read when opening."""
    if offsets[0] != 0 or offsets[-1] != total:
        raise _wrong(
            directory / f"{name}.npy",
            f"runs from {offsets[0]} to {offsets[-1]} instead of 0 to {total}",
        )


def _wrong(file: Path, what: str) -> DatasetError:
    return DatasetError(f"{file}: {what}; restore the file or import the dataset again")
