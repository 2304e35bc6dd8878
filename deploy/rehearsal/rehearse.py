"""Rehearse a cluster on one machine: ``ray up``, a study, the loss of a host, ``ray down``.

    python deploy/rehearsal/rehearse.py --out rehearsal.json

A laptop, a head and three workers are made of Linux namespaces (``hosts.py``): each has a network,
processes, a home and a /tmp of its own, and they reach each other by SSH alone. What is typed on
the laptop is what the documents say. While stages train, one worker's cable is taken out and the
shared file system with it; the study must finish on the others, and all rows be there.

Needs root and Debian's iproute2, openssh-server and rsync. Nothing outside the namespaces is
touched; they end with this process, and nothing is left. Exit status: 0 if all went as it should,
1 if not, 2 if this machine cannot.
"""

import argparse
import json
import os
import re
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import bucket
import yaml
from hosts import LAPTOP, Host, Site, apart, lacking

HERE = Path(__file__).resolve().parent
WORKERS = ("worker-1", "worker-2", "worker-3")
LIMIT_S = 600
FINISHED_BEFORE = 3
"""How many stages have ended when a worker is lost."""
NOTICED_S = 60
"""How long workers may take to see that ``ray down`` has ended their head."""
NOTICES = {
    "AUTOSCALER_UPDATE_INTERVAL_S": "1",
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_timeout_ms": "2000",
    "RAY_health_check_failure_threshold": "4",
    "RAY_gcs_rpc_server_reconnect_timeout_s": "10",
}
"""A lost host is noticed within some ten seconds, not within Ray's minute: a rehearsal is short."""


def main() -> int:
    """Make the laptop, rehearse on it, and leave nothing."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument(
        "--store",
        default="folder",
        help="`folder`, on a file system that all share, or s3://BUCKET/PREFIX on a server here",
    )
    parser.add_argument("--study", type=Path, default=HERE / "study.yaml")
    parser.add_argument("--out", type=Path, help="where what happened is written, as JSON")
    parser.add_argument("--inside", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.inside:
        return _report(Rehearsal(options.inside, options.store, options.study).run(), options.out)
    reason = lacking()
    if options.store.startswith("s3://") and bucket.server() is None:
        reason = (
            "no moto_server here: pip install 'moto[server]' elsewhere, and name it: MOTO_SERVER"
        )
    if reason is not None:
        print(f"cannot rehearse: {reason}", file=sys.stderr)
        return 2
    folder = Path(tempfile.mkdtemp(prefix="rehearsal-"))
    out = options.out.resolve() if options.out else None
    command = [sys.executable, __file__, "--inside", str(folder), "--store", options.store]
    told = folder / "shared" / "told.json"
    command += ["--study", str(options.study.resolve()), "--out", str(told)]
    laptop = subprocess.Popen(apart(command))  # noqa: S603 - ourselves
    try:
        status = laptop.wait()
        if out is not None and told.exists():
            shutil.copyfile(told, out)
    except KeyboardInterrupt:
        status = 130
    finally:
        laptop.kill()  # and with it all that it started, on all hosts
        laptop.wait()
        shutil.rmtree(folder, ignore_errors=True)
    return status


def _report(told: dict[str, Any], out: Path) -> int:
    text = json.dumps(told, indent=2)
    print(text)
    out.write_text(text + "\n", encoding="utf-8")
    return 0 if told["passed"] else 1


class Rehearsal:
    """One rehearsal, as the laptop sees it."""

    def __init__(self, folder: Path, store: str, study: Path) -> None:
        self.shared = folder / "shared"
        self.shared.mkdir()
        served = bucket.server() if store.startswith("s3://") else None
        tools = [Path(served).parents[1]] if served else []
        self.site = Site(folder / "site", [self.shared], tools)
        self.study = self.shared / "study.yaml"
        self.study.write_bytes(study.read_bytes())
        self.store = str(self.shared / "store") if store == "folder" else store
        self.config = folder / "cluster.yaml"
        self.began = time.monotonic()
        self.told: dict[str, Any] = {"store": store, "passed": False}
        own = {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PYTHONPATH": str(HERE.parents[1]),  # this checkout, as the wheel is elsewhere
        }
        self.on_hosts = {**own, **NOTICES, "RAY_AUTH_MODE": "token", "OMP_NUM_THREADS": "1"}
        # Ray's second autoscaler takes a head of the local provider for one that was never there.
        self.environment = {
            **os.environ,
            **own,
            "RAY_AUTH_MODE": "token",
            "RAY_UP_enable_autoscaler_v2": "0",
            "RAY_USAGE_STATS_ENABLED": "0",
        }

    def run(self) -> dict[str, Any]:
        """Everything from the first host to ``ray down``, and what came of it."""
        self.site.start()
        try:
            if self.store.startswith("s3://"):
                keys = bucket.serve(self.store, LAPTOP, self.shared / "moto.log")
                for environment in (self.environment, self.on_hosts, os.environ):
                    environment.update(keys)
            for name in ("head", *WORKERS):
                self.site.add(name)
            self.config.write_text(yaml.safe_dump(self._cluster()), encoding="utf-8")
            token = Path.home() / ".ray" / "auth_token"
            token.parent.mkdir()
            token.write_text(secrets.token_hex(32), encoding="ascii")
            token.chmod(0o600)
            self._say("ray up")
            self._ray("up", "-y", str(self.config))
            self.told["up_s"] = self._elapsed()
            self._study()
            self.told["fit_status"] = self._mfscale("fit", "--store", self.store).returncode
            self._say("ray down")
            self._ray("down", "-y", str(self.config))
            self._look()
        finally:
            self.site.end()
        self.told["wall_s"] = self._elapsed()
        return self.told

    def _cluster(self) -> dict[str, Any]:
        """What ``cluster.yaml`` is for AWS, for hosts that are there."""
        head, *workers = self.site.hosts.values()
        ours = "--autoscaling-config=~/ray_bootstrap_config.yaml"
        start = "ray start --object-store-memory=100000000 --disable-usage-stats"
        exported = " ".join(f"{name}={value}" for name, value in self.on_hosts.items())
        return {
            "cluster_name": "rehearsal",
            "provider": {
                "type": "local",
                "head_ip": head.address,
                "worker_ips": [host.address for host in workers],
            },
            "auth": {"ssh_user": "root", "ssh_private_key": str(self.site.key)},
            "file_mounts": {"~/.ray/auth_token": "~/.ray/auth_token"},
            "setup_commands": [f"echo 'export {exported}' >> ~/.bashrc"],
            "upscaling_speed": 10,
            "head_start_ray_commands": [
                "ray stop",
                f"{start} --head --port=6379 --num-cpus=0 --include-dashboard=false {ours}",
            ],
            "worker_start_ray_commands": [
                "ray stop",
                f"{start} --address=$RAY_HEAD_IP:6379 --num-cpus=1",
            ],
        }

    def _study(self) -> None:
        """Run the study on the head, take a worker's cable out meanwhile, and wait for the end."""
        count = len(WORKERS)
        asked = f"mfscale run {self.study} --store {self.store} --ray-address auto --cpus {count}"
        self._say(asked)
        began = self._elapsed()
        with (self.shared / "run.log").open("wb") as log:
            driver = subprocess.Popen(  # noqa: S603 - Ray's
                ["ray", "exec", str(self.config), asked],  # noqa: S607 - in our environment
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
            while driver.poll() is None:
                if self._elapsed() > LIMIT_S:
                    driver.kill()
                elif "cut" not in self.told:
                    self._cut_one_off()
                time.sleep(0.5)
        self.told["run_status"] = driver.wait()
        self.told["study_s"] = round(self._elapsed() - began, 1)
        if driver.returncode:
            print((self.shared / "run.log").read_text(errors="replace")[-4000:], file=sys.stderr)

    def _cut_one_off(self) -> None:
        """Lose a worker that trains, as soon as a few stages have ended and all workers are in."""
        training = {
            host.name: host
            for host in map(self.site.hosts.__getitem__, WORKERS)
            if any("Trainable.train" in line for line in host.commands().values())
        }
        if len(training) < len(WORKERS):
            return
        status = self._status()
        if status.get("finished", 0) < FINISHED_BEFORE:
            return
        lost = training[WORKERS[1]]
        lost.cut_off([self.shared])
        self._say(f"{lost.name} is cut off")
        self.told["cut"] = {"host": lost.name, "at_s": self._elapsed(), "status": status}

    def _status(self) -> dict[str, Any]:
        """The stages of the study by status, as watched from the laptop."""
        done = self._mfscale("status", str(self.study), "--store", self.store, "--json")
        told = dict(json.loads(done.stdout)) if done.returncode == 0 else {}
        return {key: number for key, number in told.items() if number and key != "store"}

    def _look(self) -> None:
        """What the store has, who trained what, and what still runs on the hosts."""
        logs = self.shared / "store" / "logs"
        if self.store.startswith("s3://"):
            bucket.fetch(self.store, "logs", logs)
        trained = _trained(logs)
        lost = self.told.get("cut", {}).get("host")
        self.told["status"] = self._status()
        self.told["hosts"] = dict(Counter(hosts[-1] for hosts in trained.values()))
        self.told["moved"] = {
            stage: hosts for stage, hosts in trained.items() if lost in hosts and hosts[-1] != lost
        }
        self.told["left_running"] = self._left_running(lost)
        self.told["passed"] = bool(
            self.told["run_status"] == 0
            and self.told["fit_status"] == 0
            and self.told["status"].get("finished", 0) == self.told["status"].get("stages")
            and "cut" in self.told  # a lost host trained: its stage is finished elsewhere,
            # which only a folder shows, for in a bucket there is no log of what never ended
            and (self.told["moved"] or self.store.startswith("s3://"))
            and not self.told["left_running"]
        )

    def _left_running(self, lost: str | None) -> dict[str, list[str]]:
        """Ray's processes on the hosts that can be reached: workers notice that their head went."""
        reached = [host for name, host in self.site.hosts.items() if name != lost]
        for _ in range(NOTICED_S):
            left = {host.name: ray for host in reached if (ray := _rays(host))}
            if not left:
                break
            time.sleep(1)
        return left

    def _ray(self, *arguments: str) -> None:
        done = self._do("ray", *arguments)
        if done.returncode:
            raise RuntimeError(f"ray {arguments[0]}: {done.stdout[-2000:]}{done.stderr[-2000:]}")

    def _mfscale(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self._do(sys.executable, "-m", "mfscale", *arguments)

    def _do(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(  # noqa: S603 - what the documents say
            command,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )

    def _elapsed(self) -> float:
        return round(time.monotonic() - self.began, 1)

    def _say(self, text: str) -> None:
        print(f"[{self._elapsed():6.1f} s] {text}", file=sys.stderr, flush=True)


def _trained(logs: Path) -> Mapping[str, list[str]]:
    """The hosts that tried each stage, in order, from the logs in a store."""
    found: dict[str, list[tuple[int, str]]] = {}
    for path in logs.glob("*"):
        said = re.search(
            r"stage (\w+), attempt (\d+), in process \d+ on (\S+)",
            path.read_text(encoding="utf-8", errors="replace"),
        )
        if said:
            found.setdefault(said[1], []).append((int(said[2]), said[3]))
    return {stage: [host for _, host in sorted(tried)] for stage, tried in found.items()}


def _rays(host: Host) -> list[str]:
    """Ray's processes on a host that could still work; its log monitor and agents may stay."""
    able = re.compile("/raylet --|gcs_server --|^ray::(?!DashboardAgent|RuntimeEnvAgent)")
    return [line.strip()[:80] for line in host.commands().values() if able.search(line)]


if __name__ == "__main__":
    sys.exit(main())
