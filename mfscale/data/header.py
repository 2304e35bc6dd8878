"""``dataset.json``: what a dataset directory says of itself beside its arrays."""

import json
import uuid
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.dataclasses import dataclass

from mfscale.data.errors import DatasetError

FORMAT_VERSION = 1
HEADER_FILE = "dataset.json"

_Name = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_.-]*$")]


@dataclass(frozen=True)
class Method:
    """A label source of a dataset.

    Attributes
    ----------
    name
        As studies write it, and as the method's files begin.
    has_forces
        Whether its labels hold forces beside the energy.
    cost
        Of one label, relative to coupled cluster = 1000.
    description
        Level of theory and programme.
    """

    name: _Name
    has_forces: bool
    cost: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    description: str


class Header(BaseModel):
    """The content of ``dataset.json``.

    Attributes
    ----------
    elements
        Symbol → atomic number, ascending; the order is that of ``species``.
    molecules
        Names (SMILES) that ``molecule.npy`` indexes into.
    methods
        The label sources; none as long as nothing is labelled.
    splits
        Name of each way to divide the structures into subsets → its rule, in words.
    own_validation
        Splits that say themselves which structures are for validation.
    periodic
        Whether any structure is; only then is a cell stored of each.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format_version: Annotated[int, Field(ge=1, le=FORMAT_VERSION)] = FORMAT_VERSION
    name: _Name
    description: str
    licence: str
    elements: dict[str, Annotated[int, Field(ge=1, le=118)]] = Field(min_length=1)
    molecules: tuple[str, ...]
    methods: tuple[Method, ...]
    splits: dict[_Name, str] = Field(min_length=1)
    own_validation: tuple[_Name, ...] = ()
    periodic: bool = False


def write_header(header: Header, directory: Path) -> None:
    """Write ``dataset.json``; written last, and by a rename, it marks the directory as complete."""
    content = header.model_dump(mode="json", exclude_defaults=True)
    content = {"format_version": header.format_version} | content
    text = json.dumps(content, indent=1, ensure_ascii=False)
    building = directory / f".{HEADER_FILE}.{uuid.uuid4().hex}"
    building.write_text(text + "\n", encoding="utf-8")
    building.replace(directory / HEADER_FILE)


def read_header(directory: Path) -> Header:
    """Read and check ``dataset.json``.

    Raises
    ------
    DatasetError
        When it is missing, unreadable, of a newer format or not what the format asks for.
    """
    file = directory / HEADER_FILE
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DatasetError(
            f"{directory}: not a dataset, {HEADER_FILE} is missing; name a directory that holds one"
        ) from None
    except (OSError, ValueError, RecursionError) as error:
        raise DatasetError(f"{file}: unreadable ({error}); restore it or import again") from None
    version = content.get("format_version") if isinstance(content, dict) else None
    if isinstance(version, int) and version > FORMAT_VERSION:
        raise DatasetError(
            f"{file}: format_version {version} is newer than {FORMAT_VERSION}, the newest this "
            f"mfscale reads; upgrade mfscale"
        )
    try:
        return Header.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"])) or "the whole file"
        raise DatasetError(f"{file}: {key}: {first['msg']}; correct it or import again") from None
