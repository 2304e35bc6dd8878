"""Reads an LMDB in a process of its own; a script, which imports nothing of the package.

Run as ``python lmdb_server.py LMDB``. It says how many entries there are and the first keys; then,
as often as it is asked: a number of keys, the keys → their values; or `MORE_KEYS` → the next keys.
Bytes go as their length and themselves, `MISSING` for none.
"""

import struct
import sys
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import BinaryIO

LENGTH = struct.Struct("<q")
MISSING = MORE_KEYS = -1
FIRST_KEYS, AT_ONCE = 8, 512

_LONGEST_KEY = 511
"""Of LMDB itself."""


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
        answers.write(LENGTH.pack(stat["entries"]))
        with transaction.cursor() as cursor:
            _send_keys(answers, cursor.iternext(keys=True, values=False), FIRST_KEYS)
        every = transaction.cursor().iternext(keys=True, values=False)
        while header := asked.read(LENGTH.size):
            (n,) = LENGTH.unpack(header)
            if n == MORE_KEYS:
                _send_keys(answers, every, AT_ONCE)
            else:
                keys = [asked.read(LENGTH.unpack(asked.read(LENGTH.size))[0]) for _ in range(n)]
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
        answers.write(LENGTH.pack(MISSING if value is None else len(value)))
        if value is not None:
            answers.write(value)
    answers.flush()


if __name__ == "__main__":
    try:
        serve(Path(sys.argv[1]), sys.stdin.buffer, sys.stdout.buffer)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is said in one line
        sys.exit(f"{' '.join(str(error).split())}"[:300])
