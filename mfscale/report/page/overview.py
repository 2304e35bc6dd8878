"""The overview of a page: what a store holds, what it took, what made it, what to beware of."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from mfscale.report.naming import group_names

_MADE_BY = {
    "dataset": "dataset",
    "split": "split",
    "mfscale_version": "mfscale",
    "git_commit": "commit",
    "python_version": "Python",
    "device": "device",
    "compile_mode": "compile mode",
    "n_threads": "threads",
    "recipe": "training recipe",
    "dtype": "floating-point type",
}
_SHOULD_BE_ONE = ("mfscale_version", "recipe", "device")
_STATUSES = ("finished", "diverged", "failed", "skipped")
_REASONS_SHOWN = 5
_COMMIT = 12  # characters that tell git commits apart


def overview_of(frame: pd.DataFrame, notes: Sequence[str]) -> dict[str, Any]:
    """Counts, models, labelled sets, compute, versions and warnings, as plain data."""
    science = frame[frame["purpose"] == "science"]
    return {
        "counts": _counts(frame),
        "models": _models(science),
        "labels": _labels(science),
        "compute": _compute(frame),
        "made_by": _made_by(frame),
        "warnings": [*notes, *_warnings(science)],
    }


def _counts(frame: pd.DataFrame) -> list[dict[str, Any]]:
    rows = []
    for purpose, name in (("science", "stages"), ("tune", "tuning trials")):
        of_purpose = frame[frame["purpose"] == purpose]
        if len(of_purpose) or purpose == "science":
            counts = of_purpose["status"].value_counts()
            by_status = [(status, int(counts.get(status, 0))) for status in _STATUSES]
            rows.append({"name": name, "n": len(of_purpose), "statuses": by_status})
    return rows


def _models(rows: pd.DataFrame) -> list[dict[str, Any]]:
    columns = ["architecture", "size"]
    return [
        {
            "name": " ".join(map(str, model)),
            "parameters": _range(part["n_parameters"]),
            "n": len(part),
        }
        for model, part in rows.groupby(columns, dropna=False)
    ]


def _range(values: "pd.Series[Any]") -> str:
    known = values.dropna()
    if known.empty:
        return "unknown"
    low, high = int(known.min()), int(known.max())
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def _labels(rows: pd.DataFrame) -> list[dict[str, Any]]:
    counts = rows.groupby(["pretraining", "labels"], dropna=False, sort=False).size()
    pretrainings = [str(before) for before, _ in counts.index]
    labels = [str(own) for _, own in counts.index]
    return [
        {"pretraining": before, "labels": own, "n": int(n)}
        for before, own, n in zip(
            group_names("pretraining", pretrainings),
            group_names("labels", labels),
            counts,
            strict=True,
        )
    ]


def _compute(frame: pd.DataFrame) -> list[dict[str, str]]:
    found = []
    for purpose, name in (("science", "stages"), ("tune", "tuning trials")):
        rows = frame[frame["purpose"] == purpose]
        if rows["train_time_s"].notna().any():
            hours = float(rows["train_time_s"].sum()) / 3600
            seen = int(rows["samples_seen"].sum())
            found.append({"name": name, "hours": f"{hours:.3g}", "samples": f"{seen:,}"})
    return found


def _made_by(frame: pd.DataFrame) -> list[dict[str, str]]:
    found = []
    for column, name in _MADE_BY.items():
        if column in frame and frame[column].notna().any():
            counts = frame[column].value_counts()
            length = _COMMIT if column == "git_commit" else None
            each = [
                str(value)[:length] + (f" ({n} rows)" if len(counts) > 1 else "")
                for value, n in sorted(counts.items(), key=lambda item: (-item[1], str(item[0])))
            ]
            found.append({"name": name, "values": ", ".join(each)})
    return found


def _warnings(rows: pd.DataFrame) -> list[str]:
    found = []
    short = int((rows["converged"] == False).sum())  # noqa: E712 - nullable: missing is not false
    if short:
        found.append(
            f"{short} of {len(rows)} stages were still improving at the cap of steps: more "
            "training would lower their errors"
        )
    for status in _STATUSES[1:]:
        reasons = rows.loc[rows["status"] == status, "reason"].fillna("no reason given")
        if len(reasons):
            counts = reasons.value_counts().head(_REASONS_SHOWN)
            told = "; ".join(f"{reason} ({n})" for reason, n in counts.items())
            found.append(f"{len(reasons)} stage{'s' * (len(reasons) > 1)} {status}: {told}")
    mixed = [c for c in _SHOULD_BE_ONE if c in rows and len(rows[c].dropna().unique()) > 1]
    return [*found, *(f"the stages were not all made with one {_MADE_BY[c]}" for c in mixed)]
