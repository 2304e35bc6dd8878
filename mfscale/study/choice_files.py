"""Choices of hyperparameters on disk: a folder ``choices`` with a JSON file for each tuning."""

import json
import os
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Protocol

from pydantic import TypeAdapter, ValidationError

from mfscale.study.errors import StudyError
from mfscale.study.tuning import NAME, Choice, Choices

FOLDER = "choices"
FORMAT = 1
_CHOICES = TypeAdapter(list[Choice])


class Buffer(Protocol):
    """The content of a file."""

    def to_pybytes(self) -> bytes:
        """As bytes."""


class Place(Protocol):
    """Files named by where they are below it, such as those of a results store."""

    def of(self, name: str) -> str:
        """What messages call a file."""

    def names(self, folder: str, suffix: str) -> Sequence[str]:
        """List the names in a folder."""

    def get(self, name: str) -> Buffer:
        """Read a file; OSError if that fails."""

    def put(self, name: str, data: bytes) -> None:
        """Write a file; OSError if that fails."""


def read_choices(*parents: Path | Place) -> Choices:
    """Read what earlier tunings chose.

    Parameters
    ----------
    parents
        What may hold a folder ``choices``, such as a store and the folder of a study. Of
        two choices for one step in tunings of one name the first counts.

    Raises
    ------
    StudyError
        If a file cannot be read or is no list of choices.
    """
    found: dict[str, dict[str, Choice]] = {}
    for parent in reversed(parents):
        place = _Folder(parent) if isinstance(parent, Path) else parent
        for name in _names(place):
            choices = {choice.signature: choice for choice in _read(place, f"{FOLDER}/{name}")}
            stem = name.removesuffix(".json")
            found[stem] = {**found.get(stem, {}), **choices}
    return found


def add_choices(parent: Path | Place, tuning: str, choices: Iterable[Choice]) -> str:
    """Add choices to those of a tuning, atomically, in the place of earlier ones of the same step.

    Returns what messages call the file.

    Raises
    ------
    StudyError
        If the file that is there cannot be read, or none can be written.
    """
    if not NAME.fullmatch(tuning):
        raise StudyError(f"{tuning!r} cannot name a tuning")
    place = _Folder(parent) if isinstance(parent, Path) else parent
    name = f"{FOLDER}/{tuning}.json"
    there = _read(place, name) if f"{tuning}.json" in _names(place) else []
    merged = {choice.signature: choice for choice in (*there, *choices)}
    content = {"format": FORMAT, "choices": _CHOICES.dump_python(list(merged.values()))}
    try:
        place.put(name, json.dumps(content, indent=1, allow_nan=False).encode() + b"\n")
    except OSError as error:
        raise StudyError(f"{place.of(name)} cannot be written ({_why(error)})") from None
    return place.of(name)


class _Folder:
    """A folder of the file system."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def of(self, name: str) -> str:
        return str(self._path / name)

    def names(self, folder: str, suffix: str) -> Sequence[str]:
        return sorted(path.name for path in (self._path / folder).glob(f"*{suffix}"))

    def get(self, name: str) -> "_Bytes":
        return _Bytes((self._path / name).read_bytes())

    def put(self, name: str, data: bytes) -> None:
        path = self._path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=".choices-")
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)


class _Bytes(bytes):
    def to_pybytes(self) -> bytes:
        return self


def _names(place: Place) -> Sequence[str]:
    try:
        return place.names(FOLDER, ".json")
    except OSError as error:
        raise StudyError(f"{place.of(FOLDER)} cannot be read ({_why(error)})") from None


def _why(error: OSError) -> str:
    """What failed, and the remedy where the place knows one."""
    remedy = getattr(error, "remedy", None)
    return f"{error.strerror}; {remedy}" if remedy else str(error.strerror)


def _read(place: Place, name: str) -> list[Choice]:
    path = place.of(name)
    try:
        content = json.loads(place.get(name).to_pybytes().decode("utf-8"))
        version = content["format"]
        if isinstance(version, int) and version > FORMAT:
            raise StudyError(f"{path}: written by a newer mfscale (format {version}); upgrade it")
        return _CHOICES.validate_python(content["choices"])
    except OSError as error:
        raise StudyError(f"{path}: cannot be read ({error.strerror}); restore or move it") from None
    except (KeyError, TypeError, ValidationError, RecursionError):
        raise StudyError(f"{path}: holds no choices of a tuning; restore or move it") from None
    except ValueError as error:
        if isinstance(error, StudyError):
            raise
        raise StudyError(f"{path}: not JSON ({error}); restore or move it") from None
