"""How long stages will take: from what the store has measured, else from reference rates."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from mfscale.study import Stage

OVERHEAD_S = 2.0
"""Seconds a stage spends besides training, before any stage has been measured."""

Kind = tuple[str, str, str, bool]
"""Architecture, size, dtype, and whether forces are trained on."""


@dataclass(frozen=True)
class Rates:
    """Training speed by kind of stage.

    Attributes
    ----------
    measured
        Kind → structures per second of one slot, from finished stages.
    reference
        The same, measured elsewhere: used for kinds that nothing in the store measures.
    overhead_s
        Seconds a stage spends besides training.
    n_measured
        Finished stages that `measured` rests on.
    """

    measured: Mapping[Kind, float]
    reference: Mapping[Kind, float]
    overhead_s: float
    n_measured: int

    @property
    def basis(self) -> str:
        """What the estimates rest on, in words."""
        if self.measured:
            return f"the {self.n_measured} stages already measured in this store"
        return "reference rates of one CPU core (no stage measured in this store yet)"

    def seconds(self, stage: Stage) -> float:
        """At most this long on one slot: the whole cap of steps, and the overhead."""
        kind = kind_of(stage)
        rate = self.measured.get(kind) or self.reference.get(kind)
        if rate is None:
            known = [*self.measured.values(), *self.reference.values()]
            rate = min(known, default=100.0)
        settings = stage.hyperparameters
        batch = min(settings.batch_size, sum(head.size for head in stage.heads.values()))
        return self.overhead_s + settings.max_steps * batch / rate


def kind_of(stage: Stage) -> Kind:
    """What decides how fast a stage trains."""
    forces = any(head.forces for head in stage.heads.values())
    return (stage.model.architecture, stage.model.size, stage.model.dtype, forces)


def rates(table: pa.Table, reference: Mapping[Kind, float]) -> Rates:
    """Rates from the finished stages of a store's table, with `reference` behind them.

    Adopted stages were not trained here and tell nothing.
    """
    columns = ("architecture", "size", "dtype", "heads", "samples_seen", "train_time_s")
    finished = table.filter(pc.equal(table["status"], "finished"))
    finished = finished.filter(pc.is_valid(finished["train_time_s"]))
    rows = finished.select([*columns, "wall_time_s"]).to_pylist()
    totals: dict[Kind, tuple[float, float]] = {}
    for row in rows:
        forces = any(head["forces"] for head in row["heads"])
        kind = (row["architecture"], row["size"], row["dtype"], forces)
        samples, seconds = totals.get(kind, (0.0, 0.0))
        totals[kind] = (samples + row["samples_seen"], seconds + row["train_time_s"])
    overheads = [max(0.0, row["wall_time_s"] - row["train_time_s"]) for row in rows]
    return Rates(
        measured={kind: samples / s for kind, (samples, s) in totals.items() if s > 0},
        reference=reference,
        overhead_s=sum(overheads) / len(overheads) if overheads else OVERHEAD_S,
        n_measured=len(rows),
    )


def wall_time(stages: Iterable[Stage], estimate: Rates, slots: int) -> float:
    """Seconds until `stages` are done on `slots`: the work shared out, or the longest chain."""
    work: dict[str, float] = {}
    chain: dict[str, float] = {}
    for stage in stages:
        work[stage.id] = estimate.seconds(stage)
        chain[stage.id] = work[stage.id] + chain.get(stage.parent_id or "", 0.0)
    return max(sum(work.values()) / slots, max(chain.values(), default=0.0))
