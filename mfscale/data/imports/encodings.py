"""One record of a key-value store, bytes of some usual encoding, decoded to names and arrays.

JSON (also as `ase.io.jsonio` writes it), msgpack (also with NumPy arrays), NPZ and safetensors,
each plain or compressed by zlib or gzip. Nothing is unpickled, and nothing becomes an object.
"""

import io
import json
import zipfile
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

LARGEST_BYTES = 1 << 26
"""A record that unpacks to more is hostile or no structure."""

_NESTED = ("atoms", "info", "arrays", "key_value_pairs", "data", "results")
_PICKLE = (
    "is a Python pickle, which could run any programme when it is read, so it is not: let the "
    "programme that wrote it write JSON, msgpack, NPZ or safetensors"
)
_OTHERS = {
    b"\x28\xb5\x2f\xfd": "is compressed by zstandard",
    b"\x04\x22\x4d\x18": "is compressed by LZ4",
    b"BZh": "is compressed by bzip2",
    b"\xfd7zXZ": "is compressed by xz",
    b"\x93NUMPY": "is a single NumPy array",
    b"PAR1": "is a Parquet table",
    b"ARROW1": "is an Arrow file",
    b"\x89HDF": "is an HDF5 file",
}
_READ = "JSON, msgpack, NPZ and safetensors are read, plain or compressed by zlib or gzip"
_DAMAGED = (
    *(ValueError, TypeError, LookupError, AttributeError, OverflowError, EOFError, OSError),
    *(RecursionError, MemoryError, NotImplementedError, RuntimeError),
)
"""What decoders may raise over bytes that no encoder wrote."""


class EncodingError(ValueError):
    """A record that cannot be read; the message says what it is."""


def decode(value: bytes) -> dict[str, Any]:
    """Names and values of a record: numbers, text, lists and arrays of plain types.

    What stands in ``info``, ``arrays``, ``key_value_pairs``, ``data``, ``results`` or ``atoms`` of
    a record is named as if it stood beside them; the outer name wins.

    Raises
    ------
    EncodingError
        When it is a pickle, of another encoding, damaged, or larger than `LARGEST_BYTES` unpacked.
    """
    if _is_zlib(value) or value[:2] == b"\x1f\x8b":
        value = _decompressed(value)
    try:
        found = _mapping(value)
    except EncodingError:
        raise
    except (zipfile.BadZipFile, zlib.error, *_DAMAGED):
        raise EncodingError("cannot be decoded: it is damaged") from None
    if not isinstance(found, Mapping):
        raise EncodingError("holds no named values")
    return _flat(found)


def _mapping(value: bytes) -> Any:  # noqa: ANN401 - whatever was encoded
    start = value.lstrip()[:1]
    if _is_pickle(value):
        raise EncodingError(_PICKLE)
    if start in {b"{", b"["}:
        return json.loads(value, object_hook=_json_object)
    if value[:4] == b"PK\x03\x04":
        return _npz(value)
    for magic, said in _OTHERS.items():
        if value.startswith(magic):
            raise EncodingError(f"{said}; {_READ}")
    if value[8:9] == b"{" and int.from_bytes(value[:8], "little") <= len(value) - 8:
        from safetensors.numpy import load  # noqa: PLC0415 - only such records need it

        try:
            return load(value)
        except Exception as error:  # its errors are of a type of its own
            raise EncodingError("cannot be decoded: it is damaged") from error
    if start and (0x80 <= value[0] <= 0x8F or value[0] in {0xDE, 0xDF}):
        return _msgpack(value)
    begins = value[:12].hex(" ")
    raise EncodingError(f"is in no encoding known here (it begins {begins or 'nowhere'}); {_READ}")


def _is_pickle(value: bytes) -> bool:
    """Protocols 2 to 5 begin with their number; 0 and 1 with the opcodes of a dict or an object."""
    if value[:1] == b"\x80" and value[1:2] in {b"\x02", b"\x03", b"\x04", b"\x05"}:
        return True
    old = value[:1] in {b"(", b"}"} or (value[:1] == b"c" and b"\n" in value[:80])
    return old and value.endswith(b".")


def _is_zlib(value: bytes) -> bool:
    return value[:1] == b"\x78" and len(value) > 1 and (0x7800 + value[1]) % 31 == 0


def _decompressed(value: bytes) -> bytes:
    unpacking = zlib.decompressobj(zlib.MAX_WBITS | 32)  # zlib or gzip, by their headers
    try:
        content = unpacking.decompress(value, LARGEST_BYTES)
    except zlib.error:
        raise EncodingError("cannot be decompressed: it is damaged") from None
    if unpacking.unconsumed_tail:
        raise EncodingError(f"unpacks to more than {LARGEST_BYTES >> 20} MiB")
    if not unpacking.eof:
        raise EncodingError("cannot be decompressed: it is cut off")
    return content


def _json_object(found: dict[str, Any]) -> Any:  # noqa: ANN401 - an array, or the dict
    """Arrays as ``ase.io.jsonio`` writes them; its other objects stay plain."""
    if "__ndarray__" in found:
        shape, dtype, flat = found["__ndarray__"]
        return np.array(flat, dtype=_plain(dtype)).reshape(shape)
    if found.get("__ase_objtype__") == "cell" and "array" in found:
        return found["array"]
    return found


def _msgpack(value: bytes) -> Any:  # noqa: ANN401 - as above
    import msgpack  # noqa: PLC0415 - only such records need it

    return msgpack.unpackb(value, raw=False, strict_map_key=False, object_hook=_msgpack_object)


def _msgpack_object(found: dict[Any, Any]) -> Any:  # noqa: ANN401 - as above
    """Arrays and scalars as msgpack-numpy writes them."""
    named = {k.decode("latin1") if isinstance(k, bytes) else str(k): v for k, v in found.items()}
    if "nd" not in named or not isinstance(named.get("data"), bytes):
        return named
    flat = np.frombuffer(named["data"], dtype=_plain(named.get("type")))
    return flat.reshape(named["shape"]) if named["nd"] else flat[0]


def _npz(value: bytes) -> dict[str, NDArray[Any]]:
    with zipfile.ZipFile(io.BytesIO(value)) as archive:
        members = archive.infolist()
    if any(member.filename.endswith(".pkl") for member in members):
        raise EncodingError(_PICKLE)
    if sum(member.file_size for member in members) > LARGEST_BYTES:
        raise EncodingError(f"unpacks to more than {LARGEST_BYTES >> 20} MiB")
    with np.load(io.BytesIO(value), allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}


def _plain(dtype: Any) -> "np.dtype[Any]":  # noqa: ANN401 - what a record says
    """A type of numbers or truth values; `ValueError` for objects and all else."""
    kind = np.dtype(dtype if isinstance(dtype, str) else None)
    if kind.kind not in "iufb" or not isinstance(dtype, str):
        raise ValueError(f"no plain numbers: {dtype!r}")
    return kind


def _flat(found: Mapping[Any, Any]) -> dict[str, Any]:
    inner: dict[str, Any] = {}
    for name in _NESTED:
        part = found.get(name)
        if isinstance(part, Mapping):
            inner |= _flat(part) if name == "atoms" else {str(k): v for k, v in part.items()}
    outer = {str(k): v for k, v in found.items() if not isinstance(v, Mapping)}
    return inner | outer
