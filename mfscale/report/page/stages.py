"""The table of stages: its columns, a row per stage, and the facets that filters go by."""

import re
from typing import Any

import pandas as pd

from mfscale.report.naming import column_label, group_names
from mfscale.report.page.plain import plain

_FIRST = ("stage_id", "status", "reason", "used_by", "pretraining", "labels")
_THEN = ("architecture", "size", "trainable", "fidelity", "dataset", "seed", "data_seed")
_LAST = ("steps", "converged", "validation_energy_mae_mev")
_TIMES = ("total_train_time_s", "structures_per_second", "root_id")
_KEPT_WHOLE = {"stage_id", "status", "pretraining", "labels", "architecture", "size", "seed"}
_NAMES = {
    "stage_id": "stage",
    "total_train_time_s": "training, with ancestors (s)",
    "structures_per_second": "structures/s",
    "root_id": "checkpoint (root)",
}
_TEST_ERROR = re.compile(r"(?!start_|baseline_|parent_)(?!.*_vs_)[\w-]+_t_(energy|forces)_mae_\w+")
_PER_ATOM = "_per_atom"
FACETS = ("architecture", "size", "pre-training", "head")


def table_of_stages(rows: pd.DataFrame, target: str) -> dict[str, Any]:
    """All stages as plain data.

    Returns
    -------
    dict
        ``columns`` (key, label, whether of numbers), ``rows`` (a list of cells each), ``facets``
        (per row: the values that each filter of `FACETS` may ask for) and ``choices`` (all values
        of each filter).
    """
    keys = _columns(rows, target)
    facets = _facets(rows)
    return {
        "columns": [
            {
                "key": key,
                "label": _NAMES.get(key, column_label(key)),
                "number": bool(pd.api.types.is_numeric_dtype(rows[key]))
                and not pd.api.types.is_bool_dtype(rows[key]),
            }
            for key in keys
        ],
        "rows": [
            [plain(cell) for cell in row] for row in rows[keys].itertuples(index=False, name=None)
        ],
        "facets": facets,
        "choices": [
            {"name": name, "values": sorted({value for row in facets for value in row[i]})}
            for i, name in enumerate(FACETS)
        ],
    }


def heads_of(rows: pd.DataFrame) -> list[str]:
    """Heads that some stage trains."""
    return [
        str(column).removesuffix("_subset")
        for column in rows.columns
        if str(column).endswith("_subset") and not str(column).startswith("parent_")
    ]


def kinds_of(rows: pd.DataFrame) -> list[str]:
    """What each stage was pre-trained on, without sizes, in words."""
    kinds = rows["pretraining"].fillna("").str.replace(r":\d+", "", regex=True).tolist()
    names = dict(zip(kinds, group_names("pretraining", kinds), strict=True))
    return [names[kind] for kind in kinds]


def _columns(rows: pd.DataFrame, target: str) -> list[str]:
    """Those with something to tell: what is the same in every row is in the overview."""
    errors = [
        c
        for c in map(str, rows.columns)
        if _TEST_ERROR.fullmatch(c) and not c.endswith(_PER_ATOM) and rows[c].notna().any()
    ]
    errors.sort(key=lambda column: not column.startswith(f"{target}_"))
    wanted = [*_FIRST, *errors[:1], *_THEN, *_LAST, *errors[1:], *_TIMES]
    return [
        c
        for c in wanted
        if c in rows and (c in _KEPT_WHOLE or (rows[c].notna().any() and not _constant(rows[c])))
    ]


def _constant(column: "pd.Series[Any]") -> bool:
    return len(column.unique()) <= 1


def _facets(rows: pd.DataFrame) -> list[list[list[str]]]:
    heads = heads_of(rows)
    trained = [
        [head for head, subset in zip(heads, subsets, strict=True) if isinstance(subset, str)]
        for subsets in rows[[f"{head}_subset" for head in heads]].itertuples(index=False, name=None)
    ]
    return [
        [[str(architecture)], [str(size)], [kind], mine]
        for architecture, size, kind, mine in zip(
            rows["architecture"], rows["size"], kinds_of(rows), trained, strict=True
        )
    ]
