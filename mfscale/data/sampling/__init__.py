"""Structures of small molecules, drawn along normal modes around GFN2-xTB minima."""

from mfscale.data.sampling.normal_modes import (
    AMPLITUDES,
    NormalModes,
    ani1_amplitudes,
    hessian,
    normal_modes,
    thermal_amplitudes,
)
from mfscale.data.sampling.run import SampleReport, sample_dataset
from mfscale.data.sampling.sources import parse_temperatures, rough_structures

__all__ = [
    "AMPLITUDES",
    "NormalModes",
    "SampleReport",
    "ani1_amplitudes",
    "hessian",
    "normal_modes",
    "parse_temperatures",
    "rough_structures",
    "sample_dataset",
    "thermal_amplitudes",
]
