"""Reads a .npy file that somebody else wrote: numbers in a shape that its bytes fill, and nothing to be unpickled."""

from math import prod
from pathlib import Path
from tokenize import TokenError
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from stages.core.regular import refusal

LARGEST = 1 << 30  # bytes of an array; the largest of test images has 30 MB
_HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
_NO_HEADER = (  # numpy parses it as a Python literal
    *(ValueError, OSError, EOFError, KeyError, TypeError),
    *(SyntaxError, TokenError, RecursionError, MemoryError),
)
_NUMBERS = "buif"  # kinds of dtype


def array(path: Path) -> NDArray[Any]:
    """The array in a file, memory-mapped; an empty one for a file that is refused or not there.

    Refused are: anything but a regular file of the repository, archives, versions of the format that numpy does not
    write, objects and records, and a shape that is not that of the file's bytes.
    """
    if refusal(path, LARGEST):
        return np.empty(0)
    try:
        with path.open("rb") as file:
            shape, fortran_order, dtype = _HEADERS[npy.read_magic(file)](file)
            start = file.tell()
    except _NO_HEADER:
        return np.empty(0)
    is_whole = all(type(size) is int and size >= 0 for size in shape) and shape
    if not is_whole or dtype.kind not in _NUMBERS or prod(shape) * dtype.itemsize != path.stat().st_size - start:
        return np.empty(0)
    if not prod(shape):
        return np.empty(shape, dtype)
    return np.memmap(path, dtype, "r", start, shape, "F" if fortran_order else "C")
