"""Numbers of parameters of models, foretold without building one."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from mfscale.cli._runs import Run
from mfscale.models import LADDER

if TYPE_CHECKING:
    import pandas as pd

    from mfscale.study import Stage


def model_of(stage: "Stage", *, sized: bool) -> str:
    """The model of a stage, with its size or of any size, as something to compare."""
    return stage.model.model_dump_json(exclude=None if sized else {"size", "settings"})


def parameters_foretold(
    frame: "pd.DataFrame", runs: Sequence[Run]
) -> Callable[[Run], float | None]:
    """Parameters of the model that a run leaves; None where nothing tells.

    As finished stages in `frame` have it whose runs are alike in dataset, model, heads and trained
    parts. Of a size that none has: as the ladder has it, if the ladder is right for all finished
    ones that are alike but for their size (it counts for one head and four elements).
    """
    counted = frame.set_index("stage_id")["n_parameters"].to_dict()
    known: dict[object, dict[str, float]] = {}
    for run in runs:
        if run.last.id in counted:
            known.setdefault(_kind(run), {})[run.last.model.size] = float(counted[run.last.id])

    def foretold(run: Run) -> float | None:
        alike, model = known.get(_kind(run), {}), run.last.model
        if model.size in alike:
            return alike[model.size]
        ladder = LADDER.get(model.architecture, {})
        holds = all(s in ladder and ladder[s].n_parameters == n for s, n in alike.items())
        if alike and holds and model.size in ladder:
            return float(ladder[model.size].n_parameters)
        return None

    return foretold


def _kind(run: Run) -> tuple[object, ...]:
    stages = run.stages
    return (
        run.last.dataset,
        model_of(run.last, sized=False),
        len(run.last.carried),
        tuple(stage.trainable for stage in stages),
    )
