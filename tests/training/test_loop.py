"""The loop: what is averaged, what is kept, when it stops, and how it goes on after a stop."""

import dataclasses
import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ase.build import molecule
from torch import Tensor, nn

from mfscale.data import keys
from mfscale.models import LADDER
from mfscale.models.build import build
from mfscale.models.headed import Batch, HeadedModel
from mfscale.models.trainable import trainable_part
from mfscale.study import Hyperparameters
from mfscale.training.checkpoint import load_progress, save_progress
from mfscale.training.loop import Outcome, Progress, Trainer, Validation
from mfscale.training.loss import loss
from mfscale.training.potential import in_ev
from mfscale.training.schedule import ema_decay

SETTINGS = Hyperparameters(
    learning_rate=0.03, warmup_steps=2, max_steps=12, validate_every=3, patience=50
)
WATER = molecule("H2O").positions


class InterruptedRunError(Exception):
    """Stands for whatever ends a process."""


def batch(step: int) -> Batch:
    """Two distorted waters with labels that a step determines."""
    rng = np.random.default_rng(step)
    pairs = np.argwhere(~np.eye(3, dtype=bool)).T
    return {
        keys.POSITIONS: torch.from_numpy(np.tile(WATER, (2, 1)) + rng.normal(0, 0.1, (6, 3))),
        keys.SPECIES: torch.tensor([1, 0, 0] * 2),
        keys.EDGE_INDEX: torch.from_numpy(np.concatenate([pairs, pairs + 3], axis=1)),
        keys.STRUCTURE: torch.tensor([0, 0, 0, 1, 1, 1]),
        keys.N_ATOMS: torch.tensor([3, 3]),
        keys.HEAD: torch.zeros(2, dtype=torch.int64),
        keys.WEIGHT: torch.ones(2),
        keys.SCALE: torch.ones(2),
        keys.ENERGY: torch.from_numpy(rng.normal(0, 0.3, 2)).float(),
        keys.FORCES: torch.from_numpy(rng.normal(0, 1, (6, 3))).float(),
    }


def network(seed: int = 0) -> HeadedModel:
    return build(
        "nequip",
        LADDER["nequip"]["tiny"].settings,
        elements=("H", "O"),
        heads=("dft",),
        dtype=torch.float32,
        cutoff_a=5.0,
        seed=seed,
    )


def trainer(
    model: HeadedModel,
    settings: Hyperparameters = SETTINGS,
    *,
    parameters: Sequence[nn.Parameter] | None = None,
    on_batch: Callable[[int], object] = lambda _: None,
    losses: Sequence[float] | None = None,
) -> Trainer:
    """Train all or some parameters; validation losses are computed, or read from a list."""
    scripted: Iterator[float] | None = iter(losses) if losses is not None else None

    def validate() -> Validation:
        if scripted is not None:
            return Validation(next(scripted), 0.0, None)
        held_out = batch(1000)
        with torch.no_grad():
            value = loss(model(held_out), None, held_out, settings)
        return Validation(value.item(), 0.0, None)

    def labelled(step: int) -> list[Batch]:
        on_batch(step)
        return [batch(step)]

    return Trainer(
        lambda batch: in_ev(model, batch, forces=True, create_graph=True),
        [p for p in model.parameters() if p.numel()] if parameters is None else parameters,
        settings,
        parts=labelled,
        n_samples=8,
        validate=validate,
    )


def finish(
    chosen: Trainer,
    progress: Progress | None = None,
    save: Callable[[Progress], object] | None = None,
) -> Outcome:
    """Train, saving before every step if anything is to be saved."""
    if save is None:
        return chosen.run(progress, save=lambda _: None, save_every_s=math.inf)
    return chosen.run(progress, save=save, save_every_s=0.0)


def weights(model: HeadedModel) -> list[Tensor]:
    return [p.detach().clone() for p in model.parameters() if p.numel()]


def reproducible(outcome: Outcome) -> dict[str, Any]:
    fields = dataclasses.asdict(outcome)
    del fields["train_time_s"]
    for point in fields["curve"]:
        del point["elapsed_s"], point["structures_per_second"]
    return fields


def finish_part(
    model: HeadedModel,
    trainable: str,
    progress: Progress | None = None,
    save: Callable[[Progress], object] | None = None,
    on_batch: Callable[[int], object] = lambda _: None,
) -> Outcome:
    with trainable_part(model, trainable, model.heads, seed=0) as parameters:
        return finish(trainer(model, parameters=parameters, on_batch=on_batch), progress, save)


@pytest.mark.parametrize("trainable", ["all", "readout", "freeze_blocks:1", "lora:2"])
@pytest.mark.parametrize("saves", [1, 3, 8])
def test_a_run_goes_on_as_if_never_interrupted(tmp_path: Path, trainable: str, saves: int) -> None:
    """From a validation, every third step, and from between two."""
    whole = network()
    expected = finish_part(whole, trainable)
    path = tmp_path / "progress.safetensors"
    done = 0

    def save(progress: Progress) -> None:
        nonlocal done
        save_progress(path, progress, "stage")
        done += 1
        if done == saves:
            raise InterruptedRunError

    with pytest.raises(InterruptedRunError):
        finish_part(network(), trainable, save=save)
    resumed, steps = network(), []
    outcome = finish_part(resumed, trainable, load_progress(path, "stage"), on_batch=steps.append)
    assert steps == list(range(saves, 12))
    assert reproducible(outcome) == reproducible(expected)
    assert all(map(torch.equal, weights(resumed), weights(whole)))


def test_a_run_that_goes_on_remembers_its_best(tmp_path: Path) -> None:
    path = tmp_path / "progress.safetensors"
    losses = [5.0, 1.0, 3.0, 2.0, 9.0]
    whole, resumed = network(), network()
    finish(
        trainer(whole, losses=losses),
        save=lambda progress: save_progress(path, progress, "stage"),
    )
    outcome = finish(trainer(resumed, losses=losses[4:]), load_progress(path, "stage"))
    assert (outcome.best_step, outcome.best_loss) == (3, 1.0)
    assert all(map(torch.equal, weights(resumed), weights(whole)))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_run_goes_on_on_a_gpu(tmp_path: Path) -> None:
    path = tmp_path / "progress.safetensors"
    finish(trainer(network()), save=lambda progress: save_progress(path, progress, "stage"))
    model = network().to("cuda")
    progress = load_progress(path, "stage")
    assert progress is not None
    chosen = trainer(model, losses=[0.0])
    chosen.parts = lambda step: [{key: value.to("cuda") for key, value in batch(step).items()}]
    assert finish(chosen, progress).steps == 12


def test_progress_of_another_stage_or_damaged_is_no_progress(tmp_path: Path) -> None:
    path = tmp_path / "progress.safetensors"
    assert load_progress(path, "stage") is None
    finish(trainer(network()), save=lambda progress: save_progress(path, progress, "stage"))
    assert load_progress(path, "stage") is not None
    assert load_progress(path, "another") is None
    path.write_bytes(path.read_bytes()[:-1])
    assert load_progress(path, "stage") is None


@pytest.mark.parametrize(
    ("losses", "best"),
    [
        ([5.0, 4.0, 3.0, 2.0, 9.0], 9),
        ([5.0, 1.0, 3.0, 2.0, 9.0], 3),
        ([1.0, 5.0, 5.0, 5.0, 5.0], 0),
    ],
)
def test_the_network_ends_as_the_moving_average_at_its_best(losses: list[float], best: int) -> None:
    """A ← a + (1 − d_t)(w_(t+1) − a) from a = w_0, worked out from the weights of every step."""
    model = network()
    seen: list[list[Tensor]] = []
    chosen = trainer(model, on_batch=lambda _: seen.append(weights(model)), losses=losses)
    assert finish(chosen).best_step == best
    average = [w.double() for w in seen[0]]
    for step, after in enumerate(seen[1 : best + 1]):
        towards = 1 - ema_decay(step, SETTINGS)
        average = [a + towards * (w.double() - a) for a, w in zip(average, after, strict=True)]
    for expected, found in zip(average, weights(model), strict=True):
        torch.testing.assert_close(found.double(), expected, rtol=0, atol=1e-6)


def test_the_curve_holds_the_mean_loss_of_the_steps_between() -> None:
    """With a rate of 1e-30 every step sees the first weights, whose readout predicts zero."""
    still = SETTINGS.model_copy(update={"learning_rate": 1e-30})
    curve = finish(trainer(network(), still)).curve
    nothing = torch.zeros(2), torch.zeros(6, 3)
    each = [loss(*nothing, batch(step), still).item() for step in range(12)]
    assert curve[0].train_loss is None
    assert [point.train_loss for point in curve[1:]] == pytest.approx(
        [np.mean(each[start : start + 3]) for start in (0, 3, 6, 9)]
    )


def test_patience_counts_validations_since_the_best() -> None:
    impatient = SETTINGS.model_copy(update={"patience": 2, "max_steps": 30})
    outcome = finish(trainer(network(), impatient, losses=[5.0, 4.5, 4.6, 4.0, 4.5, 4.0, 3.0]))
    assert (outcome.stop_reason, outcome.converged) == ("plateau", True)
    assert (outcome.steps, outcome.best_step, outcome.best_loss) == (15, 9, 4.0)
    assert outcome.samples_seen == 15 * 8


@pytest.mark.parametrize(
    ("losses", "converged"),
    [
        ([5.0, 4.5, 4.0, 3.5, 3.2, 3.1, 3.0, 2.99, 2.98], True),
        ([9.0, 8.0, 7.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0], False),
        ([5.0, 4.0, 3.0, 2.99, 2.98], False),  # five validations cannot tell
    ],
)
def test_a_run_at_its_cap_has_converged_if_its_last_quarter_was_flat(
    losses: list[float], converged: bool
) -> None:
    settings = SETTINGS.model_copy(update={"max_steps": 3 * (len(losses) - 1)})
    outcome = finish(trainer(network(), settings, losses=losses))
    assert (outcome.stop_reason, outcome.converged) == ("cap", converged)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_loss_without_a_value_ends_the_run_at_the_best_before(value: float) -> None:
    saves: list[int] = []
    outcome = finish(
        trainer(network(), losses=[5.0, 4.0, value]),
        save=lambda progress: saves.append(progress.step),
    )
    assert (outcome.stop_reason, outcome.converged) == ("diverged", False)
    assert (outcome.steps, outcome.best_step, outcome.best_loss) == (6, 3, 4.0)
    assert saves == [1, 2, 3, 4, 5]
