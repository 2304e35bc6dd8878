"""What reads a source: by the ending of a file's name, or by what a folder holds."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from mfscale.data.errors import DatasetError
from mfscale.data.header import HEADER_FILE
from mfscale.data.imports.ani_hdf5 import ANI1X_METHODS, read_ani_hdf5
from mfscale.data.imports.ase_db import read_ase_db
from mfscale.data.imports.datasets import files_of_dataset, methods_of_dataset, read_dataset
from mfscale.data.imports.extxyz import read_extxyz
from mfscale.data.imports.lmdb_records import (
    SUFFIXES,
    files_of_lmdb,
    find_lmdb,
    read_lmdb,
    stated_methods,
)
from mfscale.data.imports.method_keys import MethodKeys
from mfscale.data.imports.record import Reader


@dataclass(frozen=True, kw_only=True)
class Format:
    """How sources of one kind are read.

    Attributes
    ----------
    read
        Its structures.
    methods
        The methods that a source itself names; none if it does not.
    files
        The files that are read of a source.
    """

    read: Reader
    methods: Callable[[Path], tuple[MethodKeys, ...]] = lambda _source: ()
    files: Callable[[Path], list[Path]] = lambda source: [source]


_LMDB = Format(read=read_lmdb, methods=stated_methods, files=files_of_lmdb)
_DATASET = Format(read=read_dataset, methods=methods_of_dataset, files=files_of_dataset)
_HDF5 = Format(read=read_ani_hdf5, methods=lambda _source: ANI1X_METHODS)
_FILES = {
    ".xyz": Format(read=read_extxyz),
    ".extxyz": Format(read=read_extxyz),
    ".db": Format(read=read_ase_db),
    ".h5": _HDF5,
    ".hdf5": _HDF5,
    **dict.fromkeys(SUFFIXES, _LMDB),
}


def format_of(source: Path) -> Format:
    """The format of a file or folder.

    Raises
    ------
    DatasetError
        When it does not exist, or is of no format known here.
    """
    if source.is_dir():
        if (source / HEADER_FILE).is_file():
            return _DATASET
        if find_lmdb(source):
            return _LMDB
        raise DatasetError(f"{source}: a folder with neither an LMDB nor a dataset of mfscale")
    if not source.is_file():
        raise DatasetError(f"{source}: no such file")
    found = _FILES.get(source.suffix.lower())
    if found is None:
        raise DatasetError(
            f"{source}: cannot tell its format; files end in {', '.join(_FILES)} (extended XYZ, "
            f"ASE database, HDF5 as of ANI-1x, LMDB)"
        )
    return found


def methods_of(sources: Sequence[Path]) -> tuple[MethodKeys, ...]:
    """The methods that sources themselves name: each once, with forces if any source has them.

    Raises
    ------
    DatasetError
        When one names none.
    """
    found: dict[str, MethodKeys] = {}
    for source in sources:
        stated = format_of(source).methods(source)
        if not stated:
            raise DatasetError(
                f"{source}: say where labels are, for example "
                f"--method dft:energy=dft_energy,forces=dft_forces"
            )
        for method in stated:
            known = found.setdefault(method.name, method)
            if method.forces and not known.forces:
                found[method.name] = method
    return tuple(found.values())
