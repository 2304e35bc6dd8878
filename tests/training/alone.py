"""Run the stage of FOLDER/stage.json alone in this process: python alone.py FOLDER EVERY_S."""

import pickle
import sys
from pathlib import Path

import torch

from mfscale.study import Stage
from mfscale.training import run_stage

torch.set_num_threads(1)
folder = Path(sys.argv[1])
result = run_stage(
    Stage.model_validate_json((folder / "stage.json").read_text()),
    checkpoint_dir=lambda stage_id: folder / stage_id,
    checkpoint_every_s=float(sys.argv[2]),
)
(folder / "result.pickle").write_bytes(pickle.dumps(result))
