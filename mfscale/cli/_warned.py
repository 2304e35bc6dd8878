"""Typed warnings of several fits: each said once, with the groups that it holds for."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from rich.text import Text

from mfscale.cli._output import show, stderr

if TYPE_CHECKING:
    from mfscale.scaling import FitWarning

    Warned = Iterable[tuple[Mapping[str, object], Iterable[FitWarning]]]


def gathered(warned: "Warned") -> list[dict[str, object]]:
    """For JSON: ``code``, ``message``, and the ``groups`` that it holds for."""
    return [
        {"code": code, "message": message, "groups": where}
        for (code, message), where in _groups(warned).items()
    ]


def print_warnings(warned: "Warned") -> None:
    """On standard error, each once."""
    for (code, message), groups in _groups(warned).items():
        where = "; ".join(named(group) for group in groups if group)
        of = f"{where}: " if where else ""
        stderr.print(Text(f"warning {code}:", "yellow"), f"{of}{message}", soft_wrap=True)


def _groups(warned: "Warned") -> "dict[tuple[str, str], list[Mapping[str, object]]]":
    groups: dict[tuple[str, str], list[Mapping[str, object]]] = {}
    for group, warnings in warned:
        for warning in warnings:
            told = groups.setdefault((warning.code, warning.message), [])
            if group not in told:
                told.append(group)
    return groups


def named(group: Mapping[str, object]) -> str:
    """A group as people read it."""
    return ", ".join(f"{column} = {show(value)}" for column, value in group.items())
