"""Sources are read into the spool, each structure checked; how far that is, is saved on the way."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from mfscale.data.imports.came import EXAMPLES, Came
from mfscale.data.imports.method_keys import MethodKeys
from mfscale.data.imports.record import Bad, Reader, Record, problem_of
from mfscale.data.imports.report import place_in
from mfscale.data.imports.spool import Spool
from mfscale.data.imports.unfinished import Unfinished

EVERY_S = 5.0
"""Seconds between two savings: what a kill costs."""

OnProgress = Callable[[Path, int, int], None]
"""Source, how far one is in it, and how far there is to go (bytes, rows or structures)."""


def read_sources(
    sources: Sequence[Path],
    readers: Sequence[Reader],
    methods: Sequence[MethodKeys],
    split_key: str | None,
    spool: Spool,
    unfinished: Unfinished,
    progress: OnProgress,
) -> Came:
    """Spool what passes, from where an interrupted import has left off."""
    came = unfinished.came
    due = time.monotonic() + EVERY_S
    while (source := came.source) < len(sources):
        path = sources[source]
        own = [method for method in methods if method.is_in(path)]
        reading = readers[source](path, own, split_key, came.taken())
        if not came.structures:
            came.notes += reading.notes
        for done, item in reading.items:
            reason = item.reason if isinstance(item, Bad) else problem_of(item)
            if reason:
                came.faults.add(reason, place_in(sources, source, item.number))
            elif isinstance(item, Record):
                if item.number < EXAMPLES:
                    came.keys |= set(item.keys)
                spool.append(item, source)
            came.read += 1
            came.structures += 1
            came.done = done
            if came.read % 256 == 0:
                progress(path, done, reading.total)
            if time.monotonic() >= due:
                unfinished.save(came, spool)
                due = time.monotonic() + EVERY_S
        progress(path, reading.total, reading.total)
        came.end_source()
    if unfinished.is_kept:
        unfinished.save(came, spool)
    return came
