"""How long stages will take: from what the store has measured, else from reference rates.

Two things are assumed where nothing has measured them, and said in `Rates.basis`: how many of the
reference's processor cores a GPU is worth (`GPU_CORES`), and how fast a model is evaluated
(`EVALUATION_SPEED`).
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from mfscale.study import Stage

OVERHEAD_S = 2.0
"""Seconds a stage spends besides training and evaluation, before any stage has been measured."""

REFERENCE_ATOMS = 7.1
"""Mean atoms of the structures that reference rates were measured on."""

GPU_CORES = 32.0
"""Processor cores of the reference that one GPU trains as fast as: assumed, not measured."""

EVALUATION_SPEED = 2.0
"""Structures evaluated while one is trained on by its energy: assumed, for want of a backward
pass through the weights, a step of the optimiser and an average of the weights."""

EVALUATIONS = 2
"""Times that each head is evaluated on the whole test subset: before the first step, at the end."""

Kind = tuple[str, str, str, bool]
"""Architecture, size, dtype, and whether forces are trained on."""


@dataclass(frozen=True)
class Extent:
    """What of a dataset and split decides how long a stage takes.

    Attributes
    ----------
    mean_atoms
        Per structure.
    n_test
        Structures of the test subset.
    """

    mean_atoms: float
    n_test: int


UNKNOWN = Extent(REFERENCE_ATOMS, 0)
"""Of a dataset that nobody described: structures as large as the reference's, no test."""


@dataclass(frozen=True)
class Rates:
    """Training speed by kind of stage, on structures of `REFERENCE_ATOMS` atoms.

    A structure of twice the atoms takes twice the time.

    Attributes
    ----------
    measured
        Kind → structures per second of one slot, from finished stages. One that had a share of a
        GPU took that share of its time.
    reference
        The same from elsewhere: used for kinds that `measured` lacks.
    overhead_s
        Seconds a stage spends besides training and evaluation.
    n_measured
        Finished stages that `measured` rests on.
    extents
        Dataset and split → what is known of it; `UNKNOWN` for any other.
    gpu_cores
        If slots are GPUs: the cores that one counts as in `reference`. None: slots are cores.
    n_on_cores
        Finished stages of the store that the `reference` of a GPU rests on.
    """

    measured: Mapping[Kind, float]
    reference: Mapping[Kind, float]
    overhead_s: float
    n_measured: int
    extents: Mapping[tuple[str, str], Extent] = field(default_factory=dict)
    gpu_cores: float | None = None
    n_on_cores: int = 0

    @property
    def basis(self) -> str:
        """What the estimates rest on, in words."""
        if self.gpu_cores is None:
            if self.measured:
                return f"the {self.n_measured} stages already measured in this store"
            return "reference rates of one CPU core (no stage measured in this store yet)"
        cores = "reference rates of one CPU core"
        if self.n_on_cores:
            cores = f"the {self.n_on_cores} stages measured on CPU cores in this store"
        assumed = (
            f"{cores}, one GPU taken to train as fast as {self.gpu_cores:g} of them, which is "
            "assumed, not measured"
        )
        if self.measured:
            known = f"the {self.n_measured} stages already measured on a GPU in this store"
            return f"{known} (kinds of stages not among them: from {assumed})"
        return f"{assumed} (no stage measured on a GPU in this store yet)"

    def seconds(self, stage: Stage) -> float:
        """At most this long on one slot: the whole cap of steps, evaluations and overhead."""
        settings = stage.hyperparameters
        batch = min(settings.batch_size, sum(head.size for head in stage.heads.values()))
        extent = self.extents.get((stage.dataset, stage.split), UNKNOWN)
        training = settings.max_steps * batch / self._rate(kind_of(stage), extent)
        tested = 0 if stage.purpose == "tune" else len(stage.carried)
        evaluation = self.evaluation_s(kind_of(stage), tested, extent)
        return self.overhead_s + training + evaluation

    def evaluation_s(self, kind: Kind, n_heads: int, extent: Extent) -> float:
        """Seconds for evaluating every head on the test subset, `EVALUATIONS` times."""
        if not extent.n_test:
            return 0.0
        rate = EVALUATION_SPEED * self._rate((*kind[:3], False), extent)
        return EVALUATIONS * n_heads * extent.n_test / rate

    def _rate(self, kind: Kind, extent: Extent) -> float:
        """Structures of this extent that training takes in per second."""
        rate = self.measured.get(kind) or self.reference.get(kind)
        if rate is None:
            known = [*self.measured.values(), *self.reference.values()]
            rate = min(known, default=100.0)
        return rate * REFERENCE_ATOMS / extent.mean_atoms


def kind_of(stage: Stage) -> Kind:
    """What decides how fast a stage trains."""
    forces = any(head.forces for head in stage.heads.values())
    return (stage.model.architecture, stage.model.size, stage.model.dtype, forces)


def rates(
    table: pa.Table,
    reference: Mapping[Kind, float],
    *,
    extents: Mapping[tuple[str, str], Extent] | None = None,
    gpu_cores: float | None = None,
) -> Rates:
    """Rates from the finished stages of a store's table, with `reference` behind them.

    Adopted stages were not trained here and tell nothing.

    Parameters
    ----------
    table
        A store's, whatever the devices its stages ran on.
    reference
        Kind → structures of `REFERENCE_ATOMS` atoms per second of one core.
    extents
        Of the datasets and splits of table and study.
    gpu_cores
        If the stages are to run on GPUs, the cores that one is worth. Stages measured on a GPU go
        before this; without any, what cores have measured is multiplied by it.
    """
    extents = extents or {}
    on_cores, on_gpus = _rows(table)
    cores = _measured(on_cores, Rates({}, reference, OVERHEAD_S, 0, extents))
    if gpu_cores is None:
        return cores
    behind = {kind: rate * gpu_cores for kind, rate in {**reference, **cores.measured}.items()}
    assumed = Rates({}, behind, cores.overhead_s, 0, extents, gpu_cores, cores.n_measured)
    return _measured(on_gpus, assumed)


def _rows(table: pa.Table) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """What the stages trained to their end tell: those on processor cores, those on GPUs."""
    columns = (
        "architecture", "size", "dtype", "heads", "kept_heads", "dataset", "split", "device",
        "gpu_share", "purpose", "samples_seen", "train_time_s", "wall_time_s",
    )  # fmt: skip
    finished = table.filter(pc.equal(table["status"], "finished"))
    finished = finished.filter(pc.is_valid(finished["train_time_s"]))
    rows = finished.select(columns).to_pylist()
    devices = [row["device"] or "cpu" for row in rows]
    paired = list(zip(rows, devices, strict=True))
    return (
        [row for row, device in paired if device.startswith("cpu")],
        [row for row, device in paired if not device.startswith("cpu")],
    )


def _measured(rows: list[dict[str, Any]], before: Rates) -> Rates:
    """Rates with what `rows` measured, on top of what was known before."""
    if not rows:
        return before
    totals: dict[Kind, tuple[float, float]] = {}
    for row, kind, extent in _described(rows, before):
        samples, seconds = totals.get(kind, (0.0, 0.0))
        scaled = row["samples_seen"] * extent.mean_atoms / REFERENCE_ATOMS
        totals[kind] = (samples + scaled, seconds + _share(row) * row["train_time_s"])
    known = replace(
        before,
        measured={kind: samples / s for kind, (samples, s) in totals.items() if s > 0},
        n_measured=len(rows),
    )
    overheads = [
        _share(row) * (row["wall_time_s"] - row["train_time_s"])
        - known.evaluation_s(kind, _tested(row), extent)
        for row, kind, extent in _described(rows, before)
    ]
    return replace(known, overhead_s=max(0.0, sum(overheads) / len(overheads)))


def _share(row: Mapping[str, Any]) -> float:
    """Of its slot that a stage had: others had the rest of its GPU."""
    return float(row["gpu_share"] or 1.0)


def _tested(row: Mapping[str, Any]) -> int:
    """How many heads were evaluated on the test subset: none of a tuning trial."""
    return 0 if row["purpose"] == "tune" else len(row["heads"]) + len(row["kept_heads"] or ())


def _described(
    rows: Iterable[dict[str, Any]], known: Rates
) -> Iterator[tuple[dict[str, Any], Kind, Extent]]:
    for row in rows:
        forces = any(head["forces"] for head in row["heads"])
        kind = (row["architecture"], row["size"], row["dtype"], forces)
        yield row, kind, known.extents.get((row["dataset"], row["split"]), UNKNOWN)


def work_time(stages: Iterable[Stage], estimate: Rates) -> float:
    """Seconds of slots that `stages` take together: of GPUs, if slots are GPUs."""
    return sum(estimate.seconds(stage) for stage in stages)


def wall_time(stages: Collection[Stage], estimate: Rates, slots: int) -> float:
    """Seconds until `stages` are done on `slots`: the work shared out, or the longest chain."""
    chain: dict[str, float] = {}
    for stage in stages:
        chain[stage.id] = estimate.seconds(stage) + chain.get(stage.parent_id or "", 0.0)
    return max(work_time(stages, estimate) / slots, max(chain.values(), default=0.0))
