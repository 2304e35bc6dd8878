"""Which runs to add, so that an answer becomes as sure as a budget allows."""

from mfscale.scaling.designs.suggestion import Suggestion, suggest

__all__ = ["Suggestion", "suggest"]
