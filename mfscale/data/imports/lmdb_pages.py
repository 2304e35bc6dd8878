"""Values of an LMDB, read by a process of their own: a damaged file can end it, and it alone.

LMDB maps a file and follows the page numbers that are in it, so that bytes which LMDB did not
write may be a fault of memory rather than an error. Run as ``python -m
mfscale.data.imports.lmdb_pages FILE``; keys come and values go as (length, bytes), batch by batch.
"""

import struct
import subprocess
import sys
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from mfscale.data.errors import DatasetError

_LENGTH = struct.Struct("<q")
_MISSING = _MORE_KEYS = -1
_FIRST_KEYS, _AT_ONCE = 8, 512
_LONGEST_KEY = 511
"""Of LMDB itself."""


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
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__, str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        try:
            self.n_entries = _LENGTH.unpack(self._read(_LENGTH.size))[0]
            keys = self._values(_FIRST_KEYS)
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
        self._ask(_LENGTH.pack(len(keys)) + b"".join(_LENGTH.pack(len(k)) + k for k in keys))
        return self._values(len(keys))

    def keys(self) -> Iterator[bytes]:
        """All keys, in the order of LMDB."""
        while True:
            self._ask(_LENGTH.pack(_MORE_KEYS))
            some = [key for key in self._values(_AT_ONCE) if key is not None]
            yield from some
            if len(some) < _AT_ONCE:
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
            (length,) = _LENGTH.unpack(self._read(_LENGTH.size))
            values.append(None if length == _MISSING else self._read(length))
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


def serve(path: Path, asked: BinaryIO, answers: BinaryIO) -> None:
    """Say how many entries there are and the first keys; then answer until `asked` ends."""
    import lmdb  # noqa: PLC0415 - this process alone needs it

    file = path / "data.mdb" if path.is_dir() else path
    environment = lmdb.open(
        str(path), subdir=path.is_dir(), readonly=True, lock=False, readahead=False, create=False
    )
    info, stat = environment.info(), environment.stat()
    if file.stat().st_size < info["last_pgno"] * stat["psize"]:
        raise ValueError("it is truncated")
    with environment.begin(buffers=False) as transaction:
        answers.write(_LENGTH.pack(stat["entries"]))
        with transaction.cursor() as cursor:
            _send_keys(answers, cursor.iternext(keys=True, values=False), _FIRST_KEYS)
        every = transaction.cursor().iternext(keys=True, values=False)
        while header := asked.read(_LENGTH.size):
            (n,) = _LENGTH.unpack(header)
            if n == _MORE_KEYS:
                _send_keys(answers, every, _AT_ONCE)
            else:
                keys = [asked.read(_LENGTH.unpack(asked.read(_LENGTH.size))[0]) for _ in range(n)]
                usable = (0 < len(key) <= _LONGEST_KEY for key in keys)
                _send(
                    answers,
                    [
                        transaction.get(k) if ok else None
                        for k, ok in zip(keys, usable, strict=True)
                    ],
                )


def _send_keys(answers: BinaryIO, keys: Iterator[bytes], n: int) -> None:
    """Send the next keys, and nothing for as many as are lacking."""
    some = list(islice(keys, n))
    _send(answers, [*some, *[None] * (n - len(some))])


def _send(answers: BinaryIO, values: Sequence[bytes | None]) -> None:
    for value in values:
        answers.write(_LENGTH.pack(_MISSING if value is None else len(value)))
        if value is not None:
            answers.write(value)
    answers.flush()


if __name__ == "__main__":
    try:
        serve(Path(sys.argv[1]), sys.stdin.buffer, sys.stdout.buffer)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is said in one line
        sys.exit(f"{' '.join(str(error).split())}"[:300])
