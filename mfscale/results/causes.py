"""Why stages did not finish: failures and divergences grouped by cause, what each blocks."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_LONGEST = 300
_PATH = re.compile(r"(?<![\w.])\.{0,2}/[^\s:;,()'\"]+|\b(?:[\w.-]+/)+[\w-]+\.\w+")
_PARTICULAR = re.compile(
    r"(?<!\w)(?:[-+−]?\d+(?:,\d+)*(?:\.\d+)?(?:[eE][-+]?\d+)?|[0-9a-f]{16}|[0-9a-f]{64})(?!\w)"
)
"""A number, or the id of a stage, some of which are all digits."""


@dataclass(frozen=True)
class Cause:
    """Stages that ended badly in the same way.

    Attributes
    ----------
    status
        ``failed`` or ``diverged``.
    cause
        The message, with paths, ids and numbers evened out.
    stages
        Their ids.
    reason, log_file
        Message and log (relative to the store) of the first of `stages`.
    blocked
        Stages that start from one of them, or from one that does, and have not finished.
    """

    status: str
    cause: str
    stages: tuple[str, ...]
    reason: str
    log_file: str | None
    blocked: tuple[str, ...]


def causes(
    rows: Iterable[Mapping[str, Any]], parents: Mapping[str, str | None] | None = None
) -> list[Cause]:
    """Group failed and diverged stages by what went wrong, the cause that blocks most first.

    Parameters
    ----------
    rows
        With ``stage_id``, ``parent_id``, ``status``, ``reason`` and ``log_file``.
    parents
        Stage → its parent, of the stages of a study: only they are looked at, and those without
        a row count as blocked too.
    """
    table = {row["stage_id"]: row for row in rows}
    known = {stage: row["parent_id"] for stage, row in table.items()}
    if parents is not None:
        table = {stage: row for stage, row in table.items() if stage in parents}
        known = dict(parents)
    waiting = {s: p for s, p in known.items() if s not in table or table[s]["status"] != "finished"}
    groups: dict[tuple[str, str], list[str]] = {}
    for stage, row in sorted(table.items()):
        if row["status"] in ("failed", "diverged"):
            groups.setdefault((row["status"], evened(row["reason"] or "")), []).append(stage)
    found = [
        Cause(
            status=status,
            cause=cause,
            stages=tuple(stages),
            reason=table[stages[0]]["reason"] or "",
            log_file=table[stages[0]]["log_file"],
            blocked=tuple(below(stages, waiting)),
        )
        for (status, cause), stages in groups.items()
    ]
    return sorted(found, key=lambda c: (-len(c.blocked), -len(c.stages), c.status, c.cause))


def evened(message: str) -> str:
    """A message without what differs from stage to stage: paths, ids, numbers.

    Examples
    --------
    >>> evened("/store/checkpoints/0123456789abcdef/model.safetensors: 12 bytes, not 3.5e4")
    '‹path›: ‹…› bytes, not ‹…›'
    """
    text = " ".join(message.split())
    return _PARTICULAR.sub("‹…›", _PATH.sub("‹path›", text))[:_LONGEST]


def below(stages: Sequence[str], parents: Mapping[str, str | None]) -> list[str]:
    """All that descend from some stages along `parents`, without these themselves, sorted."""
    children: dict[str, list[str]] = {}
    for stage, parent in parents.items():
        if parent is not None:
            children.setdefault(parent, []).append(stage)
    found: set[str] = set()
    left = list(stages)
    while left:
        fresh = set(children.get(left.pop(), ())) - found
        found |= fresh
        left += fresh
    return sorted(found - set(stages))
