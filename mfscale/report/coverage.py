"""The picture of what a dataset holds: labels, elements, sizes, energies, shared structures."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mfscale.report.style import NEUTRAL, SETTINGS, ordered_colours, tick_labels

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_WIDE_IN, _HIGH_IN = 7.2, 4.6
_BINS = 60
_SHOWN = (0.5, 99.5)  # percentiles; what lies beyond is counted, not drawn


class Covered(Protocol):
    """What is drawn; `mfscale.data.coverage.Coverage` says what each is."""

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def split(self) -> str: ...  # noqa: D102
    @property
    def n_structures(self) -> int: ...  # noqa: D102
    @property
    def labels(self) -> Mapping[str, Mapping[str, int]]: ...  # noqa: D102
    @property
    def elements(self) -> Mapping[str, float]: ...  # noqa: D102
    @property
    def n_atoms(self) -> Mapping[str, NDArray[np.int64]]: ...  # noqa: D102
    @property
    def energies_ev(self) -> Mapping[str, NDArray[np.float64]]: ...  # noqa: D102
    @property
    def shared(self) -> Mapping[tuple[str, str], int]: ...  # noqa: D102
    @property
    def differences_mev(self) -> Mapping[str, NDArray[np.float64]]: ...  # noqa: D102


def coverage(found: Covered) -> "Figure":
    """Draw six panels on one page.

    Labels of each method in each subset (logarithmic), elements, atoms per structure, energies per
    atom after offsets per element, structures that two methods share, and how far methods are from
    the dearest one. Histograms leave out half a percent on either side, and say how many that is.
    """
    import matplotlib as mpl  # noqa: PLC0415 - drawing alone needs it
    from matplotlib.figure import Figure  # noqa: PLC0415 - likewise

    methods = list(found.labels)
    colours = dict(zip(methods, ordered_colours(len(methods)), strict=True))
    with mpl.rc_context(SETTINGS | {"axes.labelsize": 7}):
        figure = Figure(figsize=(_WIDE_IN, _HIGH_IN), layout="constrained")
        panels = figure.subplots(2, 3)
        _labels(panels[0, 0], found.labels, found.split)
        _elements(panels[0, 1], found.elements)
        _sizes(panels[0, 2], found.n_atoms, colours)
        _histograms(panels[1, 0], found.energies_ev, colours)
        panels[1, 0].set_xlabel("energy after offsets (eV/atom)")
        _shared(panels[1, 1], found.shared, methods)
        differences = {k: v for k, v in found.differences_mev.items() if len(v)}
        of = {k: colours[k.partition(" − ")[0]] for k in differences}
        _histograms(panels[1, 2], differences, of)
        panels[1, 2].set_xlabel("difference after offsets (meV/atom)")
        figure.suptitle(f"{found.name}: {found.n_structures:,} structures", fontsize=8)
    return figure


def _labels(axes: "Axes", labels: Mapping[str, Mapping[str, int]], split: str) -> None:
    subsets = list(next(iter(labels.values())))
    high = 0.8 / len(subsets)
    every = [n for of in labels.values() for n in of.values() if n]
    most, left = max(every), 10 ** np.floor(np.log10(min(every))) / 1.8
    for k, (subset, colour) in enumerate(zip(subsets, ordered_colours(len(subsets)), strict=True)):
        counts = [of[subset] for of in labels.values()]
        places = np.arange(len(labels)) + (k - (len(subsets) - 1) / 2) * high
        axes.barh(places, counts, height=high * 0.92, color=colour)
        for place, count in zip(places, counts, strict=True):
            said = f"{subset} {tick_labels([count])[0]}"
            axes.text(max(count * 1.1, left), place, said, va="center", fontsize=5.5)
    axes.set(xscale="log", xlim=(left / 1.1, most * 12))
    axes.set_yticks(np.arange(len(labels)), list(labels))
    axes.invert_yaxis()
    axes.set_xlabel(f"labels, {split} split")


def _elements(axes: "Axes", shares: Mapping[str, float]) -> None:
    places = np.arange(len(shares))
    axes.bar(places, [100 * share for share in shares.values()], color=NEUTRAL, width=0.7)
    small = len(shares) > 12
    axes.set_xticks(places, list(shares), fontsize=4 if small else 7)
    axes.set(ylim=(0, 105), xlabel="element", ylabel="structures with it (%)")


def _sizes(
    axes: "Axes", n_atoms: Mapping[str, NDArray[np.int64]], colours: Mapping[str, str]
) -> None:
    from matplotlib.ticker import MaxNLocator  # noqa: PLC0415 - drawing alone needs it

    low = min(int(n.min()) for n in n_atoms.values())
    most = max(int(n.max()) for n in n_atoms.values())
    step = max(1, -(-(most - low + 1) // _BINS))
    edges = np.arange(low, most + step + 1, step) - 0.5
    for method, n in n_atoms.items():
        share = np.histogram(n, edges)[0] / len(n)
        axes.stairs(100 * share, edges, color=colours[method], label=method, linewidth=1.1)
    axes.set(xlabel="atoms per structure", ylabel="labels (%)", ylim=(0, None))
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.legend(frameon=False, handlelength=1.2)


def _histograms(
    axes: "Axes", values: Mapping[str, NDArray[np.float64]], colours: Mapping[str, str]
) -> None:
    """Shares over one range for all, so that their widths compare."""
    axes.set(ylabel="labels (%)")
    if not values:
        axes.text(0.5, 0.5, "no structure has two labels", transform=axes.transAxes, ha="center")
        return
    bounds = np.array([np.percentile(v, _SHOWN) for v in values.values()])
    low, high = float(bounds[:, 0].min()), float(bounds[:, 1].max())
    edges = np.linspace(low, high if high > low else low + 1e-6, _BINS + 1)
    for name, v in values.items():
        share = np.histogram(v, edges)[0] / len(v)
        beyond = int(((v < low) | (v > high)).sum())
        said = f"{name}, {beyond} beyond" if beyond else name
        axes.stairs(100 * share, edges, color=colours[name], label=said, linewidth=1.1)
    axes.set_ylim(0, axes.get_ylim()[1] * (1.05 + 0.13 * len(values)))
    axes.legend(frameon=False, handlelength=1.2, fontsize=6, loc="upper right")


def _shared(axes: "Axes", shared: Mapping[tuple[str, str], int], methods: Sequence[str]) -> None:
    counts: NDArray[Any] = np.zeros((len(methods), len(methods)), dtype=np.int64)
    for (one, other), n in shared.items():
        i, j = methods.index(one), methods.index(other)
        counts[i, j] = counts[j, i] = n
    share = counts / np.maximum(np.diag(counts), 1)[:, None]
    axes.imshow(share, cmap="Greys", vmin=0, vmax=1.4, aspect="auto")
    for i, j in np.ndindex(*counts.shape):
        light = share[i, j] > 0.75
        said = f"{tick_labels([int(counts[i, j])])[0]}\n{100 * share[i, j]:.0f} %"
        axes.text(
            j, i, said, ha="center", va="center", fontsize=6, color="white" if light else "black"
        )
    axes.set_xticks(range(len(methods)), list(methods))
    axes.set_yticks(range(len(methods)), list(methods))
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    axes.set(xlabel="also has a label of", ylabel="structures labelled by")
