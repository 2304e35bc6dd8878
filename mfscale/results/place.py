"""Where a store is: what it asks of a folder, or of object storage under a bucket's prefix.

Files are named relative to the store, with slashes: ``inbox/a-0.parquet``. A file appears whole or
not at all. A name that begins with a dot is one that no reader sees.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol, TypeVar

import pyarrow as pa

from mfscale.results.errors import StoreError

T = TypeVar("T")
SCHEMES = ("s3://", "gs://")
"""How the URL of a store in object storage begins: all that speak as Amazon does; Google."""


class Held(Protocol):
    """Something that this process holds, until another takes it over."""

    def lost(self) -> bool:
        """Whether another process is known to have taken it over; then nothing may be published."""

    def confirmed(self) -> bool:
        """Whether it is held for certain, now and for as long as it takes to publish a stage."""


class Local(Protocol):
    """Files of a store as local ones: themselves, or copies of them."""

    def path(self, name: str) -> Path:
        """The local file or folder of a name; it need not exist."""

    def saved(self, path: Path) -> None:
        """Take a local file that was written into the store; OSError if that fails."""


class Place(Protocol):
    """A folder or a prefix. Everything raises OSError where the disk or the network fails."""

    @property
    def address(self) -> str:
        """What another process opens it by."""

    @property
    def look_every_s(self) -> float:
        """How often one may look for a file that is to appear, s."""

    def of(self, name: str) -> str:
        """What messages call a file."""

    def require_vacant(self) -> None:
        """Raise StoreError if no store can be made here, as there are other files."""

    def get(self, name: str) -> pa.Buffer:
        """Read a file; FileNotFoundError if there is none."""

    def put(self, name: str, data: bytes) -> None:
        """Write a file, in the place of an older one if there is one."""

    def put_new(self, name: str, data: bytes) -> bool:
        """Write a file unless it exists; say whether it was written. The first of several wins."""

    def version(self, name: str) -> object:
        """What changes when a file does; None if there is none."""

    def put_over(self, name: str, data: bytes, version: object) -> bool:
        """Write a file unless it has changed since that version; say whether it was written."""

    def names(self, folder: str, suffix: str, *, beginning: str = "", after: str = "") -> list[str]:
        """List the names in a folder, without it, sorted; none if it does not exist.

        Those alone that begin so, and that come after another.
        """

    def tree(self, folder: str) -> Mapping[str, int]:
        """All files below a folder → their sizes in bytes; links to folders are not followed."""

    def exists(self, name: str) -> bool:
        """Tell whether there is a file of this name."""

    def delete(self, names: Iterable[str]) -> None:
        """Delete files, and folders that are then empty; fine if they are gone."""

    def set_aside(self, name: str) -> str:
        """Move a file below ``set-aside``; say what it is called there."""

    def each(self, function: Callable[[str], T], names: Iterable[str]) -> Iterator[T]:
        """Apply a function that reads a file, many at a time where waiting takes the time."""

    def local(self, *names: str) -> AbstractContextManager[Local]:
        """Have files, as far as they exist, as local ones while the block runs."""

    def temporaries(self) -> Mapping[str, int]:
        """What writers that died left behind → its size; only right while nobody writes."""

    def in_use(self) -> AbstractContextManager[Held]:
        """Be among those that run stages; waits for who is alone."""

    def alone(self) -> AbstractContextManager[None]:
        """Keep out all that run stages; BlockingIOError if there are any."""

    def is_used(self) -> bool:
        """Tell whether anybody runs stages or is alone, writing nothing."""

    def compacting(self) -> AbstractContextManager[Held]:
        """Be the only one to compact; waits for its turn."""

    def turn(
        self, stage_id: str, give_up: Callable[[], bool]
    ) -> AbstractContextManager[Held | None]:
        """Be the only one to train a stage; None if `give_up` said to wait no longer."""


def open_place(address: str | os.PathLike[str]) -> Place:
    """The folder or prefix of an address; nothing is read, and there may be no store.

    Raises
    ------
    StoreError
        If a URL cannot be one of a store.
    """
    text = os.fspath(address)
    if text.startswith(SCHEMES):
        from mfscale.results.objects import open_objects  # noqa: PLC0415 - most stores are folders

        return open_objects(text)
    if "://" in text:
        raise StoreError(
            f"{text.partition('://')[0]}://… is no place for a store; give a folder, "
            "s3://BUCKET/PREFIX or gs://BUCKET/PREFIX"
        )
    from mfscale.results.folder import Folder  # noqa: PLC0415

    return Folder(Path(text))
