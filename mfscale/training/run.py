"""Run one stage: labels and parent in; checkpoint, result row, learning curve and errors out."""

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mfscale.data import Dataset, Graphs, LabelledSet, keys, neighbour_graphs, open_dataset
from mfscale.models.headed import Batch, set_trainable
from mfscale.study import Stage
from mfscale.training import provenance, row
from mfscale.training.checkpoint import (
    POTENTIAL,
    PROGRESS,
    History,
    load_potential,
    load_progress,
    save_potential,
    save_progress,
)
from mfscale.training.errors import TrainingError
from mfscale.training.evaluation import CHUNK, Evaluation, Evaluator, Moment, StructureError
from mfscale.training.initial import child_potential, root_potential
from mfscale.training.loop import CurvePoint, Outcome, Trainer, Validation
from mfscale.training.loss import loss
from mfscale.training.potential import Potential, in_ev
from mfscale.training.samples import Order, Samples, make_samples


@dataclass(frozen=True)
class StageResult:
    """All that a stage leaves behind, as plain data for the results store."""

    row: dict[str, Any]
    curve: list[CurvePoint]
    errors: list[StructureError]


def run_stage(
    stage: Stage,
    *,
    checkpoint_dir: Callable[[str], Path],
    device: torch.device | None = None,
    checkpoint_every_s: float = 15.0,
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

    Raises
    ------
    TrainingError
        If the labels are not those the study was expanded with, or the parent cannot be read.
    """
    began = time.perf_counter()
    started_at = datetime.now(UTC)
    run = _Run(stage, checkpoint_dir, device or torch.device("cpu"))
    before, _ = run.evaluate("start")
    outcome = run.train(checkpoint_every_s)
    after: list[Evaluation] = []
    errors: list[StructureError] = []
    if outcome.stop_reason != "diverged":
        after, errors = run.evaluate("end")
        run.publish(outcome)
    baseline = run.baseline()
    found = {
        **row.of_stage(stage),
        **run.describe(outcome),
        **provenance.versions(),
        "evaluations": [dataclasses.asdict(e) for e in (*baseline, *before, *after)],
        "warnings": row.warnings(baseline, before, outcome),
        "device": provenance.device_name(run.device),
        "compile_mode": "eager",
        "n_threads": torch.get_num_threads(),
        "started_at": started_at,
        "wall_time_s": time.perf_counter() - began,
        "peak_memory_mb": provenance.peak_memory_mb(),
    }
    return StageResult(found, outcome.curve, errors)


class _Run:
    """A stage with its labels, parent and potential in place."""

    def __init__(
        self, stage: Stage, checkpoint_dir: Callable[[str], Path], device: torch.device
    ) -> None:
        self.stage = stage
        self.folder = checkpoint_dir(stage.id)
        self.device = device
        self.dataset = _dataset(stage.dataset)
        self.graphs = _graphs(stage.dataset, stage.model.cutoff_a)
        self.sets = {name: _labelled_set(self.dataset, stage, name) for name in stage.heads}
        self.evaluator = Evaluator(self.dataset, self.graphs, stage.split, device)
        self.before = History(stage.id, 0, 0.0)
        if stage.parent_id is None:
            self.potential = root_potential(stage, self.sets, self.evaluator)
        else:
            parent, self.before = _load_parent(checkpoint_dir(stage.parent_id) / POTENTIAL)
            parent.network.to(device)
            self.potential = child_potential(stage, self.sets, self.evaluator, parent)
        self.parameters = set_trainable(self.potential.network, stage.trainable, stage.heads)

    def evaluate(self, moment: Moment) -> tuple[list[Evaluation], list[StructureError]]:
        return self.evaluator.evaluate(self.potential, self.sets, moment)

    def baseline(self) -> list[Evaluation]:
        return [
            e for head, chosen in self.sets.items() for e in self.evaluator.baseline(head, chosen)
        ]

    def train(self, checkpoint_every_s: float) -> Outcome:
        stage, settings = self.stage, self.stage.hyperparameters
        training = self._samples({name: chosen.train for name, chosen in self.sets.items()})
        validation = self._samples({n: chosen.validation for n, chosen in self.sets.items()})
        order = Order(
            [len(chosen.train) for chosen in self.sets.values()],
            [head.sampling_ratio for head in stage.heads.values()],
            settings.batch_size,
            stage.seed,
        )
        trainer = Trainer(
            self.potential.network,
            self.parameters,
            settings,
            forces=training.forces_ev_a is not None,
            batch=lambda step: training.batch(order(step)),
            n_samples=order.n_samples,
            validate=self._scorer(validation),
        )
        path = self.folder / PROGRESS
        return trainer.run(
            load_progress(path, stage.id),
            save=lambda progress: save_progress(path, progress, stage.id),
            save_every_s=checkpoint_every_s,
        )

    def publish(self, outcome: Outcome) -> None:
        """Leave the finished potential where children and exports find it."""
        save_potential(
            self.folder / POTENTIAL,
            self.potential,
            History(
                self.stage.id,
                self.before.samples_seen + outcome.samples_seen,
                self.before.train_time_s + outcome.train_time_s,
            ),
        )

    def describe(self, outcome: Outcome) -> dict[str, Any]:
        """The row's fields that only running the stage tells."""
        potential = self.potential
        return {
            "status": "diverged" if outcome.stop_reason == "diverged" else "finished",
            "reason": "the loss became NaN or infinite"
            if outcome.stop_reason == "diverged"
            else None,
            "n_parameters": sum(p.numel() for p in potential.network.parameters()),
            "n_trainable": sum(p.numel() for p in self.parameters),
            "offsets": [
                {"head": name, "element": element, "offset_ev": float(value)}
                for name, head in potential.heads.items()
                for element, value in zip(potential.elements, head.offsets_ev, strict=True)
            ],
            "kept_heads": [
                {"name": name, "method": potential.heads[name].method} for name in self.stage.kept
            ],
            "energy_scale_ev": _only([h.energy_scale_ev for h in potential.heads.values()]),
            "scales": [
                {"head": name, "energy_scale_ev": head.energy_scale_ev}
                for name, head in potential.heads.items()
            ],
            "mean_neighbours": potential.mean_neighbours,
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

    def _samples(self, chosen: Mapping[str, np.ndarray[Any, np.dtype[np.int64]]]) -> Samples:
        heads = {
            name: (self.stage.heads[name], self.sets[name], structures)
            for name, structures in chosen.items()
        }
        return make_samples(self.dataset, self.graphs, self.potential, heads, self.device)

    def _scorer(self, samples: Samples) -> Callable[[], Validation]:
        """What scores the network as it stands on `samples`, whose batches are made once."""
        every = np.arange(len(samples))
        whole = samples.batch(every)
        parts = [whole]
        if len(samples) > CHUNK:
            cuts = range(CHUNK, len(samples), CHUNK)
            parts = [samples.batch(chosen) for chosen in np.split(every, cuts)]
        forces = samples.forces_ev_a is not None
        return lambda: self._validate(whole, parts, forces=forces)

    def _validate(self, whole: Batch, parts: Sequence[Batch], *, forces: bool) -> Validation:
        network = self.potential.network
        with torch.set_grad_enabled(forces):
            outputs = [in_ev(network, part, forces=forces, create_graph=False) for part in parts]
        energy = torch.cat([e.detach() for e, _ in outputs])
        force = torch.cat([f for _, f in outputs if f is not None]) if forces else None
        value = float(loss(energy, force, whole, self.stage.hyperparameters))
        miss = (energy - whole[keys.ENERGY]).abs().mean()
        force_miss = None if force is None else (force - whole[keys.FORCES]).abs().nanmean()
        return Validation(
            value, float(1e3 * miss), None if force_miss is None else float(1e3 * force_miss)
        )


def _only(values: Sequence[float]) -> float | None:
    return values[0] if len(values) == 1 else None


def _labelled_set(dataset: Dataset, stage: Stage, name: str) -> LabelledSet:
    """The labels of one head, checked to be those the study was expanded with."""
    head = stage.heads[name]
    chosen = dataset.labelled_set(
        head.method,
        head.subset,
        head.size,
        forces=head.forces,
        data_seed=stage.data_seed,
        split=stage.split,
        n_validation=head.n_validation,
    )
    if chosen.digest != head.digest:
        raise TrainingError(
            f"dataset {stage.dataset!r} here holds other labels for ({head.method}; {head.subset}; "
            f"{head.size}) than where the study was planned; bring the same dataset to every node"
        )
    return chosen


@lru_cache(maxsize=4)
def _dataset(name: str) -> Dataset:
    return open_dataset(name)


@lru_cache(maxsize=8)
def _graphs(name: str, cutoff_a: float) -> Graphs:
    return neighbour_graphs(_dataset(name), cutoff_a)


def _load_parent(path: Path) -> tuple[Potential, History]:
    try:
        return load_potential(path)
    except TrainingError as error:
        raise TrainingError(
            f"the parent's model is not where its row says ({error}); restore the checkpoints "
            "folder of the store, or run the study into a new store"
        ) from None
