"""What structures read from sources depend on: an interrupted import goes on if that is the same.

Sources are known by path, and their files by size, time of change and a hash of both ends.
"""

import hashlib
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from mfscale.data.imports.formats import format_of
from mfscale.data.imports.method_keys import MethodKeys

_FORMAT = 1
"""Of what an interrupted import leaves; raised when readers or the spool come to mean another."""

_ENDS = 1 << 16

Job = dict[str, Any]
"""Plain data, equal after a round trip through JSON."""


def job_of(sources: Sequence[Path], methods: Sequence[MethodKeys], split_key: str | None) -> Job:
    """What reading depends on. Subsets, tolerance and the header's text come after it."""
    return {
        "written by": [_FORMAT, version("mfscale")],
        "sources": [str(source.resolve()) for source in sources],
        "files": {
            str(file.resolve()): _look(file)
            for source in sources
            for file in format_of(source).files(source)
        },
        "keys": [
            [m.name, m.energy, m.forces, m.energy_ev, m.forces_ev_a, *map(m.is_in, sources)]
            for m in methods
        ],
        "split key": split_key,
    }


def change(before: Job, now: Job) -> str | None:
    """What of a job is another now, in words; None if nothing is."""
    for part, said in (
        ("written by", "another version of mfscale began it"),
        ("sources", "it was of other sources"),
        ("keys", "it was of other methods, keys or units"),
        ("split key", "it was of another --split-key"),
    ):
        if before.get(part) != now[part]:
            return said
    there, files = before.get("files"), now["files"]
    if there == files:
        return None
    known = there if isinstance(there, dict) else {}
    other = next((f for f in (*files, *known) if files.get(f) != known.get(f)), None)
    return f"{other} has changed since"


def _look(file: Path) -> list[int | str]:
    state = file.stat()
    with file.open("rb") as content:
        ends = hashlib.sha256(content.read(_ENDS))
        content.seek(max(state.st_size - _ENDS, 0))
        ends.update(content.read(_ENDS))
    return [state.st_size, state.st_mtime_ns, ends.hexdigest()[:32]]
