"""Import, graphs, opening and one labelled set at growing sizes: structures/s, seconds, memory.

Run ``OMP_NUM_THREADS=1 python benchmarks/importing.py [--sizes 10000,100000] [--out OUT.json]``: a
table on standard output, JSON if asked. Sources are made on the spot, of 14 atoms a structure on
average, with DFT energies and forces and CC energies. Each measurement is a process of its own;
memory is its largest, without the files that it maps. Rates are per second of processor time, which
a busy machine leaves as it is. Extended XYZ and LMDB are measured at the
smallest size alone, for their rates do not depend on it.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

HARTREE_EV = 27.211386245988
CUTOFF_A = 5.0
_GROUPS, _AT_ONCE = 200, 5000


def groups(n: int) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
    """Atomic numbers, positions (Å), energies (eV) and forces (eV/Å), a formula at a time."""
    rng = np.random.default_rng(0)
    for m in np.diff(np.linspace(0, n, _GROUPS + 1).astype(int)):
        size = int(rng.integers(6, 23))
        numbers = np.sort(rng.choice([1, 6, 7, 8], size=size, p=[0.5, 0.3, 0.1, 0.1]))[::-1]
        places = np.argwhere(np.ones((3, 3, 3)))[:size] * 1.3
        positions = places + rng.uniform(-0.15, 0.15, size=(m, size, 3))
        energies = -13.0 * (numbers**2.4).sum() + rng.normal(scale=0.3, size=m)
        yield numbers, positions, energies, rng.normal(size=(m, size, 3))


def write_hdf5(file: Path, n: int) -> None:
    """In the layout of the ANI-1x release."""
    import h5py  # noqa: PLC0415 - measurements in other processes do not need it

    with h5py.File(file, "w") as out:
        for k, (numbers, positions, energies, forces) in enumerate(groups(n)):
            group = out.create_group(f"formula{k:03d}")
            group["atomic_numbers"] = numbers.astype(np.uint8)
            group["coordinates"] = positions.astype(np.float32)
            group["wb97x_dz.energy"] = energies / HARTREE_EV
            group["wb97x_dz.forces"] = (forces / HARTREE_EV).astype(np.float32)
            group["ccsd(t)_cbs.energy"] = (energies - 3.0) / HARTREE_EV


def write_xyz(file: Path, n: int) -> None:
    """Extended XYZ, energies and forces of DFT."""
    from ase import Atoms  # noqa: PLC0415 - likewise
    from ase.io import write  # noqa: PLC0415 - likewise

    for numbers, positions, energies, forces in groups(n):
        frames = []
        for r, energy, force in zip(positions, energies, forces, strict=True):
            frames.append(Atoms(numbers, r, info={"dft_energy": energy}))
            frames[-1].arrays["dft_forces"] = force
        write(file, frames, format="extxyz", append=True)


def write_lmdb(folder: Path, n: int) -> None:
    """LMDB with a table of labels, records in JSON."""
    import lmdb  # noqa: PLC0415 - likewise
    import pyarrow as pa  # noqa: PLC0415 - likewise
    import pyarrow.parquet as pq  # noqa: PLC0415 - likewise

    folder.mkdir()
    table: dict[str, list[object]] = {"idx": [], "energy": [], "n_atoms": []}
    environment = lmdb.open(str(folder / "x.lmdb"), subdir=False, map_size=1 << 34)
    with environment.begin(write=True) as transaction:
        for numbers, positions, energies, forces in groups(n):
            for r, energy, force in zip(positions, energies, forces, strict=True):
                idx = len(table["idx"])
                record = {"numbers": numbers.tolist(), "positions": r.tolist()}
                content = json.dumps(record | {"forces": force.tolist()})
                transaction.put(str(idx).encode(), content.encode())
                for name, value in (("idx", idx), ("energy", energy), ("n_atoms", len(r))):
                    table[name].append(value)
    environment.close()
    constant = {"method": "dft", "energy_unit": "eV", "forces_unit": "eV/Å"}
    every = table | {name: [value] * n for name, value in constant.items()}
    pq.write_table(pa.table(every | {"forces_present": [True] * n}), folder / "metadata.parquet")


def import_(source: str, destination: str) -> None:
    """Import a source."""
    from mfscale.data.imports import import_dataset, parse_method  # noqa: PLC0415 - measured

    xyz = [parse_method("dft:energy=dft_energy,forces=dft_forces", "eV")]
    methods = xyz if source.endswith(".xyz") else []
    import_dataset([Path(source)], Path(destination), name="made", methods=methods)


def graphs(dataset: str, cache: str) -> None:
    """Build the neighbour graphs."""
    from mfscale.data import Dataset, neighbour_graphs  # noqa: PLC0415 - measured

    neighbour_graphs(Dataset(dataset), CUTOFF_A, cache=Path(cache))


def opened(dataset: str) -> None:
    """Open the dataset."""
    from mfscale.data import Dataset  # noqa: PLC0415 - measured

    Dataset(dataset)


def labelled(dataset: str, cache: str) -> None:
    """Open it and its graphs, draw a labelled set of 1,000 structures, and pack it for training."""
    from mfscale.data import Dataset, neighbour_graphs, pack  # noqa: PLC0415 - measured

    data = Dataset(dataset)
    drawn = data.labelled_set("dft", "b", 1000, forces=True, n_validation=50)
    pack(data, neighbour_graphs(data, CUTOFF_A, cache=Path(cache)), drawn.train)
    data.energies("dft", drawn.train)
    data.forces("dft", drawn.train)


WORK: dict[str, Callable[..., None]] = {
    "import": import_,
    "graphs": graphs,
    "open": opened,
    "labelled": labelled,
}


def measured(what: str, *arguments: str) -> dict[str, float]:
    """Do some work in a process of its own: seconds after the imports, and MB of memory."""
    command = [sys.executable, __file__, "--work", what, *arguments]
    done = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603 - ours
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def work(what: str, *arguments: str) -> None:
    """Do it, and say how long it took and how much memory it had."""
    import mfscale.data.imports  # noqa: F401, PLC0415 - not part of what is measured

    peak, done = [_private_mb()], threading.Event()

    def watch() -> None:
        while not done.wait(0.02):
            peak.append(_private_mb())

    before = peak[0]
    watching = threading.Thread(target=watch)
    watching.start()
    began, used = time.perf_counter(), _cpu_s()
    WORK[what](*arguments)
    took, used = time.perf_counter() - began, _cpu_s() - used
    done.set()
    watching.join()
    print(json.dumps({"seconds": took, "cpu_s": used, "memory_mb": max(peak), "before_mb": before}))


def _cpu_s() -> float:
    """Processor time of this process and of those it has waited for."""
    return sum(os.times()[:4])


def _private_mb() -> float:
    """Memory of this process that is not that of mapped files."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon"):
            return int(line.split()[1]) / 1024
    return float("nan")


def row(what: str, n: int, found: dict[str, float]) -> dict[str, float | str]:
    """One line of the table, printed as soon as it is known."""
    rate = "" if what in {"open", "labelled set"} else f"{n / found['cpu_s']:,.0f}"
    times = f"{found['seconds']:>10.2f}{found['cpu_s']:>10.2f}"
    print(f"{what:22}{n:>12,}{times}{rate:>10}{found['memory_mb']:>10.0f}", flush=True)
    return {"what": what, "structures": n, **found}


def measure(sizes: list[int], folder: Path) -> list[dict[str, float | str]]:
    """All rows of the table."""
    rows = []
    print(f"{'':22}{'structures':>12}{'s':>10}{'CPU s':>10}{'per CPU s':>10}{'MB':>10}")
    for n in sizes:
        source, dataset, cache = folder / f"{n}.h5", folder / f"d{n}", folder / f"c{n}"
        write_hdf5(source, n)
        imported = measured("import", str(source), str(dataset))
        rows.append(row("import, HDF5", n, imported))
        rows.append(row("graphs, 5 Å", n, measured("graphs", str(dataset), str(cache))))
        rows.append(row("open", n, measured("open", str(dataset))))
        drawn = measured("labelled", str(dataset), str(cache))
        rows.append(row("labelled set", n, drawn))
        source.unlink()
    for name, write in (("x.xyz", write_xyz), ("x", write_lmdb)):
        write(folder / name, sizes[0])
        kind = "extended XYZ" if name.endswith("xyz") else "LMDB of JSON"
        destination = str(folder / f"{name}.imported")
        found = measured("import", str(folder / name), destination)
        rows.append(row(f"import, {kind}", sizes[0], found))
    return rows


def main() -> None:
    """Measure, or do one piece of work for a measurement."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sizes", default="10000,100000", help="structures, by commas")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--work", nargs="+", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.work:
        work(*asked.work)
        return
    sizes = [int(size) for size in asked.sizes.split(",")]
    with tempfile.TemporaryDirectory() as folder:
        rows = measure(sizes, Path(folder))
    if asked.out:
        about = {"python": platform.python_version(), "numpy": np.__version__}
        content = about | {"cores": os.cpu_count(), "rows": rows}
        asked.out.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
