"""Typed warnings of several fits: each said once, with the groups that it holds for."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from rich.text import Text

from mfscale.cli._groups import named, telling
from mfscale.cli._output import stderr

if TYPE_CHECKING:
    from mfscale.scaling import FitWarning

    Group = Mapping[str, object]
    Warned = Iterable[tuple[Group, Iterable[FitWarning]]]

_MOST = 3
"""Messages of one code, and groups of one message, that people are shown."""


def gathered(warned: "Warned") -> list[dict[str, object]]:
    """For JSON: ``code``, ``message``, and the ``groups`` that it holds for."""
    return [
        {"code": code, "message": message, "groups": where}
        for (code, message), where in _groups(warned).items()
    ]


def print_warnings(warned: "Warned") -> None:
    """On standard error, each message once; of many alike the first few and how many there are."""
    warned = [(group, list(warnings)) for group, warnings in warned]
    columns = telling(group for group, _ in warned)
    by_code: dict[str, list[tuple[str, list[Group]]]] = {}
    for (code, message), groups in _groups(warned).items():
        by_code.setdefault(code, []).append((message, groups))
    for code, told in by_code.items():
        for message, groups in told[:_MOST]:
            of = _where(groups, columns)
            stderr.print(Text(f"warning {code}:", "yellow"), f"{of}{message}", soft_wrap=True)
        if more := sum(len(groups) for _, groups in told[_MOST:]):
            stderr.print(
                Text(f"warning {code}:", "yellow"),
                f"and so in {more} more groups, with other figures; --json lists them",
                soft_wrap=True,
            )


def _where(groups: "Sequence[Group]", columns: Sequence[str]) -> str:
    names = [name for group in groups if (name := named(group, columns))]
    more = [f"{len(names) - _MOST} more groups"] if len(names) > _MOST else []
    where = "; ".join([*names[:_MOST], *more])
    return f"{where}: " if where else ""


def _groups(warned: "Warned") -> "dict[tuple[str, str], list[Group]]":
    groups: dict[tuple[str, str], list[Group]] = {}
    for group, warnings in warned:
        for warning in warnings:
            told = groups.setdefault((warning.code, warning.message), [])
            if group not in told:
                told.append(group)
    return groups
