"""Heavy imports, paid for only when they are needed."""

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without_collection() -> Iterator[None]:
    """Import without garbage collection: what an import makes stays, and looking for garbage in it is a fifth of it.

    OpenMP, which PyTorch brings, is told on the way that a thread with nothing to do sleeps. By default it spins, and
    two threads beside any other program then wait for each other most of the time: BENCHMARKS.md has how much.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # read once, when PyTorch is imported; no bit depends on it
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
