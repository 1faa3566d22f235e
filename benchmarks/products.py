"""What the machine can do: products of square matrices into memory that is there."""

from collections.abc import Callable

import torch

from benchmarks.race import Steps

SIZES = (1024, 2048, 4096)


def products(size: int, dtype: torch.dtype, threads: int) -> Callable[[], Steps]:
    """Draw two matrices; each step multiplies them and counts the operations."""
    torch.set_num_threads(threads)
    left, right = (torch.randn(size, size).to(dtype) for _ in range(2))
    result = torch.empty(size, size, dtype=dtype)

    def steps() -> Steps:
        while True:
            torch.mm(left, right, out=result)
            yield 2 * size**3

    return steps
