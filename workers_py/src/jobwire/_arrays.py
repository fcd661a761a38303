# SPDX-License-Identifier: Apache-2.0
"""NumPy arrays to and from bytes in NumPy's own format (npy), read without a copy. NumPy is imported when a handler
asks for an array, or a program has made one."""

from __future__ import annotations

import io
import sys
import typing
from collections.abc import Callable
from typing import Any

from jobwire._errors import HandlerError, PayloadError, ResultError
from jobwire._wire_enums import Encoding

_MAGIC = b"\x93NUMPY"


def is_array_type(annotation: Any) -> bool:
    """Whether an annotation is ndarray or NDArray[...]."""
    kind = typing.get_origin(annotation) or annotation
    return (getattr(kind, "__module__", ""), getattr(kind, "__qualname__", "")) == (
        "numpy",
        "ndarray",
    )


def array_reader(annotation: Any, field: str, where: str) -> Callable[[Any, int], Any]:
    """Reads a payload as an array over its bytes: read-only, and as long as it lives they do. Arrays of objects are
    refused, since these would be pickled."""
    import numpy as np

    wanted = _wanted(annotation, where)

    def read(payload: Any, encoding: int) -> Any:
        if encoding != Encoding.Npy and bytes(payload[:6]) != _MAGIC:
            raise PayloadError(field, "a NumPy array (npy) is wanted, the payload is none")
        head = io.BytesIO(payload[:65536])
        try:
            version = np.lib.format.read_magic(head)
            if version == (1, 0):
                shape, fortran, dtype = np.lib.format.read_array_header_1_0(head)
            else:
                shape, fortran, dtype = np.lib.format.read_array_header_2_0(head)
        except (ValueError, TypeError, SyntaxError) as problem:
            raise PayloadError(field, f"no NumPy array (npy): {problem}") from None
        if dtype.hasobject:
            raise PayloadError(field, f"an array of {dtype} holds objects, which would be pickled")
        if wanted is not None and not np.issubdtype(dtype, wanted):
            raise PayloadError(field, f"must be an array of {wanted.__name__}, is one of {dtype}")
        count = 1
        for length in shape:
            count *= length
        have = len(payload) - head.tell()
        if have != count * dtype.itemsize:
            raise PayloadError(
                field, f"{shape} of {dtype} has {count * dtype.itemsize} bytes, there are {have}"
            )
        array = np.frombuffer(payload, dtype, count, head.tell()) if count else np.empty(0, dtype)
        return array.reshape(shape, order="F" if fortran else "C")

    return read


def _wanted(annotation: Any, where: str) -> Any:
    """The scalar type of NDArray[...], or None for any."""
    import numpy as np

    arguments = typing.get_args(annotation)
    if len(arguments) < 2:
        return None
    scalars = typing.get_args(arguments[1])
    scalar = scalars[0] if scalars else None
    if scalar is None or not isinstance(scalar, type):
        return None
    if scalar is np.object_:
        raise HandlerError(f"{where}: arrays of objects cannot travel")
    return scalar


def is_array(value: Any) -> bool:
    numpy = sys.modules.get("numpy")
    return numpy is not None and isinstance(value, numpy.ndarray)


def encode_array(array: Any) -> bytes:
    """An array in npy format; raises ResultError for one of objects."""
    import numpy as np

    out = io.BytesIO()
    try:
        np.lib.format.write_array(out, np.asanyarray(array), allow_pickle=False)
    except ValueError as problem:
        raise ResultError(f"the array cannot travel: {problem}") from None
    return out.getvalue()


def scalar_as_json(value: Any) -> Any:
    """A NumPy number as one of Python's, or None when it is none."""
    numpy = sys.modules.get("numpy")
    if numpy is not None and isinstance(value, numpy.generic):
        return value.item()
    return None
