"""The questions people ask of a law: fits in, plain answers out."""

from mfscale.scaling.questions.inversion import Inverse, invert
from mfscale.scaling.questions.mix_law import MIX_LAWS, fit_mix
from mfscale.scaling.questions.mixes import Mix, mix
from mfscale.scaling.questions.worths import Worth, worth

__all__ = ["MIX_LAWS", "Inverse", "Mix", "Worth", "fit_mix", "invert", "mix", "worth"]
