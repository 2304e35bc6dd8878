"""The eight claims as plain data: what each says, on which side of which margin, and what it needs.

Directions and margins were fixed before any result was looked at:

==========  ======================================================================================
margin      why
==========  ======================================================================================
1           the claim is of a direction alone (1a, 1b, 2a, 3, 4a, 4b, 6a, 6b, 7a, 7b)
1.1 above   5 says *clearly* worse: by more than a tenth of the error, not just measurably
1.1 below   8 says *little* loss: no more than a tenth of the error is given up
±10%        2b and 6c say *linear*: nowhere in the data is the best line off by a tenth
==========  ======================================================================================

The word *slightly* of claim 7 is reported as a number and not decided.
"""

from dataclasses import dataclass
from typing import Literal

Side = Literal["below", "above", "within"]
Quantity = Literal["ratio", "per doubling", "per halving", "bend"]
Budget = Literal["equal caps", "matched total compute", "not compared"]
Verdict = Literal["supported", "contradicted", "undecided"]

EQUAL_CAPS: Budget = "equal caps"
MATCHED_COMPUTE: Budget = "matched total compute"
NOT_COMPARED: Budget = "not compared"
BUDGETS: tuple[Budget, Budget] = (EQUAL_CAPS, MATCHED_COMPUTE)

CLEARLY, LITTLE, STRAIGHT = 1.1, 1.1, 1.1
COSTS = {"cc": 1000.0, "dft": 100.0, "xtb": 1.0}
"""Relative cost of a label of each method, of the paper (xTB:CC = 1:1000, DFT:CC = 1:10)."""
CLOSER, CHEAPER = "dft", "xtb"
"""The methods of claim 4: the one closer to the target, and the cheaper one."""


@dataclass(frozen=True)
class Part:
    """One testable statement of a claim.

    Attributes
    ----------
    letter, statement
        Its place in the claim, and what it says.
    needs
        What a study must hold to decide it; completes "a study would need …".
    side, margin
        The factor that the claim asserts lies below or above the margin, or within 1/margin to
        margin.
    quantity
        What the factor multiplies: the error of one side to give that of the other (``ratio``); the
        error when pre-training labels double (``per doubling``) or when the pre-trained error is
        halved (``per halving``); the error on a line to give that on a curve (``bend``).
    some
        Whether one group of equal label counts suffices, tested with Holm's adjustment; otherwise
        every group of the part must be as claimed.
    """

    letter: str
    statement: str
    needs: str
    side: Side = "below"
    margin: float = 1.0
    quantity: Quantity = "ratio"
    some: bool = False


@dataclass(frozen=True)
class Claim:
    """A claim and its parts, all of which must hold."""

    number: int
    statement: str
    parts: tuple[Part, ...]


CLAIMS = (
    Claim(
        1,
        "Pre-training lowers the error, and more so with more pre-training data",
        (
            Part(
                "a",
                "pre-trained and fine-tuned, against direct training on the same target labels",
                "a direct strategy and a fine-tuning one with the same target labels and seeds",
            ),
            Part(
                "b",
                "per doubling of the pre-training labels, all else equal",
                "a fine-tuning strategy with two or more sizes of one pre-training set",
                quantity="per doubling",
            ),
        ),
    ),
    Claim(
        2,
        "ln(fine-tuned error) is linear in ln(pre-trained error), across architectures, model "
        "sizes and methods",
        (
            Part(
                "a",
                "a lower pre-trained error gives a lower fine-tuned one",
                "a fine-tuning strategy with two or more sizes of one pre-training set",
                quantity="per halving",
            ),
            Part(
                "b",
                "no bend that matters, one line per group of otherwise equal runs",
                "a fine-tuning strategy with three or more sizes of one pre-training set",
                side="within",
                margin=STRAIGHT,
                quantity="bend",
            ),
        ),
    ),
    Claim(
        3,
        "Forces among the pre-training labels are critical",
        (
            Part(
                "a",
                "pre-trained with forces, against without",
                "a fine-tuning strategy whose pre-training set has forces: [true, false]",
            ),
        ),
    ),
    Claim(
        4,
        "Closer methods transfer better: DFT beats xTB at equal size; xTB can win at equal cost",
        (
            Part(
                "a",
                "pre-trained on DFT, against on as many xTB labels",
                "two fine-tuning strategies, pre-trained on dft and on xtb, equal in subset, size "
                "and forces",
            ),
            Part(
                "b",
                "pre-trained on xTB, against on DFT labels of the same cost",
                "pre-training sets of xtb and of dft whose costs are within 10%: a hundred xtb "
                "labels for each of dft",
                some=True,
            ),
        ),
    ),
    Claim(
        5,
        "Pre-trained representations are method-specific: fine-tuning only the readout is clearly "
        "worse",
        (
            Part(
                "a",
                "only the readout fine-tuned, against all, from the same pre-trained checkpoint",
                "a fine-tuning strategy, pre-trained on one method, with trainable: [all, readout]",
                side="above",
                margin=CLEARLY,
            ),
        ),
    ),
    Claim(
        6,
        "A multi-headed backbone is method-independent, and its heads' errors are log-log linear",
        (
            Part(
                "a",
                "a readout on a frozen multi-headed backbone, against on a single-method one",
                "fine-tuning with trainable: readout after a multi-headed step, and after steps "
                "on each of its labelled sets alone",
            ),
            Part(
                "b",
                "a lower error of another head goes with a lower error of the target's",
                "a multi-headed strategy with two or more sizes of another head's labels",
                quantity="per halving",
            ),
            Part(
                "c",
                "no bend that matters between the heads' errors",
                "a multi-headed strategy with three or more sizes of another head's labels",
                side="within",
                margin=STRAIGHT,
                quantity="bend",
            ),
        ),
    ),
    Claim(
        7,
        "Multi-headed training is slightly worse than pre-training and fine-tuning, and extends to "
        "three or more methods",
        (
            Part(
                "a",
                "multi-headed, against pre-trained and fine-tuned on the same labels",
                "a multi-headed strategy, and a fine-tuning one with the same labelled sets",
                side="above",
            ),
            Part(
                "b",
                "three or more heads, against direct training on the same target labels",
                "a strategy with three heads in one step, and a direct one with the same target "
                "labels",
            ),
        ),
    ),
    Claim(
        8,
        "Part of the expensive labels can be replaced by cheap ones at little loss",
        (
            Part(
                "a",
                "fewer target labels and cheaper ones besides, against target labels alone of the "
                "same total cost",
                "mixes and a direct strategy whose labels cost the same within 10%",
                margin=LITTLE,
            ),
        ),
    ),
)
