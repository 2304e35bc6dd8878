"""What is labelled: a dataset, or structures of a file that become one."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from mfscale.data.embedded import open_dataset
from mfscale.data.errors import DatasetError
from mfscale.data.fresh import write_structures
from mfscale.data.imports.ase_db import read_ase_db
from mfscale.data.imports.extxyz import read_extxyz
from mfscale.data.imports.method_keys import NAME
from mfscale.data.imports.record import Bad, Reader, Record, problem_of
from mfscale.data.labelling.join import Place

READERS: dict[str, Reader] = {".xyz": read_extxyz, ".extxyz": read_extxyz, ".db": read_ase_db}
"""Ending of a file's name → what reads its structures."""


def read_structures(file: Path) -> list[Record]:
    """Structures of a file; `DatasetError` for the first that cannot be taken."""
    if not file.is_file():
        raise DatasetError(f"{file}: no such file")
    records = []
    for _, item in READERS[file.suffix.lower()](file, ())[1]:
        reason = item.reason if isinstance(item, Bad) else problem_of(item)
        if reason:
            raise DatasetError(f"{file}, structure {item.number + 1}: {reason}")
        if isinstance(item, Record):
            records.append(item)
    return records


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
    if file.suffix.lower() not in READERS or file.is_dir():
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
