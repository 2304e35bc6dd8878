"""The JSON header of potentials and interrupted runs on disk, read without a tensor library."""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from mfscale.training.errors import TrainingError

FORMAT = 3
POTENTIAL = "model.safetensors"
PROGRESS = "progress.safetensors"
KEY = "mfscale"
"""Of the header among a file's metadata."""
DIGEST = "sha256"
"""Of the header: digest of all the rest of the file. Older versions wrote none."""

UNREADABLE = (SafetensorError, OSError, KeyError, TypeError, UnicodeDecodeError, RecursionError)
"""What reading a damaged file ends in."""


@dataclass(frozen=True)
class Header:
    """What a file says of itself.

    Attributes
    ----------
    content
        Plain data, as `mfscale.training.checkpoint` wrote it.
    n_values
        Numbers in all its tensors: those that are trained, and constants of the architecture.
    """

    content: Mapping[str, Any]
    n_values: int


def read_header(path: Path, kind: str) -> Header:
    """Read the header of a file and check that all its tensors are there, to the last bit.

    Parameters
    ----------
    path
        A file that `mfscale.training.checkpoint` wrote.
    kind
        ``potential`` or ``progress``.

    Raises
    ------
    TrainingError
        If the file is missing, damaged, of a newer format, or of another kind.
    """
    require_file(path)
    try:
        with safe_open(path, framework="np") as file:
            content = parsed(file.metadata(), path, kind)
            shapes = [file.get_slice(name).get_shape() for name in file.keys()]  # noqa: SIM118 - no mapping
        require_whole(path, content)
    except UNREADABLE as error:
        raise damaged(path, error) from None
    return Header(content, sum(math.prod(shape) for shape in shapes))


def parsed(metadata: Mapping[str, str] | None, path: Path, kind: str) -> dict[str, Any]:
    """The header among a file's metadata; `TrainingError` unless it is one of this `kind`."""
    try:
        header = json.loads((metadata or {})[KEY])
    except (KeyError, ValueError, RecursionError) as error:
        raise damaged(path, error) from None
    if not isinstance(header, dict) or header.get("kind") != kind:
        raise TrainingError(f"{path}: holds no {kind}; give a file that mfscale export wrote")
    written = header.get("format")
    if not isinstance(written, int):
        raise TrainingError(f"{path}: names no format; give a file that mfscale export wrote")
    if written > FORMAT:
        raise TrainingError(
            f"{path}: written by a newer mfscale (format {written}, this one reads {FORMAT}); "
            "upgrade mfscale"
        )
    return header


def digest(content: bytes) -> str:
    """SHA-256 of a file's tensors, of their names, types and places, and of its header."""
    length = int.from_bytes(content[:8], "little")
    table = json.loads(content[8 : 8 + length])
    header = json.loads(table.pop("__metadata__")[KEY])
    header.pop(DIGEST, None)
    found = hashlib.sha256(json.dumps([table, header], sort_keys=True).encode())
    found.update(memoryview(content)[8 + length :])
    return found.hexdigest()


def require_whole(path: Path, header: Mapping[str, Any]) -> None:
    """Raise `TrainingError` if a file that tells its digest has another one."""
    if DIGEST in header and header[DIGEST] != digest(path.read_bytes()):
        raise damaged(path, ValueError("its content is not what was written"))


def require_file(path: Path) -> None:
    """Raise `TrainingError` if there is no file at `path`."""
    if not path.is_file():
        raise TrainingError(f"{path}: there is no such file; give a model that mfscale exported")


def damaged(path: Path, error: Exception) -> TrainingError:
    """Word why a file cannot be read."""
    return TrainingError(
        f"{path}: damaged, or not written by mfscale ({error}); export the stage again"
    )


def disagreements(header: Header, row: Mapping[str, Any]) -> list[str]:
    """In what a potential's header differs from the result row of its stage; [] if in nothing.

    Element offsets and energy scales are fitted to a stage's own labels, so that the model of any
    other stage has others; both are stored to the last bit.

    Parameters
    ----------
    header
        Of a potential.
    row
        Of a finished stage; fields that it lacks are not compared.
    """
    try:
        found = _described(header.content)
    except (AttributeError, KeyError, TypeError):
        return ["its header is not that of a potential"]
    differing = [
        f"{name} is {_shown(found[name])} in the model, {_shown(value)} in the row"
        for name, value in _of_row(row).items()
        if found[name] != value
    ]
    n_parameters = row.get("n_parameters")
    if n_parameters is not None and header.n_values < n_parameters:
        differing.append(
            f"it holds {header.n_values} numbers, fewer than {n_parameters} parameters"
        )
    return differing


def _described(content: Mapping[str, Any]) -> dict[str, object]:
    spec, heads = content["spec"], content["heads"]
    scale = content if content["format"] == 1 else None
    return {
        "stage": content["history"]["stage_id"],
        "architecture": spec["architecture"],
        "dtype": spec["dtype"],
        "cutoff_a": spec["cutoff_a"],
        "heads": {name: head["method"] for name, head in heads.items()},
        "energy scales": {n: (scale or head)["energy_scale_ev"] for n, head in heads.items()},
        "offsets": {
            f"{name} {element}": value
            for name, head in heads.items()
            for element, value in head["offsets_ev"].items()
        },
        "mean_neighbours": content["mean_neighbours"],
    }


def _of_row(row: Mapping[str, Any]) -> dict[str, object]:
    known: dict[str, object] = {"stage": row["stage_id"]}
    fields = ("architecture", "dtype", "cutoff_a", "mean_neighbours")
    known |= {name: row[name] for name in fields if row.get(name) is not None}
    if row.get("heads") is not None:
        heads: Sequence[Mapping[str, Any]] = [*row["heads"], *(row.get("kept_heads") or [])]
        known["heads"] = {head["name"]: head["method"] for head in heads}
    if row.get("scales") is not None:
        known["energy scales"] = {s["head"]: s["energy_scale_ev"] for s in row["scales"]}
    if row.get("offsets") is not None:
        known["offsets"] = {f"{o['head']} {o['element']}": o["offset_ev"] for o in row["offsets"]}
    return known


def _shown(value: object) -> str:
    if not isinstance(value, dict):
        return str(value)
    return ", ".join(f"{name} {item}" for name, item in sorted(value.items()))
