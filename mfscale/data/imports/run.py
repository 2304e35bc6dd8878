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
from mfscale.data.imports.formats import format_of, methods_of
from mfscale.data.imports.matching import TOLERANCE_A
from mfscale.data.imports.method_keys import NAME, MethodKeys, check_methods
from mfscale.data.imports.record import Bad, Reader, Record, problem_of
from mfscale.data.imports.report import Fault, ImportReport, place_in
from mfscale.data.imports.selection import select
from mfscale.data.imports.spool import Spool
from mfscale.data.imports.summary import summarise
from mfscale.data.imports.writer import write_dataset

REPORT_FILE = "import.json"

LARGEST_TOLERANCE_A = 0.1
"""Structures farther apart than this are not one."""

_EXAMPLES = 3
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


@dataclass
class _Came:
    """What came of the sources: structures, what is wrong, keys of the first, what sources say."""

    read: int = 0
    faults: _Faults = field(default_factory=_Faults)
    keys: set[str] = field(default_factory=set)
    notes: tuple[str, ...] = ()


def import_dataset(
    sources: Sequence[Path],
    destination: Path,
    *,
    name: str,
    methods: Sequence[MethodKeys] = (),
    only_with: Collection[str] = (),
    subsets: Mapping[str, float] | None = None,
    seed: int = 0,
    split_key: str | None = None,
    tolerance_a: float = TOLERANCE_A,
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
        Files or folders that `mfscale.data.imports.formats` knows. Structures whose coordinates
        agree, atoms in the same order, are one, and their labels join.
    destination
        A directory that does not exist.
    name
        Of the dataset.
    methods
        Where labels are; may be left out for sources that say it themselves.
    only_with
        Methods that every structure must have a label of.
    subsets, seed
        Subset → structures or share, and what draws them.
    split_key
        Key of a structure that names its subset.
    tolerance_a
        How far coordinates of equal structures may be apart, Å.
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
    if not 0 <= tolerance_a < LARGEST_TOLERANCE_A:
        raise DatasetError(
            f"--tolerance {tolerance_a}: name a length of 0 to {LARGEST_TOLERANCE_A} Å"
        )
    readers = [format_of(source).read for source in sources]
    methods = tuple(methods) or methods_of(sources)
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
            came = _read(sources, readers, methods, split_key, spool, progress)
        _check_found(came, methods, spool, drop_bad=drop_bad)
        selection = select(spool, methods, only_with, tolerance_a)
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
            read=came.read,
            faults=came.faults.all(),
            notes=came.notes,
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


def _read(
    sources: Sequence[Path],
    readers: Sequence[Reader],
    methods: Sequence[MethodKeys],
    split_key: str | None,
    spool: Spool,
    progress: OnProgress,
) -> _Came:
    """Spool what passes."""
    came = _Came()
    for source, (path, reader) in enumerate(zip(sources, readers, strict=True)):
        reading = reader(path, [method for method in methods if method.is_in(path)], split_key)
        came.notes += reading.notes
        for done, item in reading.items:
            came.read += 1
            reason = item.reason if isinstance(item, Bad) else problem_of(item)
            if reason:
                came.faults.add(reason, place_in(sources, source, item.number))
            elif isinstance(item, Record):
                if item.number < _EXAMPLES:
                    came.keys |= set(item.keys)
                spool.append(item, source)
            if came.read % 256 == 0:
                progress(path, done, reading.total)
        progress(path, reading.total, reading.total)
    return came


def _check_found(
    came: _Came, methods: Sequence[MethodKeys], spool: Spool, *, drop_bad: bool
) -> None:
    """Raise `DatasetError` for structures that cannot be taken, and for methods without a label."""
    bad = sum(came.faults.counts.values())
    if bad and (not drop_bad or bad == came.read):
        remedy = (
            "correct them" if bad == came.read else "correct them, or leave them out: --drop-bad"
        )
        raise DatasetError(
            f"{bad} of {came.read} structures cannot be imported: "
            + "; ".join(map(str, came.faults.all()))
            + f". Please {remedy}; nothing was imported"
        )
    if not came.read:
        raise DatasetError("the sources hold no structures; nothing was imported")
    for method in methods:
        if not np.isfinite(spool.read(f"{method.name}_energy")).any():
            raise DatasetError(
                f"method {method.name}: no structure has an energy {method.energy!r}; keys there "
                f"are {', '.join(sorted(came.keys)) or 'none'}"
            )
