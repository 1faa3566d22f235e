"""Keep freed memory in the process: page faults cost more than the arithmetic on the pages.

By default glibc returns large blocks to the system when they are freed, so every step of a training would fault its
activations in again. BENCHMARKS.md has the cost. No number depends on it.
"""

import ctypes

TRIM_THRESHOLD, TOP_PAD, MMAP_MAX = -1, -2, -4  # mallopt's options, from glibc's malloc.h
KEPT = 2**31 - 1  # bytes at the end of the heap that stay; the most that mallopt takes
GROWN = 64 << 20  # bytes by which the heap grows


def keep_pages() -> bool:
    """Tell malloc to keep freed memory. Returns False where the C library has no mallopt (macOS, musl)."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    return bool(mallopt(MMAP_MAX, 0) and mallopt(TRIM_THRESHOLD, KEPT) and mallopt(TOP_PAD, GROWN))
