"""Label structures of a dataset: resumable, each failure recorded, all labels joined at the end."""

import shutil
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from functools import partial

import numpy as np

from mfscale.data.dataset import Dataset
from mfscale.data.errors import DatasetError
from mfscale.data.imports.method_keys import KNOWN_COSTS
from mfscale.data.imports.report import Fault
from mfscale.data.labelling.continuing import MEASURED, check_same, cost_anchor, stated
from mfscale.data.labelling.join import Place, join
from mfscale.data.labelling.journal import Journal
from mfscale.data.labelling.level import Level
from mfscale.data.labelling.outcome import Outcome, Piece, compute
from mfscale.data.labelling.pieces import Pieces
from mfscale.data.labelling.report import LabelProgress, LabelReport, recorded
from mfscale.data.labelling.wanted import Wanted

Spread = Callable[
    [Callable[[Piece], list[Outcome]], Callable[[], Piece | None]],
    Generator[tuple[Piece, list[Outcome] | None], None, None],
]
"""A function, what hands out its arguments → arguments with results, None if the worker died."""

_EXAMPLES = 3


def serially(
    function: Callable[[Piece], list[Outcome]], take: Callable[[], Piece | None]
) -> Generator[tuple[Piece, list[Outcome] | None], None, None]:
    """The simplest `Spread`: in this process, one after the other."""
    while (piece := take()) is not None:
        yield piece, function(piece)


def label_dataset(
    place: Place,
    level: Level,
    *,
    wanted: Wanted,
    cost: float | str | None = None,
    retry_failed: bool = False,
    spread: Spread = serially,
    progress: Callable[[LabelProgress], None] = lambda _: None,
) -> LabelReport:
    """Label the structures that are wanted and lack a label, and join the labels to the dataset.

    Labels are kept in a folder beside the dataset as they come, so that the same command goes on
    after a kill. If `spread` ends early nothing joins yet.

    Parameters
    ----------
    place
        The dataset, what its new labels are called, and where they go.
    level
        Level of theory.
    wanted
        Which structures.
    cost
        Of a label, relative to coupled cluster = 1000; ``measured`` takes it from the processor
        time, relative to a method that was labelled here; None: by the name.
    retry_failed
        Try structures again that failed in an earlier run.
    spread
        Calls a function on pieces of work, here or elsewhere.
    progress
        Called after each piece.

    Raises
    ------
    DatasetError
        When anything about the request is wrong, before the first label; when labels that the
        dataset has under that name are of another level of theory; when disks fail.
    """
    began = time.perf_counter()
    dataset, name = place.dataset, place.method
    level.check(dataset.elements)
    lacking = wanted.choose(dataset, name).tolist()
    failed_before = set(recorded(dataset, name).get("failed", ()))
    asked = [index for index in lacking if retry_failed or index not in failed_before]
    if not asked:
        raise DatasetError(_nothing(dataset, name, len(lacking)))
    place.check()
    anchor = cost_anchor(dataset, name) if cost == MEASURED else None
    check_same(dataset, level, name)
    job = {"dataset": dataset.digest, "method": level.description, "options": repr(level)}
    with Journal(place.journal, job) as journal:
        outcomes = _kept(journal, asked, retry_failed=retry_failed)
        kept = list(outcomes.values())
        _work(dataset, level, asked, outcomes, journal, spread, progress)
        labels = [outcomes[index] for index in sorted(outcomes) if outcomes[index].label]
        seconds = float(np.mean([outcome.cpu_s for outcome in labels])) if labels else None
        method = stated(dataset, level, name, cost, anchor, seconds)
        complete = len(outcomes) == len(asked) and bool(labels)
        report = LabelReport(
            dataset=dataset.name,
            path=str(place.out or dataset.path) if complete else None,
            method=name,
            level=level.description,
            wanted=len(asked),
            labelled=len(labels),
            before=sum(outcome.label is not None for outcome in kept),
            failures=_failures(list(outcomes.values())),
            failed=_failed(failed_before, outcomes),
            passed_over=sum(o.label is None for o in kept) + len(lacking) - len(asked),
            cpu_s_per_label=seconds,
            wall_time_s=time.perf_counter() - began,
            cost=method.cost,
            cost_is_known=cost is not None or name in {*dataset.methods, *KNOWN_COSTS},
        )
        if complete:
            join(place, method, labels, report.to_dict())
            shutil.rmtree(place.journal, ignore_errors=True)
    return report


def _kept(journal: Journal, asked: Sequence[int], *, retry_failed: bool) -> dict[int, Outcome]:
    """Outcomes of earlier runs that stand."""
    wanted = set(asked)
    return {
        index: outcome
        for index, outcome in journal.read().items()
        if index in wanted and (outcome.label or not retry_failed)
    }


def _work(
    dataset: Dataset,
    level: Level,
    asked: Sequence[int],
    outcomes: dict[int, Outcome],
    journal: Journal,
    spread: Spread,
    progress: Callable[[LabelProgress], None],
) -> None:
    """Label what has no outcome yet; `outcomes` and the journal have each as it comes."""
    began = time.perf_counter()
    pieces = Pieces(dataset, [index for index in asked if index not in outcomes])
    done = kept = len(outcomes)
    failed = sum(outcome.label is None for outcome in outcomes.values())
    progress(LabelProgress(done=done, failed=failed, total=len(asked), per_second=None))
    with closing(spread(partial(compute, level), pieces.take)) as results:
        for piece, found in results:
            new = pieces.give(piece, found)
            if not new:
                continue
            journal.add(new)
            outcomes.update({outcome.structure: outcome for outcome in new})
            done += len(new)
            failed += sum(outcome.label is None for outcome in new)
            rate = (done - kept) / (time.perf_counter() - began)
            progress(LabelProgress(done=done, failed=failed, total=len(asked), per_second=rate))


def _nothing(dataset: Dataset, name: str, failed: int) -> str:
    if failed:
        return (
            f"{dataset.name}: the {failed} structures without a label {name} failed before; try "
            f"them again with --retry-failed"
        )
    return f"{dataset.name}: no structure that was asked for lacks a label {name}; nothing to do"


def _failed(before: set[int], outcomes: Mapping[int, Outcome]) -> tuple[int, ...]:
    """Structures that failed in earlier runs or now."""
    now = {index for index, outcome in outcomes.items() if outcome.label is None}
    return tuple(sorted((before - outcomes.keys()) | now))


def _failures(outcomes: Sequence[Outcome]) -> tuple[Fault, ...]:
    by_reason: dict[str, list[int]] = {}
    for outcome in sorted(outcomes, key=lambda o: o.structure):
        if outcome.label is None:
            by_reason.setdefault(outcome.reason, []).append(outcome.structure)
    return tuple(
        Fault(
            reason=reason,
            count=len(indices),
            examples=tuple(f"structure {index}" for index in indices[:_EXAMPLES]),
        )
        for reason, indices in by_reason.items()
    )
