"""Ray Tune alone, with trials that do nothing: ``plain_tune.py NAME TRIALS SLOTS`` tells as JSON.

As it comes: a function and the defaults of `Tuner`. As the driver sets it: reused actors, no
loggers, few snapshots, no checkpoints, as `mfscale.orchestration` has them.
"""

import json
import os
import sys
import tempfile
import time

from noop import peak_mb

LEAN = {"TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1", "TUNE_GLOBAL_CHECKPOINT_S": "600"}


def main() -> None:
    """Run the trials."""
    name, trials, slots = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    lean = name != "as it comes"
    if lean:
        os.environ.update(LEAN)
    import ray  # noqa: PLC0415 - reads its environment when imported
    from ray import tune  # noqa: PLC0415

    class Nothing(tune.Trainable):
        def step(self) -> dict[str, object]:
            return {"error": self.config["x"], "done": True}

        def reset_config(self, new_config: dict[str, object]) -> bool:  # noqa: ARG002
            return True

    def nothing(config: dict[str, float]) -> None:
        tune.report({"error": config["x"]})

    ray.init(address="local", num_cpus=slots, include_dashboard=False, log_to_driver=False)
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        tune.Tuner(
            Nothing if lean else nothing,
            param_space={"x": tune.uniform(0, 1)},
            tune_config=tune.TuneConfig(num_samples=trials, reuse_actors=lean or None),
            run_config=tune.RunConfig(
                storage_path=folder,
                verbose=0,
                checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False if lean else None),
            ),
        ).fit()
    wall = time.perf_counter() - began
    ray.shutdown()
    told = {"trials": trials, "fit_s": wall, "trials_per_s": trials / wall, "driver_mb": peak_mb()}
    print(json.dumps(told))


if __name__ == "__main__":
    main()
