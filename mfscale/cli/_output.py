"""What commands print: tables for people, JSON for scripts, messages on standard error."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    import pandas as pd

_MANY = 1000  # rows, beyond which a table is printed without rich
# Without markup: names, paths and messages may hold brackets.
console = Console(highlight=False, emoji=False, markup=False)
stderr = Console(stderr=True, highlight=False, emoji=False, markup=False)


def print_json(value: object) -> None:
    """Print plain data as JSON that any parser takes: NaN becomes null, times ISO text."""
    print(json.dumps(_plain(value), indent=2, ensure_ascii=False))  # noqa: T201 - not rich: no wrapping


def print_records(frame: "pd.DataFrame") -> None:
    """Print rows as a JSON list of objects, as `print_json` does, a few at a time."""
    import orjson

    options = orjson.OPT_INDENT_2 | orjson.OPT_PASSTHROUGH_DATETIME
    names = [str(column) for column in frame.columns]
    for first in range(0, max(len(frame), 1), _MANY):
        part = frame.iloc[first : first + _MANY]
        columns = [_values(part.iloc[:, index]) for index in range(len(names))]
        records = [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]
        text = orjson.dumps(records, _plain, options).decode()
        text = text.removeprefix("[") if first else text
        last = first + _MANY >= len(frame)
        print(text if last else text.removesuffix("\n]") + ",", end="\n" if last else "")  # noqa: T201


def _values(column: "pd.Series[Any]") -> list[Any]:
    """The values of a column as Python's own, where there are such; None where one is missing."""
    return column.astype(object).where(column.notna(), None).tolist()


def print_frame(frame: "pd.DataFrame", *, title: str | None = None) -> None:
    """Print a data frame as a table that keeps its columns whole in a pipe."""
    print_table(frame.columns, frame.itertuples(index=False), title=title)


def print_table(
    columns: Iterable[object], rows: Iterable[Sequence[object]], *, title: str | None = None
) -> None:
    """Print rows; numbers to four digits, right-aligned; nothing where a value is missing."""
    rows = [list(row) for row in rows]
    if title:
        console.print(Text(title, "bold"), soft_wrap=True)
    if len(rows) > _MANY:
        _print_plainly([str(column) for column in columns], rows)
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for index, column in enumerate(columns):
        numeric = _numeric(row[index] for row in rows)
        table.add_column(Text(str(column)), justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(show(value)) for value in row))
    wide = Console(highlight=False, emoji=False, width=None if console.is_terminal else 400)
    wide.print(table)


def _print_plainly(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """As `print_table` does in a pipe: rich takes a second for a thousand rows."""
    aligned = []
    for index, column in enumerate(columns):
        cells = [column, *(show(row[index]) for row in rows)]
        width = max(map(len, cells))
        right = _numeric(row[index] for row in rows)
        aligned.append([cell.rjust(width) if right else cell.ljust(width) for cell in cells])
    for line in zip(*aligned, strict=True):
        print("  ".join(line).rstrip())  # noqa: T201 - not rich: see above


def _numeric(values: Iterable[object]) -> bool:
    return all(isinstance(value, (int, float)) or _missing(value) for value in values)


def show(value: object) -> str:
    """A value as people read it."""
    if _missing(value):
        return ""
    plain = value.tolist() if hasattr(value, "tolist") else value
    if isinstance(plain, bool):
        return "yes" if plain else "no"
    if isinstance(plain, float):
        return f"{plain:.4g}" if abs(plain) < 1e4 else f"{plain:,.0f}"
    return str(plain)


def duration(seconds: float) -> str:
    """Seconds as people say them: 45 s, 3 min 20 s, 2 h 05 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def size(n_bytes: float) -> str:
    """A size of files as people say it: 12 kB, 3.4 MB."""
    for unit in ("B", "kB", "MB"):
        if n_bytes < 1000:
            return f"{n_bytes:.3g} {unit}"
        n_bytes /= 1000
    return f"{n_bytes:.3g} GB"


def _missing(value: object) -> bool:
    if value is None or type(value).__name__ in {"NAType", "NaTType"}:
        return True
    return isinstance(value, float) and math.isnan(value)


def _plain(value: object) -> Any:  # noqa: ANN401 - what JSON knows
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(item) for item in value]
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    if _missing(value) or (isinstance(value, float) and not math.isfinite(value)):
        return None
    return value if isinstance(value, (bool, int, float, str)) else str(value)
