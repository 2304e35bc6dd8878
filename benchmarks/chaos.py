"""Kill workers, drivers and Ray nodes at random, fill the disk once, and compare with a quiet run.

``python benchmarks/chaos.py [OUT.json] [--stages N] [--kills N] [--limit SECONDS] [--seed N]``
runs a study twice: undisturbed, and by two drivers at once on one store, one of them on a Ray
cluster, while workers, drivers and the cluster's node are killed. The table must be the same but
for times, attempts and machines, no finished stage may be trained again, and no reader may find a
damaged file or lose a row. Exit status 1 if anything of that fails. Kills stop after the limit; the
study then ends in peace.
"""

import argparse
import json
import os
import platform
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path

from driven import SPACE_MB, Cluster, Driver, small_disk

from mfscale.results import GROUPS, Store

STUDY = """
name: chaos
dataset: chno3
seed: {seeds}
training: {{max_steps: {steps}, validate_every: 5, batch_size: 8}}
strategies:
  direct:
    - heads: {{cc: {{subset: a, size: 16, validation: 8}}}}
  finetune:
    - heads: {{dft: {{subset: b, size: 16, validation: 8}}}}
    - heads: {{cc: {{subset: a, size: [8, 16, 24], validation: 8}}}}
"""
PER_SEED = 5
TIMES = {"train_time_s", "total_train_time_s"}
SCIENCE = [
    field.name
    for group, fields in GROUPS.items()
    for field in fields
    if group != "provenance" and field.name not in {"attempt", *TIMES}
]
KINDS = {"worker SIGKILL": 10, "worker SIGTERM": 4, "driver SIGKILL": 4, "driver SIGTERM": 2}
KINDS |= {"driver Ctrl-C": 2, "node SIGKILL": 3}
"""Kinds of kills, and how often each among all."""
DRIVERS = 2
PACE, PATIENCE_S = 2, 8.0
"""A kill comes once so many stages have finished since the last one, or so much time is over."""


class Chaos:
    """Two drivers on one store, what happens to them, and what a reader sees meanwhile."""

    def __init__(
        self, study: Path, store: Path, logs: Path, dice: random.Random, cluster: Cluster | None
    ) -> None:
        self.cluster = cluster
        self.study, self.path, self.logs, self.dice = study, store, logs, dice
        self.drivers: list[Driver] = []
        self.started = 0
        self.kills: Counter[str] = Counter()
        self.statuses: Counter[int] = Counter()
        self.reads = 0
        self.finished: dict[str, object] = {}
        self.faults: list[str] = []

    def keep_running(self, number: int) -> None:
        """Start drivers in the place of those that have ended."""
        for driver in [d for d in self.drivers if not d.runs]:
            status, told = driver.process.returncode, driver.log.read_text()
            self.statuses[status] += 1
            expected = {-signal.SIGKILL, *(128 + number for number in driver.sent)}
            if "Traceback" in told or status not in {0, 1, *(expected if driver.sent else ())}:
                self.faults.append(f"a driver ended with {status} after {driver.sent}: {told}")
            driver.end()
            self.drivers.remove(driver)
        while len(self.drivers) < number:
            log = self.logs / f"driver-{self.started}.log"  # kept: they tell of a full disk
            taken = any(driver.cluster for driver in self.drivers)
            cluster = None if taken else self.cluster
            self.drivers.append(Driver(self.study, self.path, log, 2 // number, cluster))
            self.started += 1
        if self.cluster:
            self.cluster.keep_node()

    def read(self) -> None:
        """Read the store as anyone may at any time; what is finished stays as it is."""
        if not (self.path / "store.json").exists():
            return
        self.reads += 1
        try:
            rows = Store(self.path).table().select(["stage_id", "status", "started_at"])
        except ValueError as error:
            self.faults.append(str(error))
            return
        now = {
            row["stage_id"]: row["started_at"]
            for row in rows.to_pylist()
            if row["status"] == "finished"
        }
        if gone := [stage for stage, began in self.finished.items() if now.get(stage) != began]:
            self.faults.append(f"rows are gone or others: {gone}")
        self.finished |= now

    def kill(self, kind: str) -> bool:
        """Kill one process or node of a kind; false if there is none now."""
        driver = self.dice.choice(self.drivers)
        what, how = kind.split()
        number = {"SIGKILL": signal.SIGKILL, "SIGTERM": signal.SIGTERM, "Ctrl-C": signal.SIGINT}
        if what == "node":
            trained = [d for d in self.drivers if d.cluster and d.workers()]
            if self.cluster is None or not trained:
                return False
            self.cluster.kill_node()
        else:
            workers = driver.workers()
            if not workers:
                return False  # a driver that still starts would show nothing
            if what == "driver":
                driver.sent.append(number[how])
            with suppress(ProcessLookupError):
                target = self.dice.choice(workers) if what == "worker" else driver.process.pid
                os.kill(target, number[how])
        self.kills[kind] += 1
        return True

    def wait(self, seconds: float, drivers: int = DRIVERS) -> None:
        """Read and keep drivers running for a while."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self.keep_running(drivers)
            self.read()
            time.sleep(0.1)

    def end(self) -> None:
        """End all drivers."""
        for driver in self.drivers:
            driver.end()


def fill(disk: Path, chaos: Chaos, seconds: float) -> dict[str, object]:
    """Leave no byte free for a while; say what came of it."""
    filler = disk / "filler"
    with suppress(OSError), filler.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(1 << 16))
    free = shutil.disk_usage(disk).free
    chaos.wait(seconds)
    filler.unlink()
    return {"free_bytes": free, "seconds": seconds}


def science(store: Path) -> dict[tuple[str, str], object]:
    """What equal runs must share, by stage and field."""
    return {
        (row["stage_id"], field): value
        for row in Store(store).table().select(SCIENCE).to_pylist()
        for field, value in row.items()
    }


def checks(quiet: Path, store: Path, study: Path, chaos: Chaos) -> dict[str, object]:
    """What must hold at the end; true, or what is wrong."""
    wanted, found = science(quiet), science(store)
    differing = sorted({k[0] for k in wanted.keys() | found if wanted.get(k) != found.get(k)})
    rows = Store(store).table().select(["stage_id", "status", "attempt"]).to_pylist()
    ids = [row["stage_id"] for row in rows]
    last = {row["stage_id"]: row["attempt"] for row in rows}
    again = [
        log.stem
        for log in (store / "logs").glob("*.log")
        if int(log.stem.rpartition("-")[2]) > last[log.stem.rpartition("-")[0]]
    ]
    verify = [sys.executable, "-m", "mfscale", "verify", str(study), "--store", str(store)]
    found_wrong = subprocess.run(verify, capture_output=True, text=True, check=False)  # noqa: S603
    return {
        "same_table": differing or True,
        "all_finished": all(row["status"] == "finished" for row in rows),
        "one_row_a_stage": len(ids) == len(set(ids)),
        "no_finished_stage_trained_again": again or True,
        "nothing_set_aside": not (store / "set-aside").exists(),
        "every_read_whole": chaos.faults or True,
        "verify_finds_nothing": found_wrong.returncode == 0 or found_wrong.stdout,
    }


def kinds_due(kills: int, *, nodes: bool) -> list[str]:
    """As many kinds of kills, each about as often as `KINDS` says."""
    every = [
        (kind, n / sum(KINDS.values())) for kind, n in KINDS.items() if nodes or "node" not in kind
    ]
    due = [kind for kind, share in every for _ in range(round(share * kills))]
    return (due + [kind for kind, _ in every] * kills)[:kills]


def rampage(
    chaos: Chaos, disk: Path | None, due: list[str], limit_s: float, n: int
) -> dict[str, object]:
    """Kill until it is enough, time is over or all is done; then let one driver end the study."""
    dice, began = chaos.dice, time.monotonic()
    dice.shuffle(due)
    filled: dict[str, object] | None = None
    half = len(due) // 2
    fresh, seen, last = False, 0, began
    chaos.wait(5)
    while due and time.monotonic() - began < limit_s and len(chaos.finished) < n:
        chaos.wait(dice.uniform(0.2, 3))
        if fresh and len(chaos.finished) < seen + PACE and time.monotonic() - last < PATIENCE_S:
            continue
        half_way = len(chaos.finished) > n // 4 or len(due) <= half
        if filled is None and disk is not None and half_way:
            filled = fill(disk, chaos, seconds=15)
        elif fresh := chaos.kill(due[0]):
            due.pop(0)
            seen, last = len(chaos.finished), time.monotonic()
        else:
            due.append(due.pop(0))
    raged_s = time.monotonic() - began
    while len(chaos.finished) < n and time.monotonic() - began < 2 * limit_s:
        chaos.wait(1)
    chaos.end()
    if filled:
        told = [log.read_text() for log in chaos.logs.glob("driver-*.log")]
        filled["drivers_that_told"] = sum("No space left on device" in text for text in told)
    return {"kills_s": raged_s, "kills_left_undone": len(due), "disk_filled": filled}


def run_quietly(study: Path, store: Path, logs: Path) -> float:
    """Run the study undisturbed; its wall time."""
    began = time.monotonic()
    driver = Driver(study, store, logs / f"{store.name}.log", cpus=2)
    try:
        status = driver.process.wait()
    finally:
        driver.end()
    if status:
        raise SystemExit(f"a run ended with {status}: {driver.log.read_text()}")
    return time.monotonic() - began


def main() -> None:
    """Do it, print what came of it, and write it as JSON to the path given."""
    parser = argparse.ArgumentParser(description="Kill at random; compare with a quiet run.")
    parser.add_argument("out", nargs="?", type=Path)
    numbers = {"stages": 200, "kills": 30, "limit": 420, "seed": 0, "steps": 10}
    for name, value in numbers.items():
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--kinds", nargs="*", choices=[*KINDS], help="instead of a number of kills")
    parser.add_argument("--no-nodes", dest="nodes", action="store_false")
    parser.add_argument("--no-disk", dest="disk", action="store_false")
    asked = parser.parse_args()
    began = time.monotonic()
    folder = Path(tempfile.mkdtemp(prefix="chaos-"))
    os.environ["RAY_TMPDIR"] = str(folder)
    n = PER_SEED * max(1, asked.stages // PER_SEED)
    study = folder / "study.yaml"
    study.write_text(STUDY.format(seeds=list(range(n // PER_SEED)), steps=asked.steps))
    try:
        with small_disk(folder / "disk") as mounted:
            store = folder / "disk" / "store"
            quiet_s = run_quietly(study, folder / "quiet", folder)
            dice = random.Random(asked.seed)  # noqa: S311 - dice
            cluster = Cluster(folder / "ray") if asked.nodes else None
            chaos = Chaos(study, store, folder, dice, cluster)
            try:
                disk = folder / "disk" if mounted and asked.disk else None
                due = asked.kinds or kinds_due(asked.kills, nodes=asked.nodes)
                told = rampage(chaos, disk, due, asked.limit, n)
            finally:
                chaos.end()
                if cluster:
                    cluster.end()
            last_s = run_quietly(study, store, folder)
            held = checks(folder / "quiet", store, study, chaos)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    passed = all(value is True for value in held.values())
    content = {
        "passed": passed,
        "checks": held,
        "stages": n,
        "kills": sum(chaos.kills.values()),
        "kills_by_kind": dict(sorted(chaos.kills.items())),
        **told,
        "disk": f"tmpfs of {SPACE_MB} MB"
        if mounted
        else "an ordinary one: this user may not mount",
        "drivers_at_once": DRIVERS,
        "drivers_started": chaos.started,
        "drivers_exit_statuses": {str(k): v for k, v in sorted(chaos.statuses.items())},
        "reads_meanwhile": chaos.reads,
        "quiet_s": quiet_s,
        "last_run_s": last_s,
        "wall_s": time.monotonic() - began,
        "seed": asked.seed,
        "versions": {p: version(p) for p in ("mfscale", "ray", "torch")}
        | {"python": platform.python_version()},
        "processor": f"{platform.machine()}, {os.cpu_count()} cores",
    }
    print(json.dumps(content, indent=2))
    if asked.out:
        asked.out.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    sys.exit(0 if passed else 1)


if __name__ == "__main__":
    main()
