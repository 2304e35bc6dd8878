"""mfscale: how many labels of which quantum-chemical method to buy, and how sure you can be.

The rooms are used by name: `mfscale.study`, `mfscale.data`, `mfscale.results`, `mfscale.scaling`,
`mfscale.report`. At the top stands `load` alone, which turns an exported model into a calculator.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mfscale.calculator import load

__all__ = ["load"]


def __getattr__(name: str) -> object:
    if name == "load":
        from mfscale.calculator import load  # noqa: PLC0415 - torch, which few commands need

        return load
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
