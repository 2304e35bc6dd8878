"""What a result row says of a stage's potential, and of what its reader should know."""

from collections.abc import Sequence
from typing import Any

from torch import nn

from mfscale.study import Stage
from mfscale.training.evaluation import Evaluation
from mfscale.training.loop import Outcome
from mfscale.training.potential import Potential


def of_potential(
    potential: Potential, parameters: Sequence[nn.Parameter], stage: Stage
) -> dict[str, Any]:
    """The row's fields that the potential alone tells; `parameters` are those that learn."""
    heads = potential.heads
    scales = {name: head.energy_scale_ev for name, head in heads.items()}
    return {
        "n_parameters": sum(p.numel() for p in potential.network.parameters()),
        "n_trainable": sum(p.numel() for p in parameters),
        "offsets": [
            {"head": name, "element": element, "offset_ev": float(value)}
            for name, head in heads.items()
            for element, value in zip(potential.elements, head.offsets_ev, strict=True)
        ],
        "kept_heads": [{"name": name, "method": heads[name].method} for name in stage.kept],
        "energy_scale_ev": next(iter(scales.values())) if len(scales) == 1 else None,
        "scales": [{"head": name, "energy_scale_ev": scale} for name, scale in scales.items()],
        "mean_neighbours": potential.mean_neighbours,
    }


def warnings(baseline: list[Evaluation], start: list[Evaluation], outcome: Outcome) -> list[str]:
    """What a reader of the row should know.

    A head that starts worse than offsets alone probably has wrong offsets; a stage that validation
    never improved ends where it began.
    """
    found = worse_than_offsets(baseline, start)
    if outcome.best_step == 0 and outcome.stop_reason != "diverged":
        found.append(
            "training brought nothing: no validation was better than the one before the first "
            "step; try a lower learning_rate or a smaller validate_every"
        )
    return found


def worse_than_offsets(baseline: list[Evaluation], start: list[Evaluation]) -> list[str]:
    """A warning for each head whose first errors are above those of element offsets alone."""
    offset_only = {
        (e.head, e.method): e.value
        for e in baseline
        if (e.subset, e.metric, e.unit) == ("t", "energy_mae", "meV")
    }
    return [
        f"head {e.head} starts at {e.value:.0f} meV, worse than element offsets alone "
        f"({limit:.0f} meV): does it inherit the right head, and are its labels right?"
        for e in start
        if (e.subset, e.metric, e.unit) == ("t", "energy_mae", "meV")
        and (limit := offset_only.get((e.head, e.method))) is not None
        and e.value > limit * (1 + 1e-6)
    ]
