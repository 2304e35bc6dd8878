"""Assess the eight claims on result rows: pair, average, judge, and tell what they rest on."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from mfscale.claims.comparisons import COMPARISONS
from mfscale.claims.inference import LEVEL, Estimate, contrasts_of, judge, mean_of_clusters
from mfscale.claims.lines import bend, per_halving, usable
from mfscale.claims.matching import Match, pairs_of
from mfscale.claims.reasons import (
    bias_notes,
    lacking_pairs,
    lacking_points,
    noise_note,
    share_note,
    span_note,
    why_undecided,
)
from mfscale.claims.relations import Relation, fine_tuned_and_pretrained, heads_of_one_model
from mfscale.claims.resamples import ErrorsOf, Resamples
from mfscale.claims.result import ClaimResult, PartResult
from mfscale.claims.runs import runs_of
from mfscale.claims.table import BUDGETS, CLAIMS, COSTS, NOT_COMPARED, Budget, Claim, Part
from mfscale.scaling.vectors import Vector
from mfscale.scaling.wald import holm


@dataclass(frozen=True, eq=False)
class _Evidence:
    """What all parts look at."""

    frame: pd.DataFrame
    runs: pd.DataFrame
    target: str
    resamples: Resamples

    def log_errors(self, stages: tuple[str, ...]) -> pd.Series:
        return self.runs.set_index("stage_id").loc[list(stages), "log_error"]

    def changes(self, stages: list[str]) -> tuple[Vector, int]:
        """Of ln of the target's test errors under resamples of the test set."""
        methods = self.runs.set_index("stage_id")["method"]
        return self.resamples.changes([(stage, self.target, methods[stage]) for stage in stages])


def assess(
    frame: pd.DataFrame,
    errors_of: ErrorsOf,
    *,
    target: str = "cc",
    costs: Mapping[str, float] | None = None,
) -> tuple[ClaimResult, ...]:
    """Assess all eight claims.

    Parameters
    ----------
    frame
        Flattened rows of a store, of any status and purpose; only finished science stages take
        part.
    errors_of
        Stage id → its test errors structure by structure: columns ``structure``, ``head``,
        ``method``, ``energy_error_mev``; an empty table for a stage without.
    target
        Head whose test error the claims are about.
    costs
        Method → relative cost of a label; by default those of the paper. Strategies with labels of
        other methods take no part in comparisons at equal cost.

    Returns
    -------
    tuple of ClaimResult
        In order. A part that the frame has no rows for is undecided and says what is missing.

    Raises
    ------
    ClaimsError
        If no finished science stage has a test error of the target.
    """
    runs = runs_of(frame, target, COSTS if costs is None else costs)
    evidence = _Evidence(frame, runs, target, Resamples(errors_of))
    return tuple(_claim(claim, evidence) for claim in CLAIMS)


def _claim(claim: Claim, evidence: _Evidence) -> ClaimResult:
    parts: list[PartResult] = []
    for part in claim.parts:
        name = f"{claim.number}{part.letter}"
        if name in COMPARISONS:
            match = COMPARISONS[name](evidence.runs)
            for budget in BUDGETS:
                blank = _blank(claim, part, budget)
                parts += _compared(blank, part, match, evidence)
        else:
            relation = _relation(claim.number, evidence)
            parts += _related(_blank(claim, part, NOT_COMPARED), part, relation, evidence)
    return ClaimResult(number=claim.number, statement=claim.statement, parts=tuple(parts))


def _blank(claim: Claim, part: Part, budget: Budget) -> PartResult:
    return PartResult(
        claim=claim.number,
        part=part.letter,
        statement=part.statement,
        budget=budget,
        side=part.side,
        margin=part.margin,
        quantity=part.quantity,
    )


def _compared(blank: PartResult, part: Part, match: Match, evidence: _Evidence) -> list[PartResult]:
    """Judge pairs: each group, or of claims that some group decides, the clearest one."""
    pairs = pairs_of(match, blank.budget)
    if pairs.empty:
        return [replace(blank, reason=lacking_pairs(match, blank.budget, part))]
    estimates = {
        str(group): _mean(in_group, evidence) for group, in_group in pairs.groupby("group")
    }
    if not part.some:
        return [
            _result(replace(blank, group=g), e, pairs[pairs["group"] == g], evidence)
            for g, e in estimates.items()
        ]
    return [_clearest(blank, estimates, pairs, evidence)]


def _mean(pairs: pd.DataFrame, evidence: _Evidence) -> Estimate:
    contrasts = contrasts_of(pairs)
    values = contrasts.weights @ evidence.log_errors(contrasts.stages).to_numpy(dtype=float)
    changes, missing = evidence.changes(list(contrasts.stages))
    return mean_of_clusters(values, None if missing else changes @ contrasts.weights.T)


def _clearest(
    blank: PartResult, estimates: dict[str, Estimate], pairs: pd.DataFrame, evidence: _Evidence
) -> PartResult:
    """Judge the group that speaks most for the claim, with Holm's adjustment for the others.

    Supported if that group is at its adjusted level, which is 1 − 0.05/m for m groups; contradicted
    if every group is, each at 95%: then no group is an exception.
    """
    judged = {g: judge(e, blank.side, blank.margin) for g, e in estimates.items() if e.freedom > 0}
    sign = 1 if blank.side == "below" else -1
    best = min(
        judged or estimates,
        key=lambda g: (
            sign * estimates[g].log_factor / max(estimates[g].error, 1e-12)
            if judged
            else sign * estimates[g].log_factor
        ),
    )
    m = max(len(judged), 1)
    level = 1 - (1 - LEVEL) / m
    shown = _result(
        replace(blank, group=best.rpartition(" #")[0], level=level),
        estimates[best],
        pairs[pairs["group"] == best],
        evidence,
    )
    if len(estimates) > 1:
        among = f"the clearest of {len(estimates)} comparisons; p and interval adjusted (Holm)"
        shown = replace(shown, notes=(*shown.notes, among))
    if judged:
        names = list(judged)
        adjusted = holm(np.array([judged[g].p for g in names]))
        shown = replace(shown, p=float(adjusted[names.index(best)]))
    all_against = len(judged) == len(estimates) and all(
        found.verdict == "contradicted" for found in judged.values()
    )
    if all_against:
        return replace(shown, verdict="contradicted", reason="")
    if shown.verdict == "contradicted":
        return replace(shown, verdict="undecided", reason="not every comparison is decided")
    return shown


def _result(
    blank: PartResult, estimate: Estimate, pairs: pd.DataFrame, evidence: _Evidence
) -> PartResult:
    treatments = tuple(dict.fromkeys(pairs["stage_id_t"]))
    controls = tuple(dict.fromkeys(pairs["stage_id_c"]))
    runs = evidence.runs[evidence.runs["stage_id"].isin([*treatments, *controls])]
    _, missing = evidence.changes(runs["stage_id"].tolist())
    notes = [
        *share_note(blank, pairs, evidence.log_errors),
        *noise_note(missing, len(runs)),
        *bias_notes(runs),
    ]
    counts = {"n_pairs": len(pairs), "n_clusters": estimate.n_clusters}
    stages = {"treatments": treatments, "controls": controls}
    return _judged(blank, estimate, {**counts, **stages, "notes": tuple(notes)}, needed=3)


def _judged(
    blank: PartResult, estimate: Estimate, basis: dict[str, Any], *, needed: int
) -> PartResult:
    found = judge(estimate, blank.side, blank.margin, blank.level)
    told = replace(
        blank,
        factor=found.factor,
        low=found.low,
        high=found.high,
        p=found.p,
        verdict=found.verdict,
        **basis,
    )
    return replace(told, reason=why_undecided(told, needed))


def _relation(number: int, evidence: _Evidence) -> Relation:
    if number == 2:
        return fine_tuned_and_pretrained(evidence.runs, evidence.frame)
    return heads_of_one_model(evidence.runs, evidence.frame, evidence.target)


def _related(
    blank: PartResult, part: Part, relation: Relation, evidence: _Evidence
) -> list[PartResult]:
    """Judge a slope in each group, or a bend over all; heads are always judged one by one."""
    points = usable(relation.points)
    if points.empty:
        return [replace(blank, reason=lacking_points(len(relation.points), part))]
    pooled = part.quantity == "bend" and blank.claim == 2
    groups = {"": points} if pooled else {str(g): p for g, p in points.groupby("group", sort=False)}
    return [
        _line(replace(blank, group=g), relation, in_group.reset_index(drop=True), evidence)
        for g, in_group in groups.items()
    ]


def _line(
    blank: PartResult, relation: Relation, points: pd.DataFrame, evidence: _Evidence
) -> PartResult:
    dy, y_missing = evidence.changes(points["stage_id"].tolist())
    wanted = [
        (str(stage), str(head), str(head))
        for stage, head in zip(points["x_stage"], points["x_head"], strict=True)
    ]
    tested = points["x_head"].notna().all()
    dx, x_missing = evidence.resamples.changes(wanted) if tested else (0 * dy, 0)
    missing = y_missing + x_missing
    estimator, needed = (bend, 4) if blank.quantity == "bend" else (per_halving, 3)
    estimate = estimator(points, None if missing else dx, None if missing else dy)
    runs = evidence.runs[evidence.runs["stage_id"].isin(points["stage_id"])]
    notes = (
        *relation.notes,
        span_note(points),
        *noise_note(missing, len(set(points["stage_id"]) | set(points["x_stage"]))),
        *bias_notes(runs),
    )
    basis = {
        "n_pairs": len(points),
        "n_clusters": points["cluster"].nunique(),
        "treatments": tuple(dict.fromkeys(points["stage_id"])),
        "controls": tuple(dict.fromkeys(points["x_stage"])),
        "notes": notes,
    }
    return _judged(blank, estimate, basis, needed=needed)
