"""How many requests a run into a bucket makes, counted in the log of a local S3 server.

Needs moto's server (docs/stores.md): ``MOTO_SERVER=moto/bin/moto_server python
benchmarks/requests_of_a_run.py``. Writes ``requests_of_a_run.json`` beside itself.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from buckets import ENVIRONMENT, new_bucket, serving

STUDY = """
dataset: chno3
seed: [0, 1]
training: {max_steps: 20, validate_every: 10, batch_size: 8}
strategies:
  finetune:
    - heads: {dft: {subset: b, size: 16, validation: 8}}
    - heads: {cc: {subset: a, size: [8, 16, 24], validation: 8}}
"""
STAGES = 8
_REQUEST = re.compile(
    r'"(?:\x1b\[[\d;]*m)*(GET|PUT|HEAD|DELETE|POST) /[^/? ]*/?([^? ]*)(\?list-type)?'
)


def counted(log: str) -> dict[str, dict[str, int]]:
    """Requests by kind of object and by verb; a LIST has a verb of its own, and so has DELETE."""
    found: dict[str, Counter[str]] = {}
    for verb, path, listing in _REQUEST.findall(log):
        name = re.sub(r"[0-9a-f]{16,32}", "ID", path.removeprefix("store/"))
        kind = "LIST" if listing else "DELETE" if verb == "POST" else verb
        found.setdefault(name or "(bucket)", Counter())[kind] += 1
    return {name: dict(sorted(verbs.items())) for name, verbs in sorted(found.items())}


def main() -> None:
    """Run the study, count, and write what was counted."""
    with tempfile.TemporaryDirectory() as folder:
        log, study = Path(folder) / "log", Path(folder) / "study.yaml"
        study.write_text(STUDY)
        with serving(log) as address:
            url = f"s3://{new_bucket(address)}/store"
            command = [sys.executable, "-m", "mfscale", "run", str(study), "--store", url]
            environment = {**os.environ, **ENVIRONMENT, "AWS_ENDPOINT_URL": address}
            before = len(log.read_text())
            told = subprocess.run(  # noqa: S603 - our own command
                [*command, "--cpus", "1", "--json"],
                env=environment,
                check=True,
                capture_output=True,
            )
            by_object = counted(log.read_text()[before:])
    summary = json.loads(told.stdout)
    total: Counter[str] = Counter()
    for verbs in by_object.values():
        total.update(verbs)
    per_stage = {verb: round(n / STAGES, 1) for verb, n in sorted(total.items())}
    result = {
        "stages": summary["finished"],
        "wall_time_s": round(summary["wall_time_s"], 1),
        "requests_per_stage": per_stage,
        "by_object": by_object,
    }
    Path(__file__).with_suffix(".json").write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result["requests_per_stage"]))


if __name__ == "__main__":
    main()
