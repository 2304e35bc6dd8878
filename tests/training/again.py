"""Run stages one after another as a worker does, and print its resident memory after each, MB.

``python again.py STORE TIMES STAGE.json…``: each under another seed, and so another id.
"""

import gc
import sys
from pathlib import Path

from mfscale.orchestration import worker
from mfscale.results import Store
from mfscale.study import Stage

store = Store(sys.argv[1], create=True)
stages = [Stage.model_validate_json(Path(file).read_text()) for file in sys.argv[3:]]
for number in range(int(sys.argv[2])):
    stage = stages[number % len(stages)].model_copy(
        update={"id": f"{number:016x}", "root_id": f"{number:016x}", "seed": number}
    )
    told = worker.run_one(
        {
            worker.STAGE: stage.model_dump_json(),
            worker.STORE: str(store.path),
            worker.AGAIN: False,
            worker.TRIAL: None,
            worker.THREADS: 1,
            worker.GPU: 0.0,
            worker.PARTS: 1,
            worker.NOTES: [],
            worker.COMPILED: False,
            worker.WAITS: True,
            worker.KERNELS: "e3nn",
            worker.SAVE_EVERY: 60.0,
        }
    )
    assert told["status"] == "finished", told
    gc.collect()
    status = Path("/proc/self/status").read_text()
    kilobytes = status.partition("VmRSS:")[2].split()[0]
    sys.stdout.write(f"{int(kilobytes) / 1e3}\n")
