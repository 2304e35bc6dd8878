"""Run a study in this process, which may have so many MB more than a first small study took.

``python limited.py STORE SMALL.yaml STUDY.yaml MB``: prints what became of the study's stages.
"""

import json
import resource
import sys
from pathlib import Path

import pyarrow as pa

from mfscale.cli._catalogue import catalogue
from mfscale.orchestration import rates, worker
from mfscale.orchestration.campaign import Campaign
from mfscale.results import SCHEMA, Store
from mfscale.study import expand, parse_study

pa.set_cpu_count(1)  # or threads that it starts later run out of memory first
pa.set_io_thread_count(1)
store = Store(sys.argv[1], create=True)


def run(text: str) -> Campaign:
    """Run all stages one after another, as a worker runs them."""
    graph = expand(parse_study(text, source="study.yaml"), catalogue())
    speed = rates(SCHEMA.empty_table(), {})
    campaign = Campaign(graph, store, speed, slots=1, on_progress=lambda _: None)
    campaign.constant = {worker.STORE: str(store.path), worker.SAVE_EVERY: 0.0}
    while (started := campaign.start()) is not None:
        stage_id, config = started
        campaign.ended(stage_id, worker.run_one(config))
    return campaign


run(Path(sys.argv[2]).read_text())  # all libraries are loaded, and have what they keep
store.table()
(taken,) = (
    int(line.split()[1]) * 1024
    for line in Path("/proc/self/status").read_text().splitlines()
    if line.startswith("VmData:")
)
limit = taken + int(float(sys.argv[4]) * 1e6)
resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
ended = run(Path(sys.argv[3]).read_text())
found = {
    "warnings": ended.warnings,
    "unfinished": [vars(stage) for stage in ended.unfinished_stages],
    "rows": [store.row(stage) for stage in ended.graph.stages],
}
sys.stdout.write(json.dumps(found, default=str) + "\n")
