"""Index lists beside a table: ``METHOD_train_LETTER.json`` lists train, validation and test."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mfscale.data.errors import DatasetError
from mfscale.data.imports.kept_split import code_of
from mfscale.data.splits import NO_SUBSET

_NAME = re.compile(r"(?P<method>.+)_train_(?P<letter>[a-d])\.json")
_PARTS = ("train", "val", "test")

Indices = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, eq=False)
class IndexList:
    """One file's lists: what trains on (method; letter), validates and is tested beside it."""

    file: Path
    method: str
    letter: str
    train: Indices
    val: Indices
    test: Indices


def index_list_files(folder: Path) -> list[Path]:
    """Files of such a name in a folder or one below it, by name."""
    files = sorted((*folder.glob("*.json"), *folder.glob("*/*.json")))
    return [file for file in files if _NAME.fullmatch(file.name)]


def read_index_lists(folder: Path) -> list[IndexList]:
    """The lists in a folder or one below it, by name; none if there are none.

    Raises
    ------
    DatasetError
        When a file of such a name holds anything else.
    """
    named = ((file, _NAME.fullmatch(file.name)) for file in index_list_files(folder))
    return [_read(file, name["method"], name["letter"]) for file, name in named if name]


def codes_of_rows(
    lists: list[IndexList], idx: Indices, method: NDArray[np.object_]
) -> tuple[NDArray[np.uint8], tuple[str, ...]]:
    """Code of the subset (R,) of each row of the table, and what people should know of the split.

    `a`, `b` and `c` are what their lists train and validate on. `t` is what the lists test on; or,
    where each list has a test part of its own, all of `d`. Rows in two places are in none.

    Parameters
    ----------
    lists
        Of one release.
    idx, method
        (R,) ``idx`` and ``method`` of each row.

    Raises
    ------
    DatasetError
        When a list names an index that the table lacks.
    """
    rows = _Rows(idx, method)
    apart = any(one.letter == "d" for one in lists) and not _one_test_for_all(lists)
    codes = np.full(len(idx), NO_SUBSET, dtype=np.uint8)
    twice = np.zeros(len(idx), dtype=np.bool_)
    unused = 0
    for one in lists:
        parts = {part: rows.of(one, part) for part in _PARTS}
        if one.letter == "d" and not apart:
            unused += len(parts["train"]) + len(parts["val"])
            parts = {"test": parts["test"]}
        elif one.letter != "d" and apart:
            del parts["test"]
        for part, found in parts.items():
            code = _code("t" if part == "test" or one.letter == "d" else one.letter, part)
            twice[found] |= (codes[found] != NO_SUBSET) & (codes[found] != code)
            codes[found] = code
    codes[twice] = NO_SUBSET
    notes = [f"split source: a, b, c and t are the index lists' ({'d' if apart else 'test'} is t)"]
    if unused:
        notes.append(f"split source: {unused} labels of lists d are in no subset")
    if twice.any():
        notes.append(f"split source: {int(twice.sum())} labels stand in two lists, and are in none")
    return codes, tuple(notes)


class _Rows:
    """Finds rows of a table by method and index."""

    def __init__(self, idx: Indices, method: NDArray[np.object_]) -> None:
        self._idx = idx
        self._of_method = {m: np.flatnonzero(method == m) for m in dict.fromkeys(method.tolist())}

    def of(self, one: IndexList, part: str) -> Indices:
        """Rows that a part of a list names: of its own method, if the table knows that by name."""
        wanted: Indices = getattr(one, part)
        names = {name.lower(): name for name in self._of_method}
        own = self._of_method.get(names.get(one.method.lower(), ""))
        rows = np.arange(len(self._idx)) if own is None else own
        found = rows[np.isin(self._idx[rows], wanted)]
        missing = wanted[~np.isin(wanted, self._idx[found])]
        if missing.size:
            raise DatasetError(
                f"{one.file}: names {missing.size} indices that the table's {one.method} rows lack "
                f"(first: {missing[0]}); correct it, or move the list elsewhere"
            )
        return found


def _one_test_for_all(lists: list[IndexList]) -> bool:
    """Whether all lists of a method test on the same rows."""
    tests: dict[str, Indices] = {}
    return all(np.array_equal(tests.setdefault(one.method, one.test), one.test) for one in lists)


def _code(subset: str, part: str) -> int:
    code = code_of(f"{subset}/validation" if part == "val" and subset != "t" else subset)
    return NO_SUBSET if code is None else code


def _read(file: Path, method: str, letter: str) -> IndexList:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise DatasetError(f"{file}: no readable JSON ({str(error)[:100]})") from None
    if not isinstance(content, Mapping):
        raise DatasetError(f"{file}: holds no lists named train, validation and test")
    parts = {}
    for part in _PARTS:
        listed: Any = next((v for k, v in content.items() if str(k).lower().startswith(part)), [])
        if not isinstance(listed, list) or not all(type(k) is int for k in listed):
            raise DatasetError(f"{file}: {part} is no list of whole numbers")
        try:
            parts[part] = np.unique(np.array(listed, dtype=np.int64))
        except OverflowError:
            raise DatasetError(f"{file}: {part} holds a number that is no index") from None
    if not parts["train"].size:
        raise DatasetError(f"{file}: holds no list named train")
    return IndexList(file=file, method=method, letter=letter, **parts)
