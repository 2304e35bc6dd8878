"""Result rows with known truth: flattened as a store flattens them, errors to the structure."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from mfscale.claims import ClaimResult, PartResult, assess

CAPS = {"hp_max_steps": 800, "hp_batch_size": 32, "hp_patience": 8, "hp_validate_every": 25}
SETTING: dict[str, Any] = {
    "status": "finished",
    "purpose": "science",
    "dataset": "chno3",
    "split": "0",
    "architecture": "nequip",
    "size": "tiny",
    "dtype": "float32",
    "cutoff_a": 4.5,
    "recipe": 1,
    "trainable": "all",
    "converged": True,
    "stop_reason": "plateau",
    **CAPS,
}
N_STRUCTURES = 60


@dataclass
class Rows:
    """Rows of a store in the making; `noise` is of ln MAE, run by run."""

    rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(0))
    noise: float = 0.03
    rows: list[dict[str, Any]] = field(default_factory=list)

    def stage(
        self, log_error: float, *labels: str, parent: dict[str, Any] | None = None, **given: object
    ) -> dict[str, Any]:
        """Add a stage that learns `labels`; `log_error` is of the head of the first."""
        name = f"s{len(self.rows):04d}"
        head, subset, size = labels[0].removesuffix("+forces").split(":")
        row: dict[str, Any] = {
            **SETTING,
            "stage_id": name,
            "parent_id": None,
            "root_id": name,
            "step": 0,
            "pretraining": "none",
            "total_samples_seen": 20_000,
            "data_seed": given.get("seed", 0),
        }
        if parent is not None:
            before = [parent["labels"]]
            if parent["pretraining"] != "none":
                before.insert(0, parent["pretraining"])
            kept = (*CAPS, "converged", "fidelity", "dft_t_energy_mae_mev", "xtb_t_energy_mae_mev")
            row |= {f"parent_{key}": parent[key] for key in kept if key in parent}
            row |= {
                "parent_id": parent["stage_id"],
                "root_id": parent["root_id"],
                "step": parent["step"] + 1,
                "pretraining": " > ".join(before),
                "total_samples_seen": 20_000 + parent["total_samples_seen"],
                "seed": parent["seed"],
                "data_seed": parent["data_seed"],
            }
        others = " & ".join(labels[1:]) or "none"
        row |= {
            "labels": " & ".join(sorted(labels)),
            f"{head}_size": int(size),
            f"{head}_subset": subset,
            f"{head}_forces": labels[0].endswith("+forces"),
            f"{head}_beside": others,
            f"{head}_t_energy_mae_mev": float(np.exp(log_error + self.rng.normal(0, self.noise))),
        }
        row |= given
        self.rows.append(row)
        return row

    def frame(self) -> pd.DataFrame:
        """All rows, as a store gives them."""
        return pd.DataFrame(self.rows)

    def errors(self, stage_id: str) -> pd.DataFrame:
        """Test errors whose mean is the MAE; hard structures are hard for every run."""
        hardness = np.random.default_rng(5).lognormal(0, 0.7, N_STRUCTURES)
        row = next(row for row in self.rows if row["stage_id"] == stage_id)
        heads = [c.removesuffix("_t_energy_mae_mev") for c in row if c.endswith("mae_mev")]
        return pd.concat(
            [
                pd.DataFrame(
                    {
                        "structure": np.arange(N_STRUCTURES),
                        "head": head,
                        "method": head,
                        "energy_error_mev": row[f"{head}_t_energy_mae_mev"]
                        * hardness
                        / hardness.mean(),
                    }
                )
                for head in heads
                if not head.startswith("parent_")
            ],
            ignore_index=True,
        )

    def assess(
        self,
        errors_of: Callable[[str], pd.DataFrame] | None = None,
        **options: Any,  # noqa: ANN401 - of `assess`
    ) -> dict[int, ClaimResult]:
        """Assess the claims; by number."""
        found = assess(self.frame(), errors_of or self.errors, **options)
        return {claim.number: claim for claim in found}


def part_of(
    claims: dict[int, ClaimResult], name: str, budget: str = "equal caps", group: str | None = None
) -> PartResult:
    """The one result of a part such as ``1a``."""
    (found,) = (
        part
        for part in claims[int(name[0])].parts
        if part.part == name[1]
        and part.budget in {budget, "not compared"}
        and (group is None or part.group == group)
    )
    return found


Fill = Callable[[Rows, int], None]


def replicated(n: int, fill: Fill, noise: float = 0.03) -> Rows:
    """Rows with `fill` called for each of n seeds."""
    rows = Rows(noise=noise)
    for seed in range(n):
        fill(rows, seed)
    return rows


def pretraining(
    rows: Rows, seed: int, labels: str = "dft:b:400+forces", log_error: float = 4.0, **given: object
) -> dict[str, Any]:
    return rows.stage(log_error, labels, seed=seed, **given)
