"""What is found of a claim: its parts under each budget, and what they make together."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import nan

from mfscale.claims.table import (
    BUDGETS,
    NOT_COMPARED,
    Budget,
    Quantity,
    Side,
    Verdict,
)


@dataclass(frozen=True, kw_only=True)
class PartResult:
    """One part of a claim, under one budget, in one group.

    Attributes
    ----------
    claim, part, statement
        Number of the claim, letter of the part, and what it says.
    budget
        Under which budget the sides were compared; ``not compared`` for relations between errors,
        whose every line holds runs of equal caps.
    group
        Which of several groups that are judged apart; empty if there is one.
    side, margin, quantity
        What is claimed of the factor, and what it multiplies; see `Part`.
    factor, low, high, p
        The effect, its interval, and p against the margin (see `Judgement`); NaN if unknown.
    level
        Of the interval: 0.95, or more where Holm's adjustment asks for it.
    n_pairs, n_clusters
        Pairs of stages (of relations: runs), and independent checkpoints.
    verdict, reason
        What the interval says, and why it is undecided; the latter empty if it is not.
    treatments, controls
        Ids of the stages that it rests on; of relations, those of y and those of x.
    notes
        What else a reader should know.
    """

    claim: int
    part: str
    statement: str
    budget: Budget
    side: Side
    margin: float
    quantity: Quantity
    group: str = ""
    factor: float = nan
    low: float = nan
    high: float = nan
    p: float = nan
    level: float = 0.95
    n_pairs: int = 0
    n_clusters: int = 0
    verdict: Verdict = "undecided"
    reason: str = ""
    treatments: tuple[str, ...] = ()
    controls: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ClaimResult:
    """A claim and all that was found of it.

    Attributes
    ----------
    number, statement
        Of the claim.
    parts
        In order of letter and budget; several of one letter and budget are groups, all of which
        must hold.
    """

    number: int
    statement: str
    parts: tuple[PartResult, ...]

    @property
    def verdicts(self) -> dict[Budget, Verdict]:
        """The verdict under each budget; one, ``not compared``, if the claim compares none.

        Supported if all parts are, contradicted if any part is, else undecided. Parts that compare
        no budgets count under each.
        """
        budgets = [b for b in BUDGETS if any(part.budget == b for part in self.parts)]
        return {
            budget: together([p.verdict for p in self.parts if p.budget in {budget, NOT_COMPARED}])
            for budget in budgets or [NOT_COMPARED]
        }


def together(verdicts: Sequence[Verdict]) -> Verdict:
    """What parts that must all hold make together."""
    if "contradicted" in verdicts:
        return "contradicted"
    return "supported" if verdicts and set(verdicts) == {"supported"} else "undecided"
