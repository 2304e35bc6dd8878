"""What becomes of each head from one step to the next: trained, handed on, kept or dropped."""

from collections.abc import Mapping

from mfscale.study.errors import StudyError
from mfscale.study.messages import suggest
from mfscale.study.schema import HeadSpec, StepSpec
from mfscale.study.stage import Head, Stage

KEEP = "keep"


def kept_heads(
    step: StepSpec, heads: Mapping[str, Head], parent: Stage | None, where: str
) -> tuple[str, ...]:
    """The parent's heads that the step carries along untrained.

    Parameters
    ----------
    step, heads
        The step as written, and its heads that learn.
    parent
        The step before; None for the first.
    where
        Place of the heads in the file.

    Raises
    ------
    StudyError
        If the step trains nothing, keeps or drops what is not there, or passes over a head of the
        step before in silence.
    """
    if not heads:
        raise StudyError(f"{where}: no head learns; give one a labelled set, e.g. {{subset: a, …}}")
    there = parent.carried if parent else ()
    fates = {name: fate for name, fate in step.heads.items() if not isinstance(fate, HeadSpec)}
    for name, fate in fates.items():
        if name not in there:
            found = suggest(name, there) if parent else "; there is no step before this one"
            raise StudyError(f"{where}.{name}: cannot {fate} a head that is not there{found}")
    handed_on = {head.inherit for head in heads.values()}
    for name in there:
        if name not in fates and name not in heads and name not in handed_on:
            raise StudyError(
                f"{where}: the step before also has head {name!r}; add '{name}: keep' for its "
                f"readout to stay as it is, or '{name}: drop'"
            )
    return tuple(sorted(name for name, fate in fates.items() if fate == KEEP))


def check_sampling(heads: Mapping[str, Head], where: str) -> None:
    """Raise `StudyError` where some heads of a step have a sampling ratio and others none."""
    without = [name for name, head in heads.items() if head.sampling_ratio is None]
    if without and len(without) < len(heads):
        raise StudyError(
            f"{where}.{without[0]}.sampling_ratio: is missing, but another head of the step has "
            "one; give every head a ratio, e.g. 1 to each for equal shares, or none"
        )


def check_shared(kept: tuple[str, ...], where: str) -> None:
    """Raise `StudyError` if a head is to stay as it is while its only readout goes on learning."""
    if kept:
        raise StudyError(
            f"{where}.{kept[0]}: cannot keep a head as it is where all heads share one readout "
            "(model.fidelity: embedding); train it along with a labelled set, or drop it"
        )
