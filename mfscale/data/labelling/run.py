"""Label structures of a dataset: resumable, each failure recorded, all labels joined at the end."""

import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from mfscale.data.dataset import Dataset
from mfscale.data.errors import DatasetError
from mfscale.data.header import Method
from mfscale.data.imports.method_keys import KNOWN_COSTS, OTHER_COST
from mfscale.data.imports.report import Fault
from mfscale.data.labelling.join import Place, join
from mfscale.data.labelling.journal import Journal
from mfscale.data.labelling.level import Level
from mfscale.data.labelling.outcome import Outcome, Piece, compute
from mfscale.data.labelling.pieces import Pieces
from mfscale.data.labelling.report import LabelProgress, LabelReport, recorded
from mfscale.data.labelling.wanted import Wanted

Spread = Callable[
    [Callable[[Piece], list[Outcome]], Callable[[], Piece | None]],
    Iterator[tuple[Piece, list[Outcome] | None]],
]
"""A function, what hands out its arguments → arguments with results, None if the worker died."""

MEASURED = "measured"

_SAME_EV = 1e-3
_COMPARED = 2
_EXAMPLES = 3


def serially(
    function: Callable[[Piece], list[Outcome]], take: Callable[[], Piece | None]
) -> Iterator[tuple[Piece, list[Outcome] | None]]:
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
    structures = wanted.choose(dataset, name)
    gone_wrong = set(recorded(dataset, name).get("failed", ()))
    passed = set() if retry_failed else gone_wrong
    asked = [index for index in structures.tolist() if index not in passed]
    if not asked:
        raise DatasetError(_nothing(dataset, name, len(structures)))
    place.check()
    anchor = _anchor(dataset, name) if cost == MEASURED else None
    _check_same(dataset, level, name)
    job = {"dataset": dataset.digest, "method": level.description, "options": repr(level)}
    journal = Journal(place.journal, job)
    outcomes = {index: o for index, o in journal.read().items() if index in set(asked)}
    before = sum(o.label is not None for o in outcomes.values())
    passed_over = 0 if retry_failed else sum(o.label is None for o in outcomes.values())
    settled = {i for i, o in outcomes.items() if o.label is not None or not retry_failed}
    _work(dataset, level, asked, settled, outcomes, journal, spread, progress)
    labels = [outcomes[index] for index in sorted(outcomes) if outcomes[index].label is not None]
    report = LabelReport(
        dataset=dataset.name,
        path=None,
        method=name,
        level=level.description,
        wanted=len(asked),
        labelled=len(labels),
        before=before,
        failures=_failures(list(outcomes.values())),
        failed=_failed(gone_wrong, outcomes),
        passed_over=passed_over + len(structures) - len(asked),
        cpu_s_per_label=float(np.mean([o.cpu_s for o in labels])) if labels else None,
        wall_time_s=time.perf_counter() - began,
        cost=1.0,
        cost_is_known=True,
    )
    method = _method(dataset, level, name, cost, anchor, report)
    known = cost is not None or name in dataset.methods or name in KNOWN_COSTS
    report = replace(report, cost=method.cost, cost_is_known=known)
    if len(outcomes) < len(asked) or not labels:
        return report
    report = replace(report, path=str(place.out or dataset.path))
    join(place, method, labels, report.to_dict())
    shutil.rmtree(place.journal, ignore_errors=True)
    return report


def _work(
    dataset: Dataset,
    level: Level,
    asked: Sequence[int],
    settled: set[int],
    outcomes: dict[int, Outcome],
    journal: Journal,
    spread: Spread,
    progress: Callable[[LabelProgress], None],
) -> None:
    """Label what is not settled; `outcomes` and the journal have each as it comes."""
    began = time.perf_counter()
    pieces = Pieces(dataset, (index for index in asked if index not in settled))
    done = len(settled)
    failed = sum(outcomes[index].label is None for index in settled)
    progress(LabelProgress(done=done, failed=failed, total=len(asked), per_second=None))
    for piece, found in spread(partial(compute, level), pieces.take):
        new = pieces.give(piece, found)
        if not new:
            continue
        journal.add(new)
        outcomes.update({outcome.structure: outcome for outcome in new})
        done += len(new)
        failed += sum(outcome.label is None for outcome in new)
        rate = (done - len(settled)) / (time.perf_counter() - began)
        progress(LabelProgress(done=done, failed=failed, total=len(asked), per_second=rate))


def _nothing(dataset: Dataset, name: str, failed: int) -> str:
    if failed:
        return (
            f"{dataset.name}: the {failed} structures without a label {name} failed before; try "
            f"them again with --retry-failed"
        )
    return f"{dataset.name}: no structure that was asked for lacks a label {name}; nothing to do"


def _check_same(dataset: Dataset, level: Level, name: str) -> None:
    """Raise `DatasetError` unless new labels continue those that are there: two are redone."""
    if name not in dataset.methods:
        return
    if dataset.has_forces(name) != level.has_forces:
        raise DatasetError(
            f"{dataset.name}: labels {name} there {'have' if dataset.has_forces(name) else 'lack'} "
            f"forces and {level.description} is otherwise; name the new ones with --as"
        )
    there = dataset.labelled_structures(name)
    smallest = there[np.argsort(dataset.n_atoms(there), kind="stable")[:_COMPARED]]
    for index in smallest.tolist():
        atoms = dataset.structure(index)
        (outcome,) = compute(level, [(index, atoms.numbers, atoms.positions)])
        energy = dataset.energies(name, [index])[0]
        apart = abs(outcome.label.energy - energy) if outcome.label else np.inf
        if not apart < _SAME_EV:
            raise DatasetError(
                f"{dataset.name}: the label {name} of structure {index} is {energy:.4f} eV there, "
                f"and {outcome.label.energy if outcome.label else outcome.reason} by "
                f"{level.description}: they are not of one method; name the new ones with --as"
            )


def _method(
    dataset: Dataset,
    level: Level,
    name: str,
    cost: float | str | None,
    anchor: tuple[float, float] | None,
    report: LabelReport,
) -> Method:
    """The method as the header will state it; what was there is not restated but for the cost."""
    before = dataset.methods.get(name)
    if anchor and report.cpu_s_per_label is not None:
        cost = anchor[0] * report.cpu_s_per_label / anchor[1]
    if not isinstance(cost, float):
        cost = before.cost if before else KNOWN_COSTS.get(name, OTHER_COST)
    said = before.description if before else level.description
    return Method(name, has_forces=level.has_forces, cost=cost, description=said)


def _anchor(dataset: Dataset, name: str) -> tuple[float, float]:
    """Cost and processor time (s) of the dearest other method whose time is on record."""
    timed = [
        (method.cost, float(seconds))
        for method in dataset.methods.values()
        if method.name != name
        and (seconds := recorded(dataset, method.name).get("cpu_s_per_label"))
    ]
    if not timed:
        raise DatasetError(
            f"--cost measured: {dataset.name} has no other method whose time was measured, and "
            f"costs are relative; state a number (coupled cluster = 1000)"
        )
    return max(timed)


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
