"""Claims in words that a chemist reads."""

from collections.abc import Iterable, Sequence
from math import isnan

from mfscale.claims.result import ClaimResult, PartResult
from mfscale.claims.table import NOT_COMPARED
from mfscale.scaling import format_number, format_percent

_MOST_DIGITS = 5
_QUANTITIES = {
    "ratio": "error × {}",
    "per doubling": "error × {} per doubling of labels",
    "per halving": "error × {} per halving of the other error",
    "bend": "largest deviation from a line × {}",
}


def effect(part: PartResult) -> str:
    """The effect with its interval and what it rests on.

    ``error × 0.61 (0.52–0.71), 9 independent checkpoints, 27 pairs``; empty if there are none.
    """
    if not part.n_pairs:
        return ""
    counted = "pair" if part.budget != NOT_COMPARED else "run"
    basis = (
        f"{_plural(part.n_clusters, 'independent checkpoint')}, {_plural(part.n_pairs, counted)}"
    )
    if isnan(part.factor):
        return basis
    level = "" if part.level == 0.95 else f", {format_percent(part.level)} interval"
    return f"{_QUANTITIES[part.quantity].format(factor_of(part, level))}, {basis}"


def factor_of(part: PartResult, level: str = "") -> str:
    """The factor and its interval: ``0.61 (0.52–0.71)``, with the digits that tell its ends apart.

    `level` is added after the interval.
    """
    if isnan(part.low):
        return format_number(part.factor)
    for digits in range(2, _MOST_DIGITS + 1):
        found, low, high = (
            format_number(v, digits + (v >= 1)) for v in (part.factor, part.low, part.high)
        )
        ones = {format_number(1 + 1e-8, digits + 1), format_number(1 - 1e-8, digits)}  # 1.00, 1.0
        if len({found, low, high, *ones}) == 5:
            break
    return f"{found} ({low}–{high}{level})"


def name_of(part: PartResult) -> str:
    """Which part, under which budget and in which group: ``1a, equal caps``."""
    budget = [] if part.budget == NOT_COMPARED else [part.budget]
    return ", ".join([f"{part.claim}{part.part}", *budget, *([part.group] if part.group else [])])


def verdict_of(claim: ClaimResult) -> str:
    """``supported`` or ``supported at equal caps, undecided at matched total compute``."""
    verdicts = claim.verdicts
    if len(set(verdicts.values())) == 1:
        return next(iter(verdicts.values()))
    return ", ".join(f"{verdict} at {budget}" for budget, verdict in verdicts.items())


def report(claims: Sequence[ClaimResult], *, rows: bool = False) -> str:
    """All claims, their parts, effects, reasons and notes; with the ids of stages if `rows`."""
    return "\n\n".join("\n".join(_claim(claim, rows=rows)) for claim in claims)


def _claim(claim: ClaimResult, *, rows: bool) -> Iterable[str]:
    yield f"{claim.number}. {claim.statement}: {verdict_of(claim).upper()}"
    told = None
    for part in claim.parts:
        if part.part != told:
            yield f"  {part.part}  {part.statement}"
            told = part.part
        where = [w for w in (part.budget, part.group) if w and w != NOT_COMPARED]
        found = "; ".join(filter(None, (part.verdict, effect(part), part.reason)))
        yield f"     {': '.join([', '.join(where), found]) if where else found}"
        yield from (f"       {note}" for note in part.notes)
        if rows and part.treatments:
            yield f"       rows: {' '.join(part.treatments)}"
            yield f"       against: {' '.join(part.controls)}"
        elif part.treatments:
            yield (
                f"       rests on {_plural(len({*part.treatments, *part.controls}), 'row')} "
                "(--rows lists them)"
            )


def _plural(n: int, noun: str) -> str:
    return f"{n} {noun}{'' if n == 1 else 's'}"
