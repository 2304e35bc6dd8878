"""Which runs each claim compares: one small function per part.

Everywhere the runs of a pair are equal in ``SETTING`` (dataset, split, architecture, model size,
dtype, cutoff, recipe, tuning, fidelity, Δ-learning and both seeds) and, but for claim 8, in the
target's labels; only what is said here differs.
"""

from collections.abc import Callable

import pandas as pd

from mfscale.claims.labels import steps_of
from mfscale.claims.matching import Match, within_factor
from mfscale.claims.runs import CAPS, SETTING, TARGET, VARIANT
from mfscale.claims.table import CHEAPER, CLOSER

SAME_COST = 1.1
"""Label costs that differ by no more than this factor count as equal."""

_SAME = (*SETTING, *TARGET)


def pretrained_and_direct(runs: pd.DataFrame) -> Match:
    """1a: fine-tuned in full after any pre-training, against direct."""
    return Match(
        treatments=_fine_tuned(runs),
        controls=_direct(runs),
        equal=_SAME,
        apart=("pretraining_t",),
    )


def more_and_fewer_pretraining_labels(runs: pd.DataFrame) -> Match:
    """1b: more against fewer labels of one pre-training set, per doubling."""
    single = _single(_fine_tuned(runs))
    return Match(
        treatments=single,
        controls=single,
        equal=(*_SAME, "pre_method", "pre_subset", "pre_forces"),
        keep=lambda pairs: pairs["pre_size_t"] > pairs["pre_size_c"],
        per_doubling="pre_size",
        with_parents=True,
    )


def with_and_without_forces(runs: pd.DataFrame) -> Match:
    """3: pre-training labels with forces, against the same without any."""
    tuned = _fine_tuned(runs)
    forces = tuned["pretraining"].str.contains("+forces", regex=False)
    tuned = tuned.assign(energies=tuned["pretraining"].str.replace("+forces", "", regex=False))
    return Match(
        treatments=tuned[forces],
        controls=tuned[~forces],
        equal=(*_SAME, "energies"),
        apart=("pretraining_t",),
        with_parents=True,
    )


def closer_and_cheaper_at_equal_size(runs: pd.DataFrame) -> Match:
    """4a: pre-training on DFT, against on as many xTB labels."""
    tuned = _fine_tuned(runs)
    return Match(
        treatments=tuned[tuned["pre_method"] == CLOSER],
        controls=tuned[tuned["pre_method"] == CHEAPER],
        equal=(*_SAME, "pre_subset", "pre_size", "pre_forces"),
        with_parents=True,
    )


def cheaper_and_closer_at_equal_cost(runs: pd.DataFrame) -> Match:
    """4b: pre-training on xTB, against on DFT labels of equal cost; judged by numbers of labels."""
    tuned = _fine_tuned(runs)
    sizes = ["pre_size_t", "pre_size_c"]
    apart = [*VARIANT, *TARGET, *sizes, "pre_forces"]

    def group(pairs: pd.DataFrame) -> pd.Series:
        """Replicates share a group: its name tells the labels, its number all else."""
        caps = [c for c in CAPS if c in pairs]
        number = pairs.groupby([*apart, *caps], dropna=False).ngroup() + 1
        told = [
            f"{CHEAPER} {cheap:.0f} against {CLOSER} {close:.0f}, {size} target labels"
            for cheap, close, size in zip(
                pairs["pre_size_t"], pairs["pre_size_c"], pairs["target_size"], strict=True
            )
        ]
        return pd.Series(told, index=pairs.index, dtype=object) + " #" + number.astype(str)

    return Match(
        treatments=tuned[tuned["pre_method"] == CHEAPER],
        controls=tuned[tuned["pre_method"] == CLOSER],
        equal=(*_SAME, "pre_forces"),
        apart=tuple(sizes),
        keep=lambda pairs: within_factor(pairs["pre_cost_t"], pairs["pre_cost_c"], SAME_COST),
        group=group,
        with_parents=True,
    )


def readout_and_all(runs: pd.DataFrame) -> Match:
    """5: only the readout fine-tuned, against all, from the same single-method checkpoint."""
    single = runs[(runs["strategy"] == "fine-tuned") & (runs["pre_method"] != "")]
    return Match(
        treatments=single[single["trainable"] == "readout"],
        controls=single[single["trainable"] == "all"],
        equal=(*_SAME, "parent_id"),
    )


def multi_headed_and_single_backbones(runs: pd.DataFrame) -> Match:
    """6a: a readout on a frozen multi-headed backbone, against on one of a set of its labels."""
    readouts = runs[(runs["strategy"] == "fine-tuned") & (runs["trainable"] == "readout")]
    several = (readouts["n_steps"] == 1) & (readouts["n_before"] > 1)
    return Match(
        treatments=readouts[several],
        controls=_single(readouts),
        equal=_SAME,
        apart=("pretraining_t", "pretraining_c"),
        keep=_is_among,
        group=lambda pairs: "against a backbone of " + pairs["pre_method_c"],
        with_parents=True,
    )


def multi_headed_and_fine_tuned(runs: pd.DataFrame) -> Match:
    """7a: multi-headed, against pre-trained and fine-tuned in full on the same labelled sets."""
    return Match(
        treatments=runs[runs["strategy"] == "multi-headed"],
        controls=_fine_tuned(runs),
        equal=(*_SAME, "others"),
    )


def three_heads_and_direct(runs: pd.DataFrame) -> Match:
    """7b: the target and two or more methods in one step, against direct."""
    heads = runs[(runs["strategy"] == "multi-headed") & (runs["n_methods"] > 1)]
    return Match(treatments=heads, controls=_direct(runs), equal=_SAME, apart=("others_t",))


def mixed_and_direct_at_equal_cost(runs: pd.DataFrame) -> Match:
    """8: fewer target labels and cheaper ones besides, against target labels alone of that cost."""
    mixed = (runs["others"] != "") & ~runs["mixes_target"] & (runs["trainable"] == "all")
    return Match(
        treatments=runs[mixed],
        controls=_direct(runs),
        equal=(*SETTING, "target_subset", "target_forces"),
        apart=("pretraining_t", "beside_t", "target_size_t", "target_size_c"),
        keep=lambda pairs: (
            within_factor(pairs["cost_t"], pairs["cost_c"], SAME_COST)
            & (pairs["target_size_t"] < pairs["target_size_c"])
        ),
    )


COMPARISONS: dict[str, Callable[[pd.DataFrame], Match]] = {
    "1a": pretrained_and_direct,
    "1b": more_and_fewer_pretraining_labels,
    "3a": with_and_without_forces,
    "4a": closer_and_cheaper_at_equal_size,
    "4b": cheaper_and_closer_at_equal_cost,
    "5a": readout_and_all,
    "6a": multi_headed_and_single_backbones,
    "7a": multi_headed_and_fine_tuned,
    "7b": three_heads_and_direct,
    "8a": mixed_and_direct_at_equal_cost,
}
"""Number and letter of a part → the runs that it compares."""


def _direct(runs: pd.DataFrame) -> pd.DataFrame:
    return runs[(runs["strategy"] == "direct") & (runs["trainable"] == "all")]


def _fine_tuned(runs: pd.DataFrame) -> pd.DataFrame:
    return runs[(runs["strategy"] == "fine-tuned") & (runs["trainable"] == "all")]


def _single(runs: pd.DataFrame) -> pd.DataFrame:
    return runs[runs["pre_method"] != ""]


def _is_among(pairs: pd.DataFrame) -> pd.Series:
    """Whether the control's pre-training set is one of the treatment's."""
    found = [
        one in {str(labels) for step in steps_of(several) for labels in step}
        for several, one in zip(pairs["pretraining_t"], pairs["pretraining_c"], strict=True)
    ]
    return pd.Series(found, index=pairs.index, dtype=bool)
