"""The same training by other programmes: their input, their commands, what a process costs."""

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
import numpy.typing as npt
import yaml
from ase.calculators.singlepoint import SinglePointCalculator

from mfscale.data import open_dataset
from mfscale.models import LADDER

BATCH, CUTOFF_A = 16, 5.0
N_TRAIN, N_VALID = 256, 32
STEPS_AN_EPOCH = N_TRAIN // BATCH
METHOD, SUBSET = "dft", "b"
NEQUIP, MACE = LADDER["nequip"]["small"].settings, LADDER["mace"]["small"].settings
LEARNING_RATE = 0.005


@dataclass(frozen=True)
class Cost:
    """What a process cost: wall time, processor time with its children's, and peak memory.

    `first_step_s` is the time until its first step of training, where it tells.
    """

    wall_s: float
    cpu_s: float
    peak_mb: float
    first_step_s: float | None = None


def cost_of(
    command: list[str],
    folder: Path,
    environment: Mapping[str, str] | None = None,
    *,
    device: str = "cpu",
) -> Cost:
    """Run a command on one thread, its output in ``out.txt``; RuntimeError if it fails."""
    single = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    if device == "cpu":
        single["CUDA_VISIBLE_DEVICES"] = ""
    began = time.perf_counter()
    with (folder / "out.txt").open("w") as out:
        process = subprocess.Popen(  # noqa: S603 - our own command
            command,
            cwd=folder,
            stdout=out,
            stderr=subprocess.STDOUT,
            env={**os.environ, **single, **(environment or {})},
        )
        _, status, usage = os.wait4(process.pid, 0)
    if code := os.waitstatus_to_exitcode(status):
        tail = "\n".join((folder / "out.txt").read_text().splitlines()[-20:])
        raise RuntimeError(f"{command[:3]} ended with {code}:\n{tail}")
    return Cost(
        time.perf_counter() - began, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024
    )


def write_labels(folder: Path) -> None:
    """Write the labels of our labelled set as extended XYZ."""
    dataset = open_dataset("chno3")
    drawn = dataset.labelled_set(METHOD, SUBSET, N_TRAIN, forces=True, n_validation=N_VALID)
    write_xyz(folder / "train.xyz", METHOD, drawn.train, forces=True)
    write_xyz(folder / "valid.xyz", METHOD, drawn.validation, forces=True)


def write_xyz(path: Path, method: str, structures: npt.NDArray[np.int64], *, forces: bool) -> None:
    """Write some labels of the embedded dataset, by the names MACE looks for too."""
    dataset = open_dataset("chno3")
    written = []
    for index in structures:
        atoms = dataset.structure(index)
        labels: dict[str, Any] = {"energy": float(dataset.energies(method, [index])[0])}
        atoms.info = {"REF_energy": labels["energy"]}
        if forces:
            labels["forces"] = dataset.forces(method, [index]).astype(np.float64)
            atoms.arrays["REF_forces"] = labels["forces"]
        atoms.calc = SinglePointCalculator(atoms, **labels)
        written.append(atoms)
    ase.io.write(path, written, format="extxyz")


def nequip_train(folder: Path, epochs: int, *, compiled: bool, device: str = "cpu") -> list[str]:
    """Write NequIP's input for the labels of `write_labels`; its command."""
    model = nequip_model(NEQUIP) | {
        "compile_mode": "compile" if compiled else "eager",
        "per_type_energy_scales": "${training_data_stats:forces_rms}",
        "per_type_energy_shifts": "${training_data_stats:per_atom_energy_mean}",
    }
    trainer = {
        "accelerator": {"cuda": "gpu"}.get(device, device),
        "max_epochs": epochs,
        "check_val_every_n_epoch": 1,
        "log_every_n_steps": STEPS_AN_EPOCH,
    }
    return write_nequip_input(
        folder, model, trainer, batch=BATCH, learning_rate=LEARNING_RATE, forces=True
    )


def nequip_model(settings: Mapping[str, object]) -> dict[str, object]:
    """NequIP's own name for a size of our ladder, normalised by its own statistics."""
    return {
        "_target_": "nequip.model.NequIPGNNModel",
        "seed": 1,
        "model_dtype": "float32",
        "type_names": list(open_dataset("chno3").elements),
        "r_max": CUTOFF_A,
        **settings,
        "avg_num_neighbors": "${training_data_stats:num_neighbors_mean}",
    }


def write_nequip_input(
    folder: Path,
    model: Mapping[str, object],
    trainer: Mapping[str, object],
    *,
    batch: int,
    learning_rate: float,
    forces: bool,
    tested: bool = False,
) -> list[str]:
    """Write NequIP's input for ``train.xyz``, ``valid.xyz`` and, if tested, ``test.xyz``.

    Returns its command. The loss is that of our defaults: per-atom energies a hundred times as
    heavy as forces.
    """
    elements = list(open_dataset("chno3").elements)
    loader = {"_target_": "torch.utils.data.DataLoader", "num_workers": 0}
    kind = "EnergyForce" if forces else "EnergyOnly"
    errors = {"total_energy_mae": None, "per_atom_energy_mae": 1.0}
    metrics = {
        "_target_": f"nequip.train.{kind}Metrics",
        "coeffs": errors | ({"forces_mae": 1.0} if forces else {}),
    }
    checkpoint = {
        "_target_": "lightning.pytorch.callbacks.ModelCheckpoint",
        "monitor": "val0_epoch/weighted_sum",
        "dirpath": str(folder / "checkpoints"),
        "filename": "best",
        # amid an epoch its weights lie with those of the moving average exchanged, which its test
        # run refuses; so the best is that of the end of the epoch that was validated
        "save_on_train_epoch_end": True,
    }
    config = {
        "run": ["train", "test"] if tested else ["train"],
        "data": {
            "_target_": "nequip.data.datamodule.ASEDataModule",
            "seed": 1,
            "train_file_path": str(folder / "train.xyz"),
            "val_file_path": str(folder / "valid.xyz"),
            "transforms": [
                {
                    "_target_": "nequip.data.transforms.ChemicalSpeciesToAtomTypeMapper",
                    "model_type_names": elements,
                },
                {"_target_": "nequip.data.transforms.NeighborListTransform", "r_max": CUTOFF_A},
            ],
            "train_dataloader": {**loader, "batch_size": batch, "shuffle": True},
            "val_dataloader": {**loader, "batch_size": 256},
            "stats_manager": {
                "_target_": "nequip.data.CommonDataStatisticsManager"
                if forces
                else "nequip.data.EnergyOnlyDataStatisticsManager",
                "dataloader_kwargs": {"batch_size": 256},
                "type_names": elements,
            },
        },
        "trainer": {
            "_target_": "lightning.Trainer",
            "accelerator": "cpu",
            "enable_progress_bar": False,
            "gradient_clip_val": 10.0,
            "logger": {"_target_": "lightning.pytorch.loggers.CSVLogger", "save_dir": str(folder)},
            "callbacks": [checkpoint],
            **trainer,
        },
        "training_module": {
            "_target_": "nequip.train.EMALightningModule",
            "ema_decay": 0.99,
            "loss": {
                "_target_": f"nequip.train.{kind}Loss",
                "per_atom_energy": True,
                **({"coeffs": {"total_energy": 100.0, "forces": 1.0}} if forces else {}),
            },
            "val_metrics": metrics,
            "train_metrics": metrics,
            "optimizer": {"_target_": "torch.optim.AdamW", "lr": learning_rate},
            "model": model,
        },
        "global_options": {"allow_tf32": False},
    }
    if tested:
        config["data"] |= {
            "test_file_path": str(folder / "test.xyz"),
            "test_dataloader": {**loader, "batch_size": 256},
        }
        config["training_module"] |= {"test_metrics": metrics}
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    return [str(Path(sys.executable).with_name("nequip-train")), "-cn", "config.yaml"]


def mace_run_train(folder: Path, epochs: int, programme: Path, device: str = "cpu") -> list[str]:
    """MACE's command: `programme` is ``mace_run_train`` of an environment of its own."""
    radial = [int(MACE["radial_MLP_width"])] * int(MACE["radial_MLP_depth"])
    options = {
        "name": "peer",
        "seed": 1,
        "device": device,
        "default_dtype": "float32",
        "model": "MACE",
        "train_file": folder / "train.xyz",
        "valid_file": folder / "valid.xyz",
        "E0s": "average",
        "energy_key": "REF_energy",
        "forces_key": "REF_forces",
        "r_max": CUTOFF_A,
        "num_interactions": MACE["num_interactions"],
        "hidden_irreps": MACE["hidden_irreps"],
        "max_ell": MACE["max_ell"],
        "correlation": MACE["correlation"],
        "interaction": MACE["interaction_cls"],
        "interaction_first": MACE["interaction_cls_first"],
        "num_radial_basis": MACE["num_bessel"],
        "num_cutoff_basis": MACE["num_polynomial_cutoff"],
        "radial_MLP": radial,
        "MLP_irreps": MACE["MLP_irreps"],
        "batch_size": BATCH,
        "valid_batch_size": N_VALID,
        "max_num_epochs": epochs,
        "eval_interval": 1,
        "patience": 10_000,
        "lr": LEARNING_RATE,
        "ema_decay": 0.99,
        "work_dir": folder,
    }
    return [str(programme), "--ema", *(f"--{name}={value}" for name, value in options.items())]
