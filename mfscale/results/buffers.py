"""Bytes as Arrow's own memory."""

import pyarrow as pa


def owned(data: "bytes | memoryview") -> pa.Buffer:
    """A copy that belongs to Arrow.

    Its threads may let go of what they read as late as when Python ends. If that were Python's,
    they would ask for its lock then, and the process would abort.
    """
    sink = pa.BufferOutputStream()
    sink.write(data)
    return sink.getvalue()
