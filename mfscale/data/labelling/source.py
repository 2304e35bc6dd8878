"""What is labelled: a dataset, or structures of a file that become one."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from mfscale.data.embedded import open_dataset
from mfscale.data.errors import DatasetError
from mfscale.data.fresh import write_structures
from mfscale.data.imports.method_keys import NAME
from mfscale.data.imports.record import Record, cause, problem_of
from mfscale.data.labelling.join import Place

ENDINGS = (".xyz", ".extxyz")
"""Of files whose structures are taken."""


def read_structures(file: Path) -> list[Record]:
    """Structures of an extended XYZ; `DatasetError` for the first that cannot be taken."""
    from ase.io import iread  # noqa: PLC0415 - many commands need no ASE

    if not file.is_file():
        raise DatasetError(f"{file}: no such file")
    records: list[Record] = []
    try:
        for atoms in iread(file, index=":", format="extxyz"):
            records.append(_record(len(records), atoms))
            reason = "is periodic" if atoms.pbc.any() else problem_of(records[-1])
            if reason:
                raise DatasetError(f"{file}, structure {len(records)}: {reason}")
    except DatasetError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever ASE raises over a file that is none
        raise DatasetError(
            f"{file}, structure {len(records) + 1}: no extended XYZ ({cause(error)})"
        ) from None
    return records


def _record(number: int, atoms: Any) -> Record:  # noqa: ANN401 - ASE is not typed
    return Record(
        number=number,
        numbers=atoms.numbers,
        positions=atoms.positions,
        labels={},
        molecule=str(atoms.info.get("molecule", "")),
    )


@contextmanager
def place_of(name: str, method: str, out: Path | None) -> Iterator[Place]:
    """A dataset by its name; or one of a file's structures, which goes to `out` or by its name.

    A file's structures are a dataset in a temporary folder while the block runs.

    Raises
    ------
    DatasetError
        When there is none, a structure of the file cannot be taken, or `out` is there already.
    """
    file = Path(name)
    if file.suffix.lower() not in ENDINGS or file.is_dir():
        yield Place(dataset=open_dataset(name), method=method, out=out)
        return
    out = Path(file.stem) if out is None else out
    with TemporaryDirectory(prefix="mfscale-") as folder:
        dataset = write_structures(
            Path(folder) / "structures",
            read_structures(file),
            name=out.name if NAME.fullmatch(out.name) else "structures",
            description=f"structures of {file.name}",
        )
        yield Place(dataset=dataset, method=method, out=out)
