"""Run what a store lacks of a study, on Ray."""

import math
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from mfscale.orchestration import worker
from mfscale.orchestration.campaign import Campaign, Ended
from mfscale.orchestration.cluster import (
    LOCAL,
    OrchestrationError,
    connected,
    cores,
    own_errors,
)
from mfscale.orchestration.compiling import Compiling
from mfscale.orchestration.estimate import Rates
from mfscale.orchestration.progress import Progress
from mfscale.orchestration.scratch import scratch
from mfscale.orchestration.shares import Rooms
from mfscale.orchestration.stopping import Stopped, Stopping
from mfscale.results import Store
from mfscale.study import Choice, Stage, StudyGraph


@dataclass(frozen=True)
class Summary:
    """How a run went; `stopped_by` is the number of the signal that ended it, if one did."""

    progress: Progress
    wall_time_s: float
    choices: tuple[Choice, ...]
    unfinished: tuple[Ended, ...]
    warnings: tuple[str, ...]
    stopped_by: int | None = None


def run(
    graph: StudyGraph,
    store: Store,
    *,
    estimate: Rates,
    cpus: int | None = None,
    gpus: int = 0,
    gpu_share: float | None = None,
    gpu_bytes: Callable[[Stage], float] = lambda _: math.inf,
    address: str = LOCAL,
    on_progress: Callable[[Progress], None] = lambda _: None,
    on_ended: Callable[[str], None] = lambda _: None,
    grow: Callable[[Sequence[Choice]], StudyGraph] | None = None,
    on_stop: Callable[[int], None] = lambda _: None,
    checkpoint_every_s: float = 15.0,
    compiling: Compiling | None = None,
    kernels: Literal["e3nn", "cuequivariance"] = "e3nn",
    train: worker.Train | None = None,
) -> Summary:
    """Run the stages of `graph` that `store` lacks, each once, children after their parents.

    SIGINT (Ctrl-C) or SIGTERM ends the run early, with a summary: running stages save their
    progress first. A second signal, or stages that take long, end it without.

    Parameters
    ----------
    graph
        An expanded study.
    store
        Where results go, and what decides what is missing.
    estimate
        Orders the work and gives the time left.
    cpus, gpus
        What there is: one stage a processor core, or on the GPUs if there are any. All cores that
        are there if None.
    gpu_share
        Of a GPU that each stage begins with; unset: as its memory asks for.
    gpu_bytes
        Memory of a GPU that a stage is estimated to need; where nobody knows, a whole one.
    address
        Of the Ray to run on: one of our own, or a running cluster's ``HOST:PORT``, or ``auto``.
    on_progress
        Told whenever a stage starts or ends.
    on_ended
        Told the id of each stage whose row is in the store; must return at once.
    grow
        Expands the study again with choices that its tunings have made; needed if it has any.
    on_stop
        Told the number of the signal that ends the run early, while stages save their progress.
    checkpoint_every_s
        The most training a crash may cost.
    compiling
        Which stages train compiled; none if None.
    kernels
        What computes products of tensors in workers; e3nn does in the last attempt at a stage.
    train
        What makes a stage's result in a worker, which imports it; `worker.train_stage` if None.

    Raises
    ------
    OrchestrationError
        If there is nothing to run on.
    """
    if (cpus is not None and cpus < 1) or gpus < 0:
        raise OrchestrationError(
            f"cannot run on {cpus} CPUs and {gpus} GPUs; give at least --cpus 1"
        )
    began = time.perf_counter()
    stopped_by: int | None = None
    with store.in_use():
        rooms = Rooms(cpus=cpus or cores(), gpus=gpus, share=gpu_share, need=gpu_bytes)
        campaign = Campaign(
            graph,
            store,
            estimate,
            slots=gpus or rooms.cpus,
            on_progress=on_progress,
            on_ended=on_ended,
            grow=grow,
            rooms=rooms,
            compiling=compiling,
            kernels=kernels,
        )
        if campaign.unfinished:

            def ask(number: int) -> None:
                nonlocal stopped_by
                stopped_by, campaign.stopping = number, True
                on_stop(number)

            settings: dict[str, Any] = {worker.SAVE_EVERY: checkpoint_every_s}
            if train is not None:
                settings[worker.TRAIN] = train
            stopping = Stopping(store, ask)
            try:
                with (
                    stopping.leaving(),
                    scratch() as folder,
                    connected(address, cpus, gpus, folder) as slots,
                    own_errors(),
                    stopping.watching(),
                ):
                    rooms.cpus, rooms.gpus = slots.cpus, slots.gpus
                    campaign.slots = slots.number
                    _tune(campaign, stopping, folder, settings)
            except KeyboardInterrupt as stop:
                if stopped_by is None:  # Ray may have made a plain KeyboardInterrupt of a second
                    stopped_by = stop.number if isinstance(stop, Stopped) else signal.SIGINT
            campaign.warnings += [
                f"{number} rows of stages without a result were not written ({reason})"
                for reason, number in campaign.unwritten.items()
            ]
            if why := campaign.compaction.finish():
                campaign.warnings.append(f"{store} was not compacted ({why})")
    return Summary(
        progress=campaign.progress,
        wall_time_s=time.perf_counter() - began,
        choices=tuple(campaign.choices),
        unfinished=tuple(campaign.unfinished_stages),
        warnings=tuple(campaign.warnings),
        stopped_by=stopped_by,
    )


def _tune(
    campaign: Campaign, stopping: Stopping, folder: Path, settings: Mapping[str, Any]
) -> None:
    """Run the campaign as one Tune experiment whose own files, in `folder`, are thrown away."""
    from ray import tune  # noqa: PLC0415 - see connected

    from mfscale.orchestration.gpus import reserved, smallest_memory  # noqa: PLC0415 - likewise
    from mfscale.orchestration.in_order import InOrder  # noqa: PLC0415 - likewise
    from mfscale.orchestration.searcher import GraphSearcher  # noqa: PLC0415 - likewise
    from mfscale.orchestration.trainable import StageTrainable  # noqa: PLC0415 - likewise

    if campaign.rooms.by_memory:
        campaign.rooms.gpu_bytes = smallest_memory()
    campaign.constant = {
        worker.STORE: campaign.store.address,
        worker.STOP: stopping.flag,
        **settings,
    }
    tune.Tuner(
        tune.with_resources(StageTrainable, reserved),
        tune_config=tune.TuneConfig(
            search_alg=GraphSearcher(campaign),
            scheduler=InOrder(),
            num_samples=-1,
            max_concurrent_trials=campaign.rooms.at_once,
            reuse_actors=True,
        ),
        run_config=tune.RunConfig(
            name="run",
            storage_path=str(folder / "tune"),
            verbose=0,
            checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
            failure_config=tune.FailureConfig(max_failures=0),  # the campaign sees to them
        ),
    ).fit()
