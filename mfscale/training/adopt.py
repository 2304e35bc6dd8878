"""A model that was trained elsewhere as a finished stage: checked, evaluated, published."""

import dataclasses
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import torch

from mfscale.models.trainable import trainable_part
from mfscale.study import Stage, of_stage
from mfscale.training import provenance, row
from mfscale.training.checkpoint import History, load_potential, save_potential
from mfscale.training.errors import TrainingError
from mfscale.training.header import POTENTIAL
from mfscale.training.labelled import labelled
from mfscale.training.potential import Potential
from mfscale.training.run import StageResult


def adopt_stage(
    stage: Stage, source: Path, *, checkpoint_dir: Callable[[str], Path]
) -> StageResult:
    """Evaluate the model of a file as a finished stage would be, and leave it as the stage's.

    No training takes place: the errors before and after are the same, ``stop_reason`` is
    ``adopted``, and what only training tells (steps, samples, curve, convergence) is null or empty.
    What the model has cost is what its file says.

    Parameters
    ----------
    stage
        From an expanded study.
    source
        A file that ``mfscale export`` wrote, or a model in another store.
    checkpoint_dir
        Stage id → its folder.

    Raises
    ------
    TrainingError
        If the file cannot be used, the model does not fit the stage, or the labels are not those
        the study was expanded with.
    """
    began, started_at, device = time.perf_counter(), datetime.now(UTC), torch.device("cpu")
    potential, history = load_potential(source)
    potential.network.to(device)
    there = labelled(stage, device)
    _require_fit(stage, potential, there.dataset.elements, source)
    start, errors = there.evaluator.evaluate(potential, there.sets, "start")
    end = [dataclasses.replace(e, moment="end") for e in start]
    baseline = there.baseline()
    network = potential.network
    with trainable_part(network, stage.trainable, stage.heads, seed=stage.seed) as learned:
        parameters = learned
    adopted = f"adopted from {source}, the model of stage {history.stage_id}; not trained here"
    found = {
        **of_stage(stage),
        **row.of_potential(potential, parameters, stage),
        "status": "finished",
        "stop_reason": "adopted",
        "total_samples_seen": history.samples_seen,
        "total_train_time_s": history.train_time_s,
        "evaluations": [dataclasses.asdict(e) for e in (*baseline, *start, *end)],
        "warnings": [adopted, *row.worse_than_offsets(baseline, start)],
        **provenance.versions(),
        **provenance.conditions(device, started_at, began),
    }
    save_potential(
        checkpoint_dir(stage.id) / POTENTIAL,
        potential,
        History(stage.id, history.samples_seen, history.train_time_s),
    )
    return StageResult(found, [], errors)


def _require_fit(stage: Stage, potential: Potential, elements: Sequence[str], source: Path) -> None:
    spec, wanted = potential.spec, stage.model
    methods = {name: head.method for name, head in potential.heads.items()}
    learned = {name: head.method for name, head in stage.heads.items()}
    compared: list[tuple[str, object, object]] = [
        (name, getattr(spec, name), getattr(wanted, name))
        for name in ("architecture", "dtype", "cutoff_a")
    ]
    compared += [
        (name, spec.settings.get(name), wanted.settings.get(name))
        for name in sorted({*spec.settings, *wanted.settings})
    ]
    compared += [
        ("elements", " ".join(potential.elements), " ".join(elements)),
        ("heads", " ".join(sorted(methods)), " ".join(sorted(stage.carried))),
    ]
    compared += [(f"method of {name}", methods.get(name), m) for name, m in learned.items()]
    for name, found, needed in compared:
        if found != needed:
            raise TrainingError(
                f"{source} does not fit stage {stage.id}: {name} is {found}, the stage has "
                f"{needed}; give the model of another stage"
            )
