"""The import: sources are read once, checked, written beside the destination and renamed to it."""

import json
import shutil
import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from mfscale.data.dataset import Dataset
from mfscale.data.embedded import EMBEDDED
from mfscale.data.errors import DatasetError
from mfscale.data.imports.ani_hdf5 import ANI1X_METHODS, read_ani_hdf5
from mfscale.data.imports.ase_db import read_ase_db
from mfscale.data.imports.extxyz import read_extxyz
from mfscale.data.imports.method_keys import NAME, MethodKeys, check_methods
from mfscale.data.imports.record import Bad, Reader, Record, problem_of
from mfscale.data.imports.report import Fault, ImportReport, place_in
from mfscale.data.imports.selection import select
from mfscale.data.imports.spool import Spool
from mfscale.data.imports.summary import summarise
from mfscale.data.imports.writer import write_dataset

READERS: dict[str, Reader] = {
    ".xyz": read_extxyz,
    ".extxyz": read_extxyz,
    ".db": read_ase_db,
    ".h5": read_ani_hdf5,
    ".hdf5": read_ani_hdf5,
}
"""Ending of a file's name → what reads it."""

REPORT_FILE = "import.json"

_EXAMPLES = 3
_WHY = {
    "is periodic": "graphs here are of molecules, without periodic images; if these are molecules "
    'in boxes, say so in the source (pbc="F F F")',
}
"""Reason of a fault → what a reader may not know."""

OnProgress = Callable[[Path, int, int], None]
"""Source, how far one is in it, and how far there is to go (bytes, rows or structures)."""


@dataclass
class _Faults:
    """Faults of structures, counted by reason; the first few are remembered by place."""

    counts: dict[str, int] = field(default_factory=dict)
    examples: dict[str, list[str]] = field(default_factory=dict)

    def add(self, reason: str, place: str) -> None:
        self.counts[reason] = self.counts.get(reason, 0) + 1
        examples = self.examples.setdefault(reason, [])
        if len(examples) < _EXAMPLES:
            examples.append(place)

    def all(self) -> tuple[Fault, ...]:
        return tuple(
            Fault(reason=reason, count=count, examples=tuple(self.examples[reason]))
            for reason, count in self.counts.items()
        )


def import_dataset(
    sources: Sequence[Path],
    destination: Path,
    *,
    name: str,
    methods: Sequence[MethodKeys] = (),
    only_with: Collection[str] = (),
    subsets: Mapping[str, float] | None = None,
    seed: int = 0,
    drop_bad: bool = False,
    trust_units: bool = False,
    description: str = "",
    licence: str = "not stated",
    progress: OnProgress = lambda _source, _done, _total: None,
) -> ImportReport:
    """Read structures and labels into a new dataset directory.

    Sources are opened for reading alone, once, a structure (of HDF5 some thousand) at a time.
    Whatever goes wrong, the destination does not come to be.

    Parameters
    ----------
    sources
        Extended XYZ (``.xyz``, ``.extxyz``), ASE databases (``.db``) or HDF5 in the layout of
        ANI-1x (``.h5``, ``.hdf5``). Structures that agree within 1e-4 Å, atoms in the same order,
        are one, and their labels join.
    destination
        A directory that does not exist.
    name
        Of the dataset.
    methods
        Where labels are; may be left out for HDF5, whose keys are then those of ANI-1x.
    only_with
        Methods that every structure must have a label of.
    subsets, seed
        Subset → structures or share, and what draws them.
    drop_bad
        Leave structures out that cannot be taken, instead of refusing all.
    trust_units
        Take energies that look like another unit.
    description, licence
        For the header.
    progress
        Called now and then.

    Raises
    ------
    DatasetError
        When anything is wrong; the message counts what is, and names the first places.
    """
    sources = [Path(source) for source in sources]
    _check_names(name, destination)
    readers = [_reader(source) for source in sources]
    methods = _methods(methods, readers)
    check_methods(methods, sources)
    unknown = sorted(set(only_with) - {method.name for method in methods})
    if unknown:
        known = ", ".join(method.name for method in methods)
        raise DatasetError(f"--only-with {unknown[0]}: no such method; choose from {known}")
    building = destination.with_name(f".{destination.name}.{uuid.uuid4().hex}")
    try:
        building.mkdir(parents=True)
        (building / "spool").mkdir()
        spool = Spool(building / "spool", methods)
        with spool:
            read, faults, keys = _read(sources, readers, methods, spool, progress)
        _check_found(read, faults, keys, methods, spool, drop_bad=drop_bad)
        selection = select(spool, methods, only_with)
        (building / "dataset").mkdir()
        write_dataset(
            building / "dataset",
            spool,
            selection,
            methods,
            name=name,
            description=description or f"imported from {', '.join(s.name for s in sources)}",
            licence=licence,
            asked=subsets or {},
            seed=seed,
        )
        report = summarise(
            Dataset(building / "dataset"),
            destination,
            sources=sources,
            methods=methods,
            spool=spool,
            selection=selection,
            read=read,
            faults=faults.all(),
        )
        if report.doubts and not trust_units:
            raise DatasetError(
                f"{'; '.join(report.doubts)}. Correct the unit, or take them as they are with "
                f"--trust-units; nothing was imported"
            )
        text = json.dumps(report.to_dict(), indent=1, ensure_ascii=False)
        (building / "dataset" / REPORT_FILE).write_text(text + "\n", encoding="utf-8")
        (building / "dataset").rename(destination)
    except OSError as error:
        raise DatasetError(f"{destination}: the import failed ({error})") from None
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return report


def _check_names(name: str, destination: Path) -> None:
    if name in EMBEDDED:
        raise DatasetError(f"--name {name}: an embedded dataset has this name; choose another")
    if not NAME.fullmatch(name):
        raise DatasetError(
            f"--name {name!r}: begin with a letter, and use letters, digits, '_', '.' and '-' alone"
        )
    if destination.exists():
        raise DatasetError(f"{destination}: exists already; choose another place with --out")


def _reader(source: Path) -> Reader:
    if not source.is_file():
        raise DatasetError(f"{source}: no such file")
    reader = READERS.get(source.suffix.lower())
    if reader is None:
        raise DatasetError(
            f"{source}: cannot tell its format; files end in {', '.join(READERS)} (extended XYZ, "
            f"ASE database, HDF5 as of ANI-1x)"
        )
    return reader


def _methods(methods: Sequence[MethodKeys], readers: Sequence[Reader]) -> tuple[MethodKeys, ...]:
    if methods:
        return tuple(methods)
    if set(readers) == {read_ani_hdf5}:
        return ANI1X_METHODS
    raise DatasetError(
        "say where labels are, for example --method dft:energy=dft_energy,forces=dft_forces"
    )


def _read(
    sources: Sequence[Path],
    readers: Sequence[Reader],
    methods: Sequence[MethodKeys],
    spool: Spool,
    progress: OnProgress,
) -> tuple[int, _Faults, set[str]]:
    """Spool what passes; how many structures came, what is wrong, keys of the first structures."""
    faults = _Faults()
    keys: set[str] = set()
    read = 0
    for source, (path, reader) in enumerate(zip(sources, readers, strict=True)):
        total, items = reader(path, [method for method in methods if method.is_in(path)])
        for done, item in items:
            read += 1
            reason = item.reason if isinstance(item, Bad) else problem_of(item)
            if reason:
                faults.add(reason, place_in(sources, source, item.number))
            elif isinstance(item, Record):
                if item.number < _EXAMPLES:
                    keys |= set(item.keys)
                spool.append(item, source)
            if read % 256 == 0:
                progress(path, done, total)
        progress(path, total, total)
    return read, faults, keys


def _check_found(
    read: int,
    faults: _Faults,
    keys: set[str],
    methods: Sequence[MethodKeys],
    spool: Spool,
    *,
    drop_bad: bool,
) -> None:
    """Raise `DatasetError` for structures that cannot be taken, and for methods without a label."""
    bad = sum(faults.counts.values())
    if bad and (not drop_bad or bad == read):
        hints = [hint for reason, hint in _WHY.items() if reason in faults.counts]
        remedy = "correct them" if bad == read else "correct them, or leave them out: --drop-bad"
        raise DatasetError(
            f"{bad} of {read} structures cannot be imported: "
            + "; ".join(map(str, faults.all()))
            + "".join(f". Why: {hint}" for hint in hints)
            + f". Please {remedy}; nothing was imported"
        )
    if not read:
        raise DatasetError("the sources hold no structures; nothing was imported")
    for method in methods:
        if not np.isfinite(spool.read(f"{method.name}_energy")).any():
            raise DatasetError(
                f"method {method.name}: no structure has an energy {method.energy!r}; keys there "
                f"are {', '.join(sorted(keys)) or 'none'}"
            )
