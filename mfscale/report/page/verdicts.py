"""The claims of a page: verdicts, effects on a small axis, and the rows of their evidence."""

from collections.abc import Mapping, Sequence
from math import isnan, log
from typing import Any

from mfscale.claims import ClaimResult, PartResult, effect, verdict_of
from mfscale.claims.table import NOT_COMPARED
from mfscale.report.naming import with_method_names

_WIDEST = 4.0  # the small axis reaches from a quarter to four; what lies beyond ends there
_AXIS = 120.0  # its length in units of the drawing


def claims_of_page(
    claims: Sequence[ClaimResult], places: Mapping[str, int]
) -> tuple[list[dict[str, Any]], list[list[int]]]:
    """Claims as plain data, and for each part that has any the row numbers of its stages."""
    evidence: list[list[int]] = []
    found = []
    for claim in claims:
        parts: list[dict[str, Any]] = []
        for part in claim.parts:
            heading = not parts or parts[-1]["letter"] != part.part
            parts.append({**_part(part), "heading": heading, "evidence": None})
            stages = [places[s] for s in (*part.treatments, *part.controls) if s in places]
            if stages:
                parts[-1]["evidence"] = len(evidence)
                evidence.append(sorted(set(stages)))
        found.append(
            {
                "number": claim.number,
                "statement": claim.statement,
                "verdict": verdict_of(claim),
                "kinds": list(dict.fromkeys(claim.verdicts.values())),
                "parts": parts,
            }
        )
    return found, evidence


def _part(part: PartResult) -> dict[str, Any]:
    where = [with_method_names(w) for w in (part.budget, part.group) if w and w != NOT_COMPARED]
    return {
        "letter": part.part,
        "statement": part.statement,
        "where": ", ".join(where) or "otherwise equal runs",
        "verdict": part.verdict,
        "effect": effect(part),
        "axis": None if isnan(part.factor) else _small_axis(part),
        "remarks": [*filter(None, [part.reason]), *part.notes],
        "n_stages": len({*part.treatments, *part.controls}),
        "name": f"{part.claim}{part.part}, {', '.join(where)}",
    }


def _small_axis(part: PartResult) -> dict[str, float | None]:
    ends = {
        "below": (1 / _WIDEST, part.margin),
        "above": (part.margin, _WIDEST),
        "within": (1 / part.margin, part.margin),
    }[part.side]
    return {
        "claimed_low": _along(ends[0]),
        "claimed_high": _along(ends[1]),
        "one": _along(1.0),
        "factor": _along(part.factor),
        "low": None if isnan(part.low) else _along(part.low),
        "high": None if isnan(part.high) else _along(part.high),
    }


def _along(factor: float) -> float:
    """Where a factor lies on the logarithmic axis."""
    inside = min(max(factor, 1 / _WIDEST), _WIDEST)
    return round(_AXIS * (0.5 + log(inside) / log(_WIDEST) / 2), 2)
