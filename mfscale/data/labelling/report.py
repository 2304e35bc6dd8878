"""What labelling tells: how far it is, and how it went."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mfscale.data.dataset import Dataset
from mfscale.data.imports.report import Fault


@dataclass(frozen=True, kw_only=True)
class LabelProgress:
    """How far labelling is: structures done, of them failed, of how many, and per second."""

    done: int
    failed: int
    total: int
    per_second: float | None

    @property
    def left_s(self) -> float | None:
        """About how long it will take still, s."""
        return (self.total - self.done) / self.per_second if self.per_second else None


@dataclass(frozen=True, kw_only=True)
class LabelReport:
    """How labelling went.

    Attributes
    ----------
    dataset, path
        What was labelled, and the folder that has the labels, None if it was interrupted.
    method, level
        What the labels are called there, and their level of theory.
    wanted, labelled, before
        Structures asked for, those with a label now, and of these from runs before this one.
    failures
        Reason → structures without a label, by their index.
    failed
        Indices of all structures that failed.
    passed_over
        Structures that failed once and were not tried again.
    cpu_s_per_label, wall_time_s
        Processor time of a label on average, and time that this run took.
    cost, cost_is_known
        As the dataset states it; whether it was given, measured, or the paper's for that name.
    """

    dataset: str
    path: str | None
    method: str
    level: str
    wanted: int
    labelled: int
    before: int
    failures: tuple[Fault, ...]
    failed: tuple[int, ...]
    passed_over: int
    cpu_s_per_label: float | None
    wall_time_s: float
    cost: float
    cost_is_known: bool

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)

    def to_text(self) -> str:
        """For people."""
        lines = [
            f"{self.dataset}: {self.labelled} of {self.wanted} structures have a label "
            f"{self.method} ({self.level})"
            + (f", {self.before} from before" if self.before else "")
        ]
        lines += [f"  failed: {fault}" for fault in self.failures]
        if self.passed_over:
            lines.append(f"  {self.passed_over} that failed before: --retry-failed tries them")
        if self.cpu_s_per_label is not None:
            lines.append(f"  a label took {self.cpu_s_per_label:.3g} s of a core on average")
        if self.path:
            guess = "" if self.cost_is_known else ", a guess; state it with --cost"
            lines.append(f"  labels are in {self.path}, at cost {self.cost:g}{guess}")
        return "\n".join(lines)


def record_file(folder: Path, method: str) -> Path:
    """Where a dataset keeps how its labels of a method came about."""
    return folder / f"labels-{method}.json"


def recorded(dataset: Dataset, method: str) -> dict[str, Any]:
    """That record; empty if labels came from elsewhere."""
    try:
        content = json.loads(record_file(dataset.path, method).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
