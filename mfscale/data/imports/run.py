"""The import: sources are read once, checked, written beside the destination and renamed to it."""

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

from mfscale.data.dataset import Dataset
from mfscale.data.durable import sync
from mfscale.data.embedded import EMBEDDED
from mfscale.data.errors import DatasetError
from mfscale.data.imports.came import check_came
from mfscale.data.imports.formats import format_of, methods_of
from mfscale.data.imports.matching import TOLERANCE_A
from mfscale.data.imports.method_keys import NAME, MethodKeys, check_methods
from mfscale.data.imports.reading import OnProgress, read_sources
from mfscale.data.imports.report import ImportReport
from mfscale.data.imports.selection import select
from mfscale.data.imports.spool import Spool
from mfscale.data.imports.summary import summarise
from mfscale.data.imports.unfinished import Unfinished, structures_kept
from mfscale.data.imports.writer import write_dataset
from mfscale.data.scratch import Scratch

REPORT_FILE = "import.json"

LARGEST_TOLERANCE_A = 0.1
"""Structures farther apart than this are not one."""


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
    restart: bool = False,
    progress: OnProgress = lambda _source, _done, _total: None,
    say: Callable[[str], None] = lambda _sentence: None,
) -> ImportReport:
    """Read structures and labels into a new dataset directory.

    Sources are opened for reading alone, once, a structure (of HDF5 some thousand) at a time.
    Whatever goes wrong, the destination does not come to be. An import that was interrupted, by
    Ctrl-C, a kill or a full disk, goes on when it is asked for again.

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
    restart
        Leave aside what an interrupted import to this destination has read.
    progress
        Called now and then.
    say
        Told that an interrupted import goes on, or why it is begun anew.

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
    try:
        with Unfinished(destination, sources, methods, split_key, restart=restart) as unfinished:
            _check_names(name, destination)  # an import that was under way may have ended
            if unfinished.news:
                say(unfinished.news)
            spool = Spool(unfinished.spool, methods, unfinished.spooled)
            with spool:
                came = read_sources(
                    sources, readers, methods, split_key, spool, unfinished, progress
                )
            check_came(came, methods, spool, drop_bad=drop_bad)
            scratch = Scratch(unfinished.spool)
            selection = select(spool, methods, only_with, tolerance_a, scratch)
            building = unfinished.dataset
            building.mkdir()
            write_dataset(
                building,
                spool,
                selection,
                methods,
                name=name,
                description=description or f"imported from {', '.join(s.name for s in sources)}",
                licence=licence,
                asked=subsets or {},
                seed=seed,
                scratch=scratch,
            )
            report = summarise(
                Dataset(building),
                destination,
                sources=sources,
                methods=methods,
                spool=spool,
                selection=selection,
                read=came.read,
                faults=came.faults.all(),
                notes=came.notes,
                scratch=scratch,
            )
            if report.doubts and not trust_units:
                raise DatasetError(
                    f"{'; '.join(report.doubts)}. Correct the unit, or take them as they are with "
                    f"--trust-units; nothing was imported"
                )
            _publish(building, report, destination)
    except OSError as error:
        remedy = "; the same command goes on" if structures_kept(destination) else ""
        raise DatasetError(f"{destination}: the import failed ({error}){remedy}") from None
    return report


def _publish(building: Path, report: ImportReport, destination: Path) -> None:
    """Write the report to the dataset, and rename that to its place once it is on the disk."""
    text = json.dumps(report.to_dict(), indent=1, ensure_ascii=False)
    (building / REPORT_FILE).write_text(text + "\n", encoding="utf-8")
    for path in (*building.iterdir(), building):
        sync(path)
    building.rename(destination)
    sync(destination.parent)


def _check_names(name: str, destination: Path) -> None:
    if name in EMBEDDED:
        raise DatasetError(f"--name {name}: an embedded dataset has this name; choose another")
    if not NAME.fullmatch(name):
        raise DatasetError(
            f"--name {name!r}: begin with a letter, and use letters, digits, '_', '.' and '-' alone"
        )
    if destination.exists():
        raise DatasetError(f"{destination}: exists already; choose another place with --out")
