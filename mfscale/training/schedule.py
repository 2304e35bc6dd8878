"""The learning rate at a step, as a function: nothing to save, nothing to restore."""

import math

from mfscale.study import Hyperparameters


def learning_rate(step: int, settings: Hyperparameters) -> float:
    """Rate for optimiser step `step` (0-based): linear warm-up, then cosine decay or constant."""
    peak = settings.learning_rate
    if peak is None:
        raise ValueError("the learning rate of a stage is resolved when its study is expanded")
    if step < settings.warmup_steps:
        return peak * (step + 1) / (settings.warmup_steps + 1)
    if settings.schedule == "constant":
        return peak
    decaying = max(1, settings.max_steps - settings.warmup_steps)
    progress = min(1.0, (step - settings.warmup_steps) / decaying)
    floor = settings.final_learning_rate_fraction
    return peak * (floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * progress)))


def ema_decay(step: int, settings: Hyperparameters) -> float:
    """Decay of the weights' moving average after `step` updates, warmed up as (1+t)/(10+t)."""
    return min(settings.ema_decay, (1 + step) / (10 + step))
