"""Run one stage: labels and parent in; checkpoint, result row, learning curve and errors out."""

import dataclasses
import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from mfscale.data import keys
from mfscale.models.headed import Batch
from mfscale.models.ladder import Kernels
from mfscale.models.trainable import trainable_part
from mfscale.study import Stage, of_stage
from mfscale.training import provenance, row
from mfscale.training.checkpoint import (
    History,
    load_potential,
    load_progress,
    save_potential,
    save_progress,
)
from mfscale.training.errors import TrainingError
from mfscale.training.evaluation import (
    CHUNK,
    Evaluation,
    Moment,
    Output,
    StructureErrors,
    nothing,
)
from mfscale.training.header import POTENTIAL, PROGRESS
from mfscale.training.initial import child_potential, root_potential
from mfscale.training.kernels import NoKernelsError, with_cuequivariance
from mfscale.training.labelled import labelled
from mfscale.training.loop import (
    CurvePoint,
    Hopeless,
    Outcome,
    Progress,
    Trainer,
    Validation,
    never,
    undisturbed,
)
from mfscale.training.loss import loss
from mfscale.training.potential import Potential, Predict, in_ev
from mfscale.training.samples import Order, Samples, make_samples
from mfscale.training.stage_code import StageCode

LOGGER = logging.getLogger("mfscale")
_EXAMPLES = 4
"""Batches that compiled code is made from and checked on."""


@dataclass(frozen=True)
class StageResult:
    """All that a stage leaves behind, as plain data for the results store."""

    row: dict[str, Any]
    curve: list[CurvePoint]
    errors: list[StructureErrors]


def run_stage(
    stage: Stage,
    *,
    checkpoint_dir: Callable[[str], Path],
    device: torch.device | None = None,
    checkpoint_every_s: float = 15.0,
    hopeless: Hopeless = never,
    interrupted: Callable[[], bool] = undisturbed,
    batch_parts: int = 1,
    compiled: bool = False,
    waits: bool = True,
    kernels: Kernels = "e3nn",
    saved: Callable[[Path], None] = lambda _: None,
) -> StageResult:
    """Train and evaluate `stage`, resuming where an earlier attempt was interrupted.

    The progress file stays until the caller, having published the row, discards it: a crash in
    between costs no training.

    Parameters
    ----------
    stage
        From an expanded study.
    checkpoint_dir
        Stage id → its folder; the parent's must hold a finished potential.
    device
        Where to train; the processor if not given.
    checkpoint_every_s
        At most this much training is lost in a crash.
    hopeless
        Of a tuning trial: whether to give up, given a step and the validation MAE (meV) there.
    interrupted
        Asked before each step: whether to save the progress and stop.
    batch_parts
        In how many parts a step goes over its batch, to take less memory. The step is the same, to
        rounding: this is no setting of the stage. Evaluation takes as many structures at once.
    compiled
        Whether to train with compiled code, which this process keeps for its next stage of the same
        kind; no setting of the stage either. Where that cannot be, it trains eagerly and logs why.
    waits
        Whether it waits for code that another process is just making, or trains eagerly instead.
    kernels
        What computes products of tensors; no setting of the stage. Where cuEquivariance cannot, or
        not rightly, e3nn does, and the row says why. What it computes is not compiled.
    saved
        Told each checkpoint file once it is written.

    Raises
    ------
    Interrupted
        If `interrupted` said so.
    TrainingError
        If the labels are not those the study was expanded with, or the parent cannot be read.
    """
    began = time.perf_counter()
    started_at = datetime.now(UTC)
    provenance.watch_memory(device or torch.device("cpu"))
    run = _Run(stage, checkpoint_dir, device or torch.device("cpu"), batch_parts, saved)
    if kernels == "cuequivariance":
        run.use_cuequivariance()
    if compiled and run.potential.kernels == "e3nn":
        run.code = StageCode(stage, run.potential, waits=waits)
    before, _ = run.evaluate("start", nothing if stage.parent_id is None else run.output())
    network = run.potential.network
    with trainable_part(network, stage.trainable, stage.heads, seed=stage.seed) as parameters:
        outcome = run.train(parameters, checkpoint_every_s, hopeless, interrupted)
    after: list[Evaluation] = []
    errors: list[StructureErrors] = []
    if outcome.stop_reason != "diverged":
        after, errors = run.evaluate("end", run.output())
        if stage.purpose == "science":  # nothing starts from a trial
            run.publish(outcome)
    baseline = run.baseline()
    found = {
        **of_stage(stage),
        **row.of_potential(run.potential, parameters, stage),
        **run.describe(outcome),
        "evaluations": [dataclasses.asdict(e) for e in (*baseline, *before, *after)],
        "warnings": [*row.warnings(baseline, before, outcome), *run.notes],
        **provenance.versions(),
        **provenance.conditions(run.device, started_at, began),
        "compile_mode": "inductor" if run.code else "eager",
        "kernels": run.potential.kernels,
        "batch_parts": batch_parts,
    }
    return StageResult(found, outcome.curve, errors)


class _Run:
    """A stage with its labels, parent and potential in place."""

    def __init__(
        self,
        stage: Stage,
        checkpoint_dir: Callable[[str], Path],
        device: torch.device,
        batch_parts: int,
        saved: Callable[[Path], None],
    ) -> None:
        self.stage = stage
        self.code: StageCode | None = None
        self.notes: list[str] = []
        self.saved = saved
        self.batch_parts = batch_parts
        self.chunk = CHUNK
        if batch_parts > 1:
            labels = sum(head.size for head in stage.heads.values())
            batch_size = min(stage.hyperparameters.batch_size, labels)
            self.chunk = min(CHUNK, math.ceil(batch_size / batch_parts))
        self.folder = checkpoint_dir(stage.id)
        self.device = device
        self.labelled = labelled(stage, device, self.chunk)
        self.sets = self.labelled.sets
        self.before = History(stage.id, 0, 0.0)
        if stage.parent_id is None:
            self.potential = root_potential(stage, self.sets, self.labelled.evaluator)
        else:
            path = checkpoint_dir(stage.parent_id) / POTENTIAL
            parent, self.before = _load_parent(path, stage.parent_id)
            parent.network.to(device)
            self.potential = child_potential(stage, self.sets, self.labelled.evaluator, parent)

    def use_cuequivariance(self) -> None:
        """Let cuEquivariance compute products of tensors, if it can."""
        try:
            self.potential = with_cuequivariance(self.potential, self.labelled.evaluator, self.sets)
        except NoKernelsError as error:
            self.notes.append(f"computed by e3nn and not by cuEquivariance: {error}")
            LOGGER.warning("stage %s is computed by e3nn (%s)", self.stage.id, error)

    def evaluate(
        self, moment: Moment, output: Output | None
    ) -> tuple[list[Evaluation], list[StructureErrors]]:
        evaluator = self.labelled.evaluator
        if self.stage.purpose == "tune":  # which never sees the test structures
            return evaluator.validate(self.potential, self.sets, moment, output), []
        return evaluator.evaluate(self.potential, self.sets, moment, output)

    def baseline(self) -> list[Evaluation]:
        """Errors of element offsets alone, on what this stage is evaluated on."""
        found = self.labelled.baseline()
        return [e for e in found if e.subset != "t"] if self.stage.purpose == "tune" else found

    def train(
        self,
        parameters: Sequence[nn.Parameter],
        checkpoint_every_s: float,
        hopeless: Hopeless,
        interrupted: Callable[[], bool],
    ) -> Outcome:
        stage, settings = self.stage, self.stage.hyperparameters
        training = self._samples({name: chosen.train for name, chosen in self.sets.items()})
        validation = self._samples({n: chosen.validation for n, chosen in self.sets.items()})
        order = Order(
            [len(chosen.train) for chosen in self.sets.values()],
            [head.sampling_ratio for head in stage.heads.values()],
            settings.batch_size,
            stage.seed,
        )

        def parts(step: int) -> list[Batch]:
            return training.parts(order(step), self.batch_parts)

        predict = self._predict(parts, forces=training.forces_ev_a is not None)
        trainer = Trainer(
            predict,
            parameters,
            settings,
            parts=parts,
            n_samples=order.n_samples,
            validate=self._scorer(validation, predict),
        )
        path = self.folder / PROGRESS
        progress = load_progress(path, stage.id)
        LOGGER.info("stage %s trains from step %d", stage.id, progress.step if progress else 0)

        def save(progress: Progress) -> None:
            save_progress(path, progress, stage.id)
            self.saved(path)

        return trainer.run(
            progress,
            save=save,
            save_every_s=checkpoint_every_s,
            hopeless=hopeless,
            interrupted=interrupted,
        )

    def publish(self, outcome: Outcome) -> None:
        """Leave the finished potential where children and exports find it."""
        path = self.folder / POTENTIAL
        save_potential(
            path,
            self.potential,
            History(
                self.stage.id,
                self.before.samples_seen + outcome.samples_seen,
                self.before.train_time_s + outcome.train_time_s,
            ),
        )
        self.saved(path)

    def describe(self, outcome: Outcome) -> dict[str, Any]:
        """The row's fields that only running the stage tells."""
        return {
            "status": "diverged" if outcome.stop_reason == "diverged" else "finished",
            "reason": "the loss became NaN or infinite"
            if outcome.stop_reason == "diverged"
            else None,
            "steps": outcome.steps,
            "steps_to_best": outcome.best_step,
            "samples_seen": outcome.samples_seen,
            "stop_reason": outcome.stop_reason,
            "converged": outcome.converged,
            "best_validation_loss": outcome.best_loss,
            "train_time_s": outcome.train_time_s,
            "total_samples_seen": self.before.samples_seen + outcome.samples_seen,
            "total_train_time_s": self.before.train_time_s + outcome.train_time_s,
            "structures_per_second": outcome.samples_seen / outcome.train_time_s,
        }

    def output(self) -> Output | None:
        """What computes the network's energies and forces as they are evaluated, if compiled."""
        if self.code is None or self.stage.purpose == "tune":  # which evaluates few structures
            return None
        return self.code.evaluation(self.labelled.evaluator, self.sets)

    def _predict(self, parts: Callable[[int], list[Batch]], *, forces: bool) -> Predict:
        """What predicts energies and forces in training; compiled, if so asked and it can be."""
        network = self.potential.network
        if self.code is not None:
            examples = [parts(step)[0] for step in range(_EXAMPLES)]
            predict = self.code.training(examples, forces=forces)
            if predict is not None:
                return predict
            self.code = None
        return lambda batch: in_ev(network, batch, forces=forces, create_graph=True)

    def _samples(self, chosen: Mapping[str, np.ndarray[Any, np.dtype[np.int64]]]) -> Samples:
        heads = {
            name: (self.stage.heads[name], self.sets[name], structures)
            for name, structures in chosen.items()
        }
        return make_samples(
            self.labelled.dataset, self.labelled.graphs, self.potential, heads, self.device
        )

    def _scorer(self, samples: Samples, predict: Predict) -> Callable[[], Validation]:
        """What scores the network as it stands on `samples`, whose batches are made once.

        Code leaves out what only gradients by weights need. Of energies alone, compiled code is the
        training's own, as that of evaluation computes forces too.
        """
        every = np.arange(len(samples))
        whole = samples.batch(every)
        parts = [whole]
        if len(samples) > self.chunk:
            cuts = range(self.chunk, len(samples), self.chunk)
            parts = [samples.batch(chosen) for chosen in np.split(every, cuts)]
        network, forces = self.potential.network, samples.forces_ev_a is not None
        if self.code is None:

            def predict(batch: Batch) -> tuple[Tensor, Tensor | None]:
                return in_ev(network, batch, forces=forces, create_graph=False)

        elif forces and self.stage.purpose != "tune":  # which needs no code for evaluation
            predict = self.code.inference(self.labelled.evaluator, self.sets) or predict

        return lambda: self._validate(whole, parts, predict, forces=forces)

    def _validate(
        self, whole: Batch, parts: Sequence[Batch], predict: Predict, *, forces: bool
    ) -> Validation:
        with torch.set_grad_enabled(forces):
            outputs = [_detached(predict(part)) for part in parts]  # before the next is predicted
        energy = torch.cat([e for e, _ in outputs])
        force = torch.cat([f for _, f in outputs if f is not None]) if forces else None
        value = float(loss(energy, force, whole, self.stage.hyperparameters))
        miss = (energy - whole[keys.ENERGY]).abs().mean()
        force_miss = None if force is None else (force - whole[keys.FORCES]).abs().nanmean()
        return Validation(
            value, float(1e3 * miss), None if force_miss is None else float(1e3 * force_miss)
        )


def _detached(found: tuple[Tensor, Tensor | None]) -> tuple[Tensor, Tensor | None]:
    energy, forces = found
    return energy.detach(), None if forces is None else forces.detach()


def _load_parent(path: Path, stage_id: str) -> tuple[Potential, History]:
    try:
        parent, history = load_potential(path)
        if history.stage_id != stage_id:
            raise TrainingError(f"{path}: is the model of stage {history.stage_id}")
    except TrainingError as error:
        raise TrainingError(
            f"the model of the parent cannot be read ({error}); delete that file or restore it, "
            "and run the study again, which trains a parent again whose model is gone"
        ) from None
    return parent, history
