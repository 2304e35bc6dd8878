"""Speed of bootstrapped fits on one core, beside SciPy's curve_fit in a plain loop doing the same.

Run ``OMP_NUM_THREADS=1 python benchmarks/fitting.py [OUT.json]``: a table on standard output, JSON
if asked. The loop is timed on a share of the draws and its time multiplied.
"""

import json
import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import scipy
from scipy.optimize import curve_fit

from mfscale.scaling import fit

LAW = {"x": "labels", "y": "mae", "cluster": "root"}


def runs(n_groups: int, n_clusters: int, sizes: int, seed: int) -> pd.DataFrame:
    """Errors that saturate, from checkpoints that scatter by 5% and runs that scatter by 10%."""
    rng = np.random.default_rng(seed)
    shape = (n_groups, n_clusters, sizes)
    group, cluster, size = (axis.ravel() for axis in np.indices(shape))
    labels = np.geomspace(10, 10_000, sizes)[size]
    noise = rng.normal(0, 0.05, shape[:2])[group, cluster] + rng.normal(0, 0.1, group.size)
    mae = (3 + (20 + group % 7) * (labels / 300) ** -0.6) * np.exp(noise)
    root = [f"{g}/{c}" for g, c in zip(group, cluster, strict=True)]
    return pd.DataFrame({"group": group, "root": root, "labels": labels, "mae": mae})


def plain_loop(frame: pd.DataFrame, draws: int) -> None:
    """Resample clusters and call curve_fit on ln y, starting at the optimum."""
    rng = np.random.default_rng(0)

    def ln_law(x: np.ndarray, floor: float, ln_amplitude: float, exponent: float) -> np.ndarray:
        return np.log(floor + np.exp(ln_amplitude - exponent * np.log(x / 300)))

    x, ln_y = frame["labels"].to_numpy(), np.log(frame["mae"].to_numpy())
    bounds = ([0, -np.inf, 0], np.inf)
    best, _ = curve_fit(ln_law, x, ln_y, p0=[1, 3, 0.5], bounds=bounds)
    _, clusters = np.unique(frame["root"], return_inverse=True)
    members = [np.flatnonzero(clusters == c) for c in range(clusters.max() + 1)]
    for _ in range(draws):
        drawn = np.concatenate([members[c] for c in rng.integers(0, len(members), len(members))])
        curve_fit(ln_law, x[drawn], ln_y[drawn], p0=best, bounds=bounds)


def seconds(work: Callable[[], object]) -> float:
    """Wall time."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def measure() -> list[dict[str, float | str]]:
    """Both tasks."""
    one, many = runs(1, 25, 10, seed=0), runs(100, 10, 10, seed=1)
    fit(one, "saturating power", draws=10, **LAW)  # imports SciPy
    first = many[many["group"] == 0]
    return [
        {
            "task": "3 coefficients, 250 rows, 2,000 draws",
            "mfscale_s": seconds(lambda: fit(one, "saturating power", draws=2000, **LAW)),
            "curve_fit_loop_s": 20 * seconds(lambda: plain_loop(one, 100)),
        },
        {
            "task": "100 groups of 100 rows, 1,000 draws each",
            "mfscale_s": seconds(
                lambda: fit(many, "saturating power", group="group", draws=1000, **LAW)
            ),
            "curve_fit_loop_s": 1000 * seconds(lambda: plain_loop(first, 100)),
        },
    ]


def main() -> None:
    """Print the table, and write it as JSON to the path given."""
    rows = measure()
    print(f"{'task':<42} {'mfscale':>9} {'curve_fit':>10} {'ratio':>6}")
    for row in rows:
        ours, theirs = float(row["mfscale_s"]), float(row["curve_fit_loop_s"])
        row["ratio"] = theirs / ours
        print(f"{row['task']:<42} {ours:>7.2f} s {theirs:>8.1f} s {theirs / ours:>6.1f}")
    if len(sys.argv) > 1:
        machine = {"python": platform.python_version(), "scipy": scipy.__version__}
        machine["processor"] = platform.processor() or platform.machine()
        content = {"machine": machine, "tasks": rows}
        Path(sys.argv[1]).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
