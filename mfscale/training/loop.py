"""The training loop: steps, moving average, validation, early stopping, resumption."""

import contextlib
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor, nn

from mfscale.models.headed import Batch
from mfscale.study import Hyperparameters
from mfscale.training.errors import Interrupted
from mfscale.training.loss import labels_of, loss
from mfscale.training.potential import Predict
from mfscale.training.schedule import ema_decay, learning_rate

StopReason = Literal["plateau", "cap", "diverged", "pruned"]
Hopeless = Callable[[int, float], bool]
"""Whether to give up, given a step and the validation MAE of the energies (meV) there."""

FLAT = 0.01
"""Improvement of the validation loss over the last quarter of a run below which it converged."""
ENOUGH = 8
"""Validations below which nothing is said to have converged at the cap."""


def never(_step: int, _error_mev: float) -> bool:
    """Give nothing up."""
    return False


def undisturbed() -> bool:
    """Stop for nobody."""
    return False


@dataclass(frozen=True)
class Validation:
    """What the reserved labels say of the averaged weights."""

    loss: float
    energy_mae_mev: float
    forces_mae_mev_a: float | None


@dataclass(frozen=True)
class CurvePoint:
    """One validation in a learning curve; `train_loss` is the mean since the one before."""

    step: int
    epoch: float
    learning_rate: float
    train_loss: float | None
    validation_loss: float
    validation_energy_mae_mev: float
    validation_forces_mae_mev_per_a: float | None
    elapsed_s: float
    structures_per_second: float | None


@dataclass
class Progress:
    """All that a run needs to go on as if never interrupted.

    Attributes
    ----------
    weights, average, best
        Tensors of the trainable parameters: current, moving average, best moving average.
    optimizer
        Adam's moments, per parameter.
    loss_sum
        Of the training losses since the last validation.
    """

    weights: list[Tensor]
    average: list[Tensor]
    best: list[Tensor]
    optimizer: list[dict[str, Tensor]]
    step: int = 0
    best_step: int = 0
    best_loss: float = float("inf")
    stale: int = 0
    elapsed_s: float = 0.0
    loss_sum: float = 0.0
    curve: list[CurvePoint] = field(default_factory=list)


@dataclass(frozen=True)
class Outcome:
    """How a run ended; the network holds the best averaged weights."""

    stop_reason: StopReason
    converged: bool
    steps: int
    best_step: int
    best_loss: float
    samples_seen: int
    train_time_s: float
    curve: list[CurvePoint]


class Trainer:
    """Trains parameters of a network on batches, from a `Progress` or from the start.

    Every strategy trains until its validation loss stops improving, under the same cap of steps.
    Validation, reports and children use the moving average of the weights at its best validation.

    Parameters
    ----------
    predict
        The network's energies and forces of a batch; forces where any label has some: without, no
        second derivative is taken.
    parameters
        The trainable ones, trained in place.
    settings
        Hyperparameters.
    parts
        Step (0-based) → its labelled batch, in one part or several, whose gradients add up to the
        whole's and take the memory of one part; a function of the step alone, so that resuming
        replays it.
    n_samples
        Labelled structures in an epoch.
    validate
        Scores the network as it stands.
    """

    def __init__(
        self,
        predict: Predict,
        parameters: Sequence[nn.Parameter],
        settings: Hyperparameters,
        *,
        parts: Callable[[int], Sequence[Batch]],
        n_samples: int,
        validate: Callable[[], Validation],
    ) -> None:
        self.predict = predict
        self.parameters: list[Tensor] = list(parameters)
        self.settings = settings
        self.parts = parts
        self.n_samples = n_samples
        self.batch_size = min(settings.batch_size, n_samples)
        self.validate = validate
        self.optimizer = torch.optim.AdamW(
            self.parameters, lr=1.0, weight_decay=settings.weight_decay, fused=True
        )

    def run(
        self,
        progress: Progress | None,
        *,
        save: Callable[[Progress], None],
        save_every_s: float,
        hopeless: Hopeless = never,
        interrupted: Callable[[], bool] = undisturbed,
    ) -> Outcome:
        """Train to the end, calling `save` before the first step after each `save_every_s` seconds.

        `hopeless` is asked after each validation, `interrupted` before each step: if so, the
        progress is saved and `Interrupted` raised.
        """
        began = saved_s = time.perf_counter()
        now = self._restored(progress) if progress else self._started()
        before_s, saved_step, asked = now.elapsed_s, now.step, False

        def pause() -> bool:
            nonlocal asked
            asked = interrupted()
            return asked or (
                now.step > saved_step and time.perf_counter() - saved_s >= save_every_s
            )

        stop = self._stop(now)
        while stop is None:
            mean_loss = self._train_until_validation(now, pause)
            now.elapsed_s = before_s + time.perf_counter() - began
            if mean_loss is None:
                save(self._snapshot(now))
                if asked:
                    raise Interrupted(
                        f"stopped at step {now.step}, as asked; it goes on from there"
                    )
                saved_s, saved_step = time.perf_counter(), now.step
                continue
            self._record(now, mean_loss)
            stop = self._stop(now)
            if stop is None and hopeless(now.step, now.curve[-1].validation_energy_mae_mev):
                stop = "pruned"
        _load(self.parameters, now.best)
        self.optimizer.zero_grad()  # the network is kept, and its gradients would be
        return Outcome(
            stop_reason=stop,
            converged=stop == "plateau" or (stop == "cap" and _flat(now)),
            steps=now.step,
            best_step=now.best_step,
            best_loss=now.best_loss,
            samples_seen=now.step * self.batch_size,
            train_time_s=before_s + time.perf_counter() - began,
            curve=now.curve,
        )

    def _started(self) -> Progress:
        weights = [p.detach().clone() for p in self.parameters]
        progress = Progress(
            weights=weights,
            average=[w.clone() for w in weights],
            best=[w.clone() for w in weights],
            optimizer=[],
        )
        self._record(progress, mean_loss=None)
        return progress

    def _restored(self, progress: Progress) -> Progress:
        """Go on from `progress`, wherever its tensors lie: a file's are on the processor."""
        device = self.parameters[0].device
        _load(self.parameters, progress.weights)
        progress.average = [tensor.to(device) for tensor in progress.average]
        progress.best = [tensor.to(device) for tensor in progress.best]
        for parameter, moments in zip(self.parameters, progress.optimizer, strict=True):
            self.optimizer.state[parameter] = {k: v.to(device) for k, v in moments.items()}
        return progress

    def _snapshot(self, progress: Progress) -> Progress:
        progress.weights = [p.detach().clone() for p in self.parameters]
        progress.optimizer = [dict(self.optimizer.state[p]) for p in self.parameters]
        return progress

    def _train_until_validation(
        self, progress: Progress, pause: Callable[[], bool]
    ) -> float | None:
        """Step to the next validation; the mean training loss since the last, None if it paused.

        A run that diverges does not pause: it ends at the validation.
        """
        every = self.settings.validate_every
        end = min(self.settings.max_steps, (progress.step // every + 1) * every)
        device = self.parameters[0].device
        total = torch.tensor(progress.loss_sum, dtype=torch.float64, device=device)
        while progress.step < end:
            if pause() and math.isfinite(so_far := float(total)):
                progress.loss_sum = so_far
                return None
            total += self._step(progress.step)
            with torch.no_grad():
                towards = 1 - ema_decay(progress.step, self.settings)
                torch._foreach_lerp_(progress.average, self.parameters, towards)
            progress.step += 1
        progress.loss_sum = 0.0
        return float(total) / (end - progress.curve[-1].step)

    def _step(self, step: int) -> Tensor:
        parts = self.parts(step)
        whole = labels_of(parts)
        self.optimizer.zero_grad()
        losses = []
        for part in parts:
            energy, forces = self.predict(part)
            value = loss(energy, forces, part, self.settings, of=whole)
            value.backward()  # type: ignore[no-untyped-call]
            losses.append(value.detach())
        nn.utils.clip_grad_norm_(self.parameters, self.settings.max_gradient_norm)
        self.optimizer.param_groups[0]["lr"] = learning_rate(step, self.settings)
        self.optimizer.step()
        return torch.stack(losses).sum()

    def _record(self, progress: Progress, mean_loss: float | None) -> None:
        with _swapped(self.parameters, progress.average):
            score = self.validate()
        seen = progress.step * self.batch_size
        progress.curve.append(
            CurvePoint(
                step=progress.step,
                epoch=seen / self.n_samples,
                learning_rate=learning_rate(progress.step, self.settings),
                train_loss=mean_loss,
                validation_loss=score.loss,
                validation_energy_mae_mev=score.energy_mae_mev,
                validation_forces_mae_mev_per_a=score.forces_mae_mev_a,
                elapsed_s=progress.elapsed_s,
                structures_per_second=seen / progress.elapsed_s if progress.elapsed_s else None,
            )
        )
        if score.loss < progress.best_loss:
            progress.best_loss, progress.best_step, progress.stale = score.loss, progress.step, 0
            progress.best = [tensor.clone() for tensor in progress.average]
        else:
            progress.stale += 1

    def _stop(self, progress: Progress) -> StopReason | None:
        last = progress.curve[-1]
        losses = [last.validation_loss, 0.0 if last.train_loss is None else last.train_loss]
        if not all(abs(value) < float("inf") for value in losses):
            return "diverged"
        if progress.stale >= self.settings.patience:
            return "plateau"
        return "cap" if progress.step >= self.settings.max_steps else None


def _flat(progress: Progress) -> bool:
    """Whether the best validation loss hardly fell over the last quarter of the steps.

    A handful of validations cannot tell: training may not have begun to act.
    """
    if len(progress.curve) < ENOUGH:
        return False
    early = [c.validation_loss for c in progress.curve if c.step <= 0.75 * progress.step]
    return min(early) - progress.best_loss <= FLAT * min(early)


def _load(parameters: Sequence[Tensor], values: Sequence[Tensor]) -> None:
    with torch.no_grad():
        for parameter, value in zip(parameters, values, strict=True):
            parameter.copy_(value)


@contextlib.contextmanager
def _swapped(parameters: Sequence[Tensor], values: Sequence[Tensor]) -> Iterator[None]:
    kept = [p.detach().clone() for p in parameters]
    _load(parameters, values)
    try:
        yield
    finally:
        _load(parameters, kept)
