"""Choices of hyperparameters on disk: a folder ``choices`` with a JSON file for each tuning."""

import json
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from mfscale.study.errors import StudyError
from mfscale.study.tuning import NAME, Choice, Choices

FOLDER = "choices"
FORMAT = 1
_CHOICES = TypeAdapter(list[Choice])


def read_choices(*parents: Path) -> Choices:
    """Read what earlier tunings chose.

    Parameters
    ----------
    parents
        Folders that may hold a folder ``choices``, such as a store and the folder of a study. Of
        two choices for one step in tunings of one name the first counts.

    Raises
    ------
    StudyError
        If a file cannot be read or is no list of choices.
    """
    found: dict[str, dict[str, Choice]] = {}
    for parent in reversed(parents):
        for path in sorted((parent / FOLDER).glob("*.json")):
            choices = {choice.signature: choice for choice in _read(path)}
            found[path.stem] = {**found.get(path.stem, {}), **choices}
    return found


def add_choices(parent: Path, tuning: str, choices: Iterable[Choice]) -> Path:
    """Add choices to those of a tuning, atomically, in the place of earlier ones of the same step.

    Raises
    ------
    StudyError
        If the file that is there cannot be read, or none can be written.
    """
    if not NAME.fullmatch(tuning):
        raise StudyError(f"{tuning!r} cannot name a tuning")
    path = parent / FOLDER / f"{tuning}.json"
    there = _read(path) if path.exists() else []
    merged = {choice.signature: choice for choice in (*there, *choices)}
    content = {"format": FORMAT, "choices": _CHOICES.dump_python(list(merged.values()))}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=".choices-")
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(json.dumps(content, indent=1, allow_nan=False) + "\n")
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except OSError as error:
        raise StudyError(f"{path} cannot be written ({error.strerror})") from None
    return path


def _read(path: Path) -> list[Choice]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
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
