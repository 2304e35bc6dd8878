"""Values of an LMDB, read by a process of their own: a damaged file can end it, and it alone.

LMDB maps a file and follows the page numbers that are in it, so that bytes which LMDB did not
write may be a fault of memory rather than an error.
"""

import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from mfscale.data.errors import DatasetError
from mfscale.data.imports import lmdb_server
from mfscale.data.imports.lmdb_server import AT_ONCE, FIRST_KEYS, LENGTH, MISSING, MORE_KEYS


class Pages:
    """An LMDB opened for reading.

    Parameters
    ----------
    path
        The file, or the folder that holds ``data.mdb``.

    Attributes
    ----------
    n_entries
        Keys there.
    first_keys
        The first ones, in the order of LMDB.

    Raises
    ------
    DatasetError
        When it cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._process = subprocess.Popen(  # noqa: S603 - our own module
            [sys.executable, "-P", lmdb_server.__file__, str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            process_group=0,  # Ctrl-C in a terminal is for this process alone
        )
        try:
            self.n_entries = LENGTH.unpack(self._read(LENGTH.size))[0]
            keys = self._values(FIRST_KEYS)
        except DatasetError:
            self.close()
            raise
        self.first_keys = [key for key in keys if key is not None]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def get(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """The value of each key, None where there is none; some hundred keys at a time.

        Raises
        ------
        DatasetError
            When the file turns out to be damaged.
        """
        self._ask(LENGTH.pack(len(keys)) + b"".join(LENGTH.pack(len(k)) + k for k in keys))
        return self._values(len(keys))

    def every_key(self) -> Iterator[bytes]:
        """All keys, in the order of LMDB."""
        while True:
            self._ask(LENGTH.pack(MORE_KEYS))
            some = [key for key in self._values(AT_ONCE) if key is not None]
            yield from some
            if len(some) < AT_ONCE:
                return

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()

    def _ask(self, what: bytes) -> None:
        stream = self._process.stdin
        assert stream is not None  # noqa: S101 - a pipe was asked for
        try:
            stream.write(what)
            stream.flush()
        except OSError:
            raise self._damaged() from None

    def _values(self, n: int) -> list[bytes | None]:
        values: list[bytes | None] = []
        for _ in range(n):
            (length,) = LENGTH.unpack(self._read(LENGTH.size))
            values.append(None if length == MISSING else self._read(length))
        return values

    def _read(self, n: int) -> bytes:
        stream = self._process.stdout
        assert stream is not None  # noqa: S101 - likewise
        content = stream.read(n)
        if len(content) < n:
            raise self._damaged()
        return content

    def _damaged(self) -> DatasetError:
        said = (self._process.communicate()[1] or b"").decode("utf-8", "replace").splitlines()
        why = said[-1][:200] if said and self._process.returncode > 0 else "reading it fails"
        return DatasetError(f"{self.path}: no readable LMDB, or a damaged one ({why})")
