"""What Tune runs in its workers: a stage a trial, and a way out for a worker that is to go.

Imports Ray, so only once that is set up.
"""

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from ray.tune import Trainable

from mfscale.orchestration.worker import run_one


class StageTrainable(Trainable):
    """Runs a stage in its one step.

    SIGTERM, as of a machine that is to be taken away, makes the stage save its progress and the
    worker end; the campaign starts the stage again where there is room.
    """

    def step(self) -> dict[str, Any]:
        """Train the stage and say how that ended."""
        with _terminated() as terminated:
            told = run_one(self.config, interrupted=terminated)
            if terminated():
                sys.exit(128 + signal.SIGTERM)
        return {**told, "done": True}

    def reset_config(self, new_config: dict[str, Any]) -> bool:  # noqa: ARG002 - Tune's signature
        """Take the next stage, with the models that this process keeps."""
        return True


@contextmanager
def _terminated() -> Iterator[Callable[[], bool]]:
    """Take SIGTERM for a request while the block runs; yields whether it has come."""
    received: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    before = signal.signal(signal.SIGTERM, lambda number, _: received.append(number))
    try:
        yield lambda: bool(received)
    finally:
        signal.signal(signal.SIGTERM, before)
