"""Content digests of structures and labels, and the keyed order drawn from them.

A digest is the first 16 bytes of a SHA-256, so that the content of a labelled set is known without
reading its arrays. All bytes hashed are little-endian.
"""

import hashlib
from collections.abc import Iterable
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

DIGEST_BYTES = 16

Digests = NDArray[np.uint8]


def structure_digests(
    numbers: NDArray[np.uint8],
    positions: NDArray[np.float64],
    first_atom: NDArray[np.int64],
    cell: NDArray[np.float64] | None = None,
    pbc: NDArray[np.bool_] | None = None,
) -> Digests:
    """Digest of each structure: its atomic numbers (uint8), then its positions (float64).

    Of a periodic structure its cell (float64) and periodic directions (uint8) follow; molecules
    are known by the same digest wherever they are.

    Parameters
    ----------
    numbers, positions, first_atom
        (A,), (A, 3) and (S + 1,).
    cell, pbc
        (S, 3, 3) Å and (S, 3), if any structure is periodic.

    Returns
    -------
    (S, 16)
    """
    z, r = np.ascontiguousarray(numbers, "|u1"), np.ascontiguousarray(positions, "<f8")
    bounds = first_atom.tolist()
    boxes = [b""] * (len(bounds) - 1)
    if cell is not None and pbc is not None:
        boxes = [
            box.astype("<f8").tobytes() + along.astype("|u1").tobytes() if along.any() else b""
            for box, along in zip(cell, pbc, strict=True)
        ]
    return _stack(
        z[begin:end].tobytes() + r[begin:end].tobytes() + box
        for (begin, end), box in zip(pairwise(bounds), boxes, strict=True)
    )


def forces_digests(forces: NDArray[np.float32], first_force: NDArray[np.int64]) -> Digests:
    """Digest of each label's forces (float32): (F, 3) and (n + 1,) → (n, 16)."""
    f = np.ascontiguousarray(forces, "<f4")
    bounds = first_force.tolist()
    return _stack(f[begin:end].tobytes() for begin, end in pairwise(bounds))


def leading_bits(digests: Digests) -> NDArray[np.uint64]:
    """The first 8 bytes of each digest as a number, uniform over 64 bits: (S, 16) → (S,)."""
    bits: NDArray[np.uint64] = np.ascontiguousarray(digests[:, :8]).view("<u8")[:, 0]
    return bits


def keyed(bits: NDArray[np.uint64], seed: int) -> NDArray[np.uint64]:
    """Mix each number with a seed into a sort key: any seed gives an order of its own.

    The mixing is the finaliser of SplitMix64 (Steele, Lea & Flood, OOPSLA 2014), a bijection of 64
    bits: distinct structures never tie.
    """
    seed_bits = hashlib.sha256(f"draw {seed}".encode()).digest()[:8]
    z = (bits ^ np.uint64(int.from_bytes(seed_bits, "little"))) + np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def _stack(contents: Iterable[bytes]) -> Digests:
    joined = b"".join(hashlib.sha256(content).digest()[:DIGEST_BYTES] for content in contents)
    return np.frombuffer(joined, dtype=np.uint8).reshape(-1, DIGEST_BYTES)
