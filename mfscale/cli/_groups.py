"""Groups of rows as people read them: the columns that tell them apart, and no others."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mfscale.cli._output import console, print_frame, show

if TYPE_CHECKING:
    import pandas as pd

Group = Mapping[str, Any]


def telling(groups: Iterable[Group]) -> list[str]:
    """Columns that groups are told apart by: no settings that follow from others, no constants."""
    from mfscale.report.naming import told_apart

    distinct = list({tuple(group.items()): group for group in groups if group}.values())
    if not distinct:
        return []
    alike = [group for group in distinct if group.keys() == distinct[0].keys()]
    if len(alike) < len(distinct):
        return list(dict.fromkeys(column for group in distinct for column in group))
    return told_apart(distinct)


def named(group: Group, columns: Sequence[str] | None = None) -> str:
    """A group as people read it, by some of its columns or all."""
    kept = [c for c in columns if c in group] if columns is not None else list(group)
    return ", ".join(f"{column} = {show(group[column]) or 'missing'}" for column in kept)


def print_groups(
    frame: "pd.DataFrame", groups: Iterable[Group], *, title: str | None = None
) -> None:
    """Print a table with those columns of its groups alone that tell them apart; say which not."""
    groups = list(groups)
    columns = list(dict.fromkeys(column for group in groups for column in group))
    kept = telling(groups)
    left = [column for column in columns if column not in kept and column in frame]
    print_frame(frame.drop(columns=left), title=title)
    if left:
        console.print(
            f"not shown, as no two groups need it to be told apart: {', '.join(left)}",
            soft_wrap=True,
        )
