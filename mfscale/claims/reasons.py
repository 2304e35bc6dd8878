"""Why a part is undecided, and what a reader of its numbers should know, in words."""

from collections.abc import Callable
from math import isnan

import numpy as np
import pandas as pd

from mfscale.claims.matching import Match
from mfscale.claims.result import PartResult
from mfscale.claims.table import EQUAL_CAPS, Budget, Part
from mfscale.scaling import format_number


def lacking_pairs(match: Match, budget: Budget, part: Part) -> str:
    """Say which side is missing, or that both are there but never alike."""
    sides = (len(match.treatments), len(match.controls))
    if not all(sides):
        which = "neither side is" if not any(sides) else "one of the sides is not"
        return f"{which} in the store: a study would need {part.needs}"
    how = (
        "has the same caps on steps, batch size and patience"
        if budget == EQUAL_CAPS
        else "saw as many samples in total, pre-training included, within 5%"
    )
    return (
        f"no pair of runs that is equal in all else, seeds included, {how}: a study would need "
        f"{part.needs}, at that budget"
    )


def lacking_points(n_runs: int, part: Part) -> str:
    """Say what lines would need."""
    told = f"{n_runs} runs, none of them" if n_runs else "no runs"
    return f"{told} on a line with others: a study would need {part.needs}"


def why_undecided(result: PartResult, needed: int) -> str:
    """Say why, in terms of checkpoints or of the interval; empty if it is decided."""
    if result.verdict != "undecided":
        return ""
    if result.n_clusters < needed:
        return f"too few independent checkpoints ({result.n_clusters}; {needed} needed)"
    if isnan(result.low):
        return "these runs do not determine it: more independent checkpoints are needed"
    if result.side == "within":
        return f"the interval reaches across the margin of ±{100 * (result.margin - 1):.0f}%"
    if result.margin == 1:
        return "the interval includes 1, no effect"
    return f"the interval includes the margin, a factor of {format_number(result.margin)}"


def share_note(
    result: PartResult, pairs: pd.DataFrame, log_errors: Callable[[tuple[str, ...]], pd.Series]
) -> list[str]:
    """In how many pairs the treatment is worse: what claim 7 calls *most cases*."""
    if (result.claim, result.part) != (7, "a"):
        return []
    worse = (
        log_errors(tuple(pairs["stage_id_t"])).to_numpy()
        > log_errors(tuple(pairs["stage_id_c"])).to_numpy()
    )
    return [f"worse in {int(worse.sum())} of {len(worse)} pairs"]


def span_note(points: pd.DataFrame) -> str:
    """Over what range the points lie: a short one cannot show a bend."""
    ratio = float(np.exp(points["x"].max() - points["x"].min()))
    return f"the errors on the x axis span a factor of {format_number(ratio)}"


def noise_note(missing: int, n_runs: int) -> list[str]:
    """Say that the finite test set is left out of the interval."""
    if not missing:
        return []
    told = f"no test errors structure by structure of {missing} of {n_runs} runs"
    return [f"{told}: the interval leaves out the noise of the finite test set"]


def bias_notes(runs: pd.DataFrame) -> list[str]:
    """What the runs have in common or lack that no interval shows."""
    notes = []
    if len(runs) > 1 and (runs["data_seed"] == runs["data_seed"].iloc[0]).all():
        notes.append(
            "all runs learn from one draw of labels (one data_seed): the interval covers "
            "initialisation, not the choice of labels"
        )
    short = int((~runs["converged"]).sum())
    if short:
        notes.append(
            f"{short} of {len(runs)} runs, or what they start from, were still improving at the "
            "cap of steps"
        )
    return notes
