"""Finding a dataset by its name or path."""

from contextlib import suppress
from difflib import get_close_matches
from pathlib import Path

from mfscale.data.counted import COUNTED, no_data
from mfscale.data.dataset import Dataset
from mfscale.data.errors import DatasetError

EMBEDDED: tuple[str, ...] = ("chno3",)
"""Datasets that come with the package."""


def open_dataset(name_or_path: str | Path) -> Dataset:
    """Open an embedded dataset by its name, or any other by its directory.

    An embedded name wins over a directory of that name: write such a directory ``./chno3``.

    Raises
    ------
    DatasetError
        When there is none of that name, it is known by its counts alone, or it cannot be read.
    """
    if str(name_or_path) in EMBEDDED:
        return Dataset(Path(__file__).parent / str(name_or_path))
    with suppress(OSError, RuntimeError):  # too long a name, no such home: no dataset either
        path = Path(name_or_path).expanduser()
        if path.is_dir():
            return Dataset(path)
    if str(name_or_path) in COUNTED:
        raise DatasetError(no_data(str(name_or_path)))
    close = get_close_matches(str(name_or_path), (*EMBEDDED, *COUNTED), n=1)
    hint = f"did you mean {close[0]}? " if close else ""
    raise DatasetError(
        f"no dataset {str(name_or_path)!r}: {hint}Name an embedded dataset "
        f"({', '.join(EMBEDDED)}) or the directory of another"
    )
