"""Draw the figures of docs/findings.md that no command draws, from examples/embedded.

Run ``python examples/figures.py [OUT]``: strategies side by side at matched compute; xTB against
DFT labels at equal cost, and what tuning brings, over sizes of models.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mfscale.cli.results import study_rows
from mfscale.report.save import save
from mfscale.report.style import MARKERS, NEUTRAL, SETTINGS, ordered_colours
from mfscale.results import Store

ROOT = Path(__file__).parents[1]
STORE = Store(ROOT / "examples" / "embedded")
ERROR = "cc_t_energy_mae_mev"
COSTS = {"dft": 100, "xtb": 1}
"""Of a label, where a CC label costs 1000."""
NAMES = {"dft": "DFT", "xtb": "xTB"}
SIZES = ("tiny", "small")


def rows_of(*studies: str) -> pd.DataFrame:
    """Rows of studies that have a CC head, with the place that uses each."""
    frames = [study_rows(STORE, ROOT / "sweeps" / f"{name}.yaml") for name in studies]
    frame = pd.concat(frames).drop_duplicates("stage_id")
    return frame[frame[ERROR].notna()]


def dots(axes: Axes, y: float, errors: Sequence[float], colour: str, marker: str) -> None:
    """Every replicate, and their geometric mean as a bar across."""
    axes.plot(errors, np.full(len(errors), y), marker, color=colour, mfc="white", ms=3.5, lw=0)
    mean = mean_of(pd.Series(errors))
    axes.plot([mean, mean], [y - 0.2, y + 0.2], color=colour, lw=1.6)


def strategies() -> Figure:
    """CC error of every strategy at matched total compute, with 50 and 200 CC labels."""
    frame = rows_of("strategies", "fidelity")
    frame["strategy"] = frame["used_by"].str.extract(r"(?:^|, )([\w-]+)\[")[0]
    part = frame["trainable"].where(frame["trainable"] != "all", "")
    embedding = (frame["fidelity"] == "embedding").map({True: "embedding", False: ""})
    frame["name"] = [
        " ".join(filter(None, words))
        for words in zip(frame["strategy"], part, embedding, strict=True)
    ]
    means = np.log(frame[ERROR]).groupby(frame["name"]).mean().sort_values(ascending=False)
    figure = Figure(figsize=(5.2, 0.26 * len(means) + 0.7))
    axes = figure.add_axes((0.3, 0.13, 0.67, 0.82))
    series = zip((50, 200), (0.18, -0.18), ordered_colours(2), MARKERS, strict=False)
    for labels, beside, colour, marker in series:
        chosen = frame[frame["cc_size"] == labels]
        for y, name in enumerate(means.index):
            errors = chosen.loc[chosen["name"] == name, ERROR].tolist()
            if errors:
                dots(axes, y + beside, errors, colour, marker)
        axes.plot([], [], marker, color=colour, mfc="white", ms=3.5, label=f"{labels} CC labels")
    axes.set(xscale="log", yticks=range(len(means)), yticklabels=means.index)
    axes.set_xticks([100, 150, 200, 300, 400], ["100", "150", "200", "300", "400"])
    axes.set_xticks([], minor=True)
    axes.set_xlabel("CC test MAE (meV); bar: geometric mean of replicates")
    axes.legend(frameon=False, loc="upper right")
    return figure


def label_costs() -> Figure:
    """CC error with 200 CC labels against the cost of the pre-training labels, by model size."""
    frame = at_200("fig4", tuned=True)
    sets = frame["pretraining"].str.extract(r"^(?P<method>\w+):b:(?P<labels>\d+)\+forces$")
    figure = Figure(figsize=(5.2, 2.3))
    panels: list[Axes] = list(figure.subplots(1, 2, sharey=True))
    for axes, size in zip(panels, SIZES, strict=True):
        here = frame["size"] == size
        direct = frame.loc[here & (frame["pretraining"] == "none"), ERROR]
        nowhere = np.full(len(direct), 0.1)
        axes.plot(nowhere, direct, "D", color=NEUTRAL, mfc="white", ms=3, label="direct")
        axes.axhline(mean_of(direct), color=NEUTRAL, lw=1)
        for method, colour, marker in zip(COSTS, ordered_colours(2), MARKERS, strict=False):
            chosen = here & (sets["method"] == method)
            cost = sets.loc[chosen, "labels"].astype(float) * COSTS[method] / 1000
            runs = frame.loc[chosen, ERROR]
            style = {"color": colour, "mfc": "white", "ms": 3.5, "label": NAMES[method]}
            axes.plot(cost, runs, marker, **style)
            means = np.log(runs).groupby(cost).mean()
            axes.plot(means.index, np.exp(means), color=colour)
        axes.set(xscale="log", yscale="log", title=f"NequIP {size}")
        axes.set_xticks([0.1, 1, 10, 100], ["none", "1", "10", "100"])
        axes.set_xticks([], minor=True)
        axes.set_yticks([100, 150, 200, 300], ["100", "150", "200", "300"])
        axes.set_yticks([], minor=True)
    panels[0].set_ylabel("CC test MAE (meV), 200 CC labels")
    note = "cost of the pre-training labels, in CC labels; lines: geometric means of replicates"
    figure.supxlabel(note, fontsize=8)
    panels[0].legend(frameon=False, fontsize=6)
    figure.subplots_adjust(left=0.1, right=0.99, bottom=0.2, top=0.9, wspace=0.08)
    return figure


def tuned_and_untuned() -> Figure:
    """CC error with 200 CC labels against model size, with tuned and with default settings."""
    figure = Figure(figsize=(3.5, 2.5))
    axes = figure.add_axes((0.15, 0.17, 0.82, 0.78))
    kinds = {"none": "direct", "dft:b:1000+forces": "pre-trained on 1000 DFT labels"}
    colours = ordered_colours(len(kinds))
    for tuned, style in ((True, "-"), (False, ":")):
        frame = at_200("sizes", tuned=tuned)
        for (kind, name), colour, marker in zip(kinds.items(), colours, MARKERS, strict=False):
            rows = frame[frame["pretraining"] == kind]
            axes.plot(
                rows["n_parameters"],
                rows[ERROR],
                marker,
                color=colour,
                mfc="white" if tuned else colour,
                ms=3,
            )
            means = np.log(rows[ERROR]).groupby(rows["n_parameters"].astype(float)).mean()
            axes.plot(means.index, np.exp(means), style, color=colour)
            axes.plot(
                [],
                [],
                style + marker,
                color=colour,
                mfc="white" if tuned else colour,
                ms=3,
                label=f"{name}, {'tuned' if tuned else 'defaults'}",
            )
    axes.set(xscale="log", yscale="log", xlabel="parameters")
    ticks = [8784, 30288, 165536]
    axes.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
    axes.set_xticks([], minor=True)
    axes.set_ylabel("CC test MAE (meV), 200 CC labels")
    axes.set_yticks([100, 150, 200, 300, 400], ["100", "150", "200", "300", "400"])
    axes.set_yticks([], minor=True)
    axes.legend(frameon=False, fontsize=6)
    return figure


def at_200(study: str, *, tuned: bool) -> pd.DataFrame:
    """Fine-tuned and direct rows of a study with 200 CC labels."""
    frame = rows_of(study)
    return frame[(frame["cc_size"] == 200) & (frame["tuning"].notna() == tuned)]


def mean_of(errors: "pd.Series[float]") -> float:
    """The geometric mean."""
    return float(np.exp(np.log(errors).mean()))


if __name__ == "__main__":
    out = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "figures"
    with rc_context(SETTINGS):
        for draw in (strategies, label_costs, tuned_and_untuned):
            save(draw(), out / draw.__name__.replace("_", "-"))
