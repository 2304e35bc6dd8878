"""A store in object storage, ``s3://`` or ``gs://``: single PUTs, create-only where it matters.

Objects have no rename and no locks. An object appears whole; one that must not replace another is
put on the condition that there is none, and one that replaces another on the condition that it is
still the one that was read. Locks are leases (`mfscale.results.leases`).
"""

import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING
from uuid import uuid4

import obstore
import pyarrow as pa
from obstore.exceptions import AlreadyExistsError, PreconditionError

from mfscale.results import leases
from mfscale.results.buffers import owned
from mfscale.results.connection import connected, worded
from mfscale.results.errors import StorageError, StoreError
from mfscale.results.own_folder import own_folder
from mfscale.results.place import Held, Local, T

if TYPE_CHECKING:
    from obstore import ObjectMeta, PutMode, PutResult
    from obstore.store import ObjectStore

AT_ONCE = 32
"""Objects read at the same time: one takes tens of milliseconds, whatever its size."""
_RUNS, _STAGES, _ALONE = "leases/runs", "leases/stages", "leases/alone"
_LONE, _COMPACT = f"{_ALONE}/lease.json", "leases/compact/lease.json"


@cache
def open_objects(url: str) -> "Objects":
    """The prefix of a URL, once a process: its credentials are those that were there at first.

    Raises
    ------
    StoreError
        If the URL or the settings of the environment cannot be used.
    """
    url = url.rstrip("/")
    return Objects(url, connected(url))


class Objects:
    """A prefix of a bucket.

    Parameters
    ----------
    url
        ``s3://BUCKET/PREFIX`` or ``gs://BUCKET/PREFIX``, as messages show it.
    store
        The connection, whose paths are relative to the prefix.
    """

    look_every_s = 5.0

    def __init__(self, url: str, store: "ObjectStore") -> None:
        self.address = url
        self._store = store

    def __str__(self) -> str:
        return self.address

    def of(self, name: str) -> str:
        return f"{self.address}/{name}"

    def require_vacant(self) -> None:
        with worded():
            found = obstore.list_with_delimiter(self._store)
        if found["objects"] or found["common_prefixes"]:
            raise StoreError(
                f"{self} holds other objects and no results store; name a new or empty prefix"
            )
        self._require_conditions()

    def get(self, name: str) -> pa.Buffer:
        with worded():
            return owned(memoryview(obstore.get(self._store, name).bytes()))

    def put(self, name: str, data: bytes) -> None:
        with worded():
            obstore.put(self._store, name, data, use_multipart=False)

    def put_new(self, name: str, data: bytes) -> bool:
        return self.create(name, data) is not None

    def create(self, name: str, data: bytes) -> "PutResult | None":
        """Put an object unless there is one; None if there is."""
        return self._put_if(name, data, "create")

    def replace(self, name: str, data: bytes, version: "PutResult") -> "PutResult | None":
        """Put an object in the place of one that was read; None if that has changed or is gone."""
        known = {key: value for key, value in version.items() if value is not None}
        with suppress(FileNotFoundError):
            return self._put_if(name, data, known)  # type: ignore[arg-type]
        return None

    def version(self, name: str) -> "PutResult | None":
        with suppress(FileNotFoundError), worded():
            return _version(obstore.head(self._store, name))
        return None

    def versions(self, folder: str) -> "dict[str, PutResult]":
        """The objects of a folder, with the version of each."""
        return {meta["path"]: _version(meta) for meta in self._list(folder)}

    def put_over(self, name: str, data: bytes, version: object) -> bool:
        if version is None:
            return self.put_new(name, data)
        return self.replace(name, data, version) is not None  # type: ignore[arg-type]

    def names(self, folder: str, suffix: str, *, beginning: str = "", after: str = "") -> list[str]:
        found = []
        for meta in self._list(folder, after=max(beginning, after)):
            name = meta["path"].removeprefix(f"{folder}/" if folder else "")
            if beginning and not name.startswith(beginning):
                break  # they come in order
            if "/" not in name and name.endswith(suffix) and not name.startswith("."):
                found.append(name)
        return sorted(found)

    def tree(self, folder: str) -> Mapping[str, int]:
        return {meta["path"]: meta["size"] for meta in self._list(folder)}

    def exists(self, name: str) -> bool:
        return self.version(name) is not None

    def delete(self, names: Iterable[str]) -> None:
        if several := list(names):
            with worded():
                obstore.delete(self._store, several)

    def set_aside(self, name: str) -> str:
        path = PurePosixPath("set-aside") / name
        if self.exists(str(path)):
            path = path.with_name(f"{path.stem}.{uuid4().hex[:8]}{path.suffix}")
        with suppress(FileNotFoundError), worded():  # another process may just have done it
            obstore.copy(self._store, name, str(path))
            obstore.delete(self._store, name)
        return self.of(str(path))

    def each(self, function: Callable[[str], T], names: Iterable[str]) -> Iterator[T]:
        with ThreadPoolExecutor(AT_ONCE) as pool:
            yield from pool.map(function, names)

    @contextmanager
    def local(self, *names: str) -> Iterator[Local]:
        with own_folder(Path(tempfile.gettempdir()), "mfscale-copies-") as folder:
            copies = _Copies(self, folder)
            for name in names:
                copies.fetch(name)
            yield copies

    def temporaries(self) -> Mapping[str, int]:
        with worded():
            top = obstore.list_with_delimiter(self._store)["objects"]
        hidden = {meta["path"]: meta["size"] for meta in top if meta["path"].startswith(".")}
        return {**hidden, **self.tree(_STAGES)}

    @contextmanager
    def in_use(self) -> Iterator[Held]:
        with leases.held(self, f"{_RUNS}/{uuid4().hex}.json") as run:
            assert run is not None  # noqa: S101 - nobody else has this name
            # Whoever wants to be alone looks for runs once its own lease is there; so does a run.
            leases.wait_until_free(self, _LONE)
            yield run

    @contextmanager
    def alone(self) -> Iterator[None]:
        with leases.held(self, _LONE, give_up=leases.Watch.sees_life) as lease:
            if lease is None or leases.anybody(self, _RUNS, clear=True):
                raise BlockingIOError
            yield

    def is_used(self) -> bool:
        return leases.anybody(self, _RUNS) or leases.anybody(self, _ALONE)

    @contextmanager
    def compacting(self) -> Iterator[Held]:
        with leases.held(self, _COMPACT) as lease:
            assert lease is not None  # noqa: S101 - it waits for ever
            yield lease

    @contextmanager
    def turn(self, stage_id: str, give_up: Callable[[], bool]) -> Iterator[Held | None]:
        with leases.held(self, f"{_STAGES}/{stage_id}.json", give_up=lambda _: give_up()) as lease:
            yield lease

    def _put_if(self, name: str, data: bytes, mode: "PutMode") -> "PutResult | None":
        try:
            with worded():
                return obstore.put(self._store, name, data, mode=mode, use_multipart=False)
        except (AlreadyExistsError, PreconditionError):
            return None

    def _list(self, folder: str, *, after: str = "") -> "Iterator[ObjectMeta]":
        offset = f"{folder}/{after}" if after else None
        stream = obstore.list(self._store, folder or None, offset=offset, chunk_size=1000)
        while True:
            with worded():
                part = next(stream, None)
            if part is None:
                return
            yield from part

    def _require_conditions(self) -> None:
        """Raise StorageError if this storage ignores conditions, which would cost rows."""
        name, ignored = f".probe-{uuid4().hex}", None
        try:
            first = self.create(name, b"1")
            if self.create(name, b"2"):
                ignored = "created only if there is none (If-None-Match)"
            elif first and self.replace(name, b"3", first) and self.replace(name, b"4", first):
                ignored = "replaced only if it is still the one that was read (If-Match)"
        finally:
            self.delete([name])
        if ignored:
            raise StorageError(
                f"it ignores that an object is to be {ignored}",
                "upgrade its server, or take storage that has conditional writes (docs/stores.md)",
            )


class _Copies:
    """Copies of objects in a folder of their own."""

    def __init__(self, objects: Objects, folder: Path) -> None:
        self._objects = objects
        self._folder = folder

    def path(self, name: str) -> Path:
        return self._folder / name

    def saved(self, path: Path) -> None:
        self._objects.put(path.relative_to(self._folder).as_posix(), path.read_bytes())

    def fetch(self, name: str) -> None:
        with suppress(FileNotFoundError):
            content = self._objects.get(name)
            path = self.path(name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)


def _version(meta: "ObjectMeta") -> "PutResult":
    return {"e_tag": meta["e_tag"], "version": meta["version"]}
