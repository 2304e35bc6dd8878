"""Run what a store lacks of a study, on Ray."""

import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from mfscale.orchestration import worker
from mfscale.orchestration.campaign import Campaign, Ended
from mfscale.orchestration.cluster import OrchestrationError, local_ray, own_errors
from mfscale.orchestration.estimate import Rates
from mfscale.orchestration.progress import Progress
from mfscale.orchestration.stopping import Stopped, Stopping
from mfscale.results import Store, StoreError
from mfscale.study import Choice, StudyGraph


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
    cpus: int,
    gpus: int = 0,
    on_progress: Callable[[Progress], None] = lambda _: None,
    grow: Callable[[Sequence[Choice]], StudyGraph] | None = None,
    on_stop: Callable[[int], None] = lambda _: None,
    checkpoint_every_s: float = 15.0,
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
        Slots: one stage a processor core, or one a GPU if there are any.
    on_progress
        Told whenever a stage starts or ends.
    grow
        Expands the study again with choices that its tunings have made; needed if it has any.
    on_stop
        Told the number of the signal that ends the run early, while stages save their progress.
    checkpoint_every_s
        The most training a crash may cost.

    Raises
    ------
    OrchestrationError
        If there is nothing to run on.
    """
    if cpus < 1 or gpus < 0:
        raise OrchestrationError(
            f"cannot run on {cpus} CPUs and {gpus} GPUs; give at least --cpus 1"
        )
    began = time.perf_counter()
    stopped_by: int | None = None
    with store.in_use():
        campaign = Campaign(
            graph, store, estimate, slots=gpus or cpus, on_progress=on_progress, grow=grow
        )
        if campaign.unfinished:

            def ask(number: int) -> None:
                nonlocal stopped_by
                stopped_by, campaign.stopping = number, True
                on_stop(number)

            stopping = Stopping(store, ask)
            try:
                with stopping.leaving(), local_ray(cpus, gpus), own_errors(), stopping.watching():
                    _tune(campaign, stopping, cpus, gpus, checkpoint_every_s)
            except KeyboardInterrupt as stop:
                if stopped_by is None:  # Ray may have made a plain KeyboardInterrupt of a second
                    stopped_by = stop.number if isinstance(stop, Stopped) else signal.SIGINT
            campaign.warnings += [
                f"{number} rows of stages without a result were not written ({reason})"
                for reason, number in campaign.unwritten.items()
            ]
            try:
                store.compact()
            except StoreError as error:  # the rows are in the inbox, where all read them
                campaign.warnings.append(f"{store} was not compacted ({error})")
    return Summary(
        progress=campaign.progress,
        wall_time_s=time.perf_counter() - began,
        choices=tuple(campaign.choices),
        unfinished=tuple(campaign.unfinished_stages),
        warnings=tuple(campaign.warnings),
        stopped_by=stopped_by,
    )


def _tune(
    campaign: Campaign, stopping: Stopping, cpus: int, gpus: int, checkpoint_every_s: float
) -> None:
    """Run the campaign as one Tune experiment whose own files are thrown away."""
    from ray import tune  # noqa: PLC0415 - see local_ray

    from mfscale.orchestration.searcher import GraphSearcher  # noqa: PLC0415 - likewise
    from mfscale.orchestration.trainable import StageTrainable  # noqa: PLC0415 - likewise

    share = cpus / gpus if gpus else 1.0
    threads = max(1, int(share))
    per_stage = {"cpu": min(share, float(threads)), "gpu": 1.0 if gpus else 0.0}
    campaign.constant = {
        worker.STORE: campaign.store.address,
        worker.STOP: stopping.flag,
        worker.THREADS: threads,
        worker.GPU: bool(gpus),
        worker.SAVE_EVERY: checkpoint_every_s,
    }
    scratch = Path(tempfile.mkdtemp(prefix="mfscale-tune-"))
    try:
        tune.Tuner(
            tune.with_resources(StageTrainable, per_stage),
            tune_config=tune.TuneConfig(
                search_alg=GraphSearcher(campaign),
                num_samples=-1,
                max_concurrent_trials=campaign.slots,
                reuse_actors=True,
            ),
            run_config=tune.RunConfig(
                name="run",
                storage_path=str(scratch),
                verbose=0,
                checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
                failure_config=tune.FailureConfig(max_failures=0),  # the campaign sees to them
            ),
        ).fit()
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
