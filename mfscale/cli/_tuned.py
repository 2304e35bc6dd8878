"""Settings that a tuning chose do not part runs: they were chosen alike, which `tuning` tells."""

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

    from mfscale.results import Store
    from mfscale.study.tuning import Choices

TUNINGS = ("tuning", "parent_tuning")
_WEIGHT = re.compile(r"heads\.(?P<head>[^.]+)\.weight")


def law_rows(store: "Store", study: "Path | None") -> "pd.DataFrame":
    """The rows of a store, or of a study, as laws take them: without values of tuned settings."""
    from mfscale.cli.results import study_rows

    return without_tuned(study_rows(store, study), choices_of(store, study))


def choices_of(store: "Store", study: "Path | None") -> "Choices":
    """What tunings chose, as far as the store and the folder of the study know."""
    from mfscale.study import read_choices

    return read_choices(store.place, *([study.parent] if study else []))


def without_tuned(frame: "pd.DataFrame", choices: "Choices") -> "pd.DataFrame":
    """The rows without the values of those settings that their tuning, or the parent's, chose.

    A fair comparison gives each kind of step the settings that are best for it. Rows of one tuning
    are alike in that, whatever the values, and rows that were not tuned differ from them.

    Parameters
    ----------
    frame
        Rows of results.
    choices
        Of the store: tuning → its choices. Settings of a tuning that is not there are kept.
    """
    frame = frame.copy()
    for column, prefix in zip(TUNINGS, ("", "parent_"), strict=True):
        if column not in frame:
            continue
        for tuning, columns in _columns(choices).items():
            rows = (frame[column] == tuning).fillna(value=False).astype(bool)
            for setting in columns:
                if rows.any() and prefix + setting in frame:
                    frame[prefix + setting] = frame[prefix + setting].mask(rows)
    return frame


def _columns(choices: "Choices") -> Mapping[str, set[str]]:
    return {
        tuning: {_column(name) for choice in of_steps.values() for name in dict(choice.values)}
        for tuning, of_steps in choices.items()
    }


def _column(setting: str) -> str:
    """The column of results that a setting of a space is kept in."""
    weight = _WEIGHT.fullmatch(setting)
    return f"{weight['head']}_weight" if weight else f"hp_{setting}"
