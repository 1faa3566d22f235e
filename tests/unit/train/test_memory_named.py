"""Too little memory, of a GPU or of the machine, is one line that says what to do."""

import pytest
import torch

from stages.core.errors import StageError
from stages.train.__main__ import memory_named

STAGE = "train-mnist@quick-vgg16-0"


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nGPU 0 has ..."),
        RuntimeError("[enforce fail at alloc_cpu.cpp:121] DefaultCPUAllocator: can't allocate memory: you tried ..."),
        MemoryError(),
    ],
)
def test_it_is_one_line_with_its_cure(error: Exception) -> None:
    with pytest.raises(StageError) as caught, memory_named(STAGE):
        raise error
    assert caught.value.message.startswith(f"{STAGE}: out of memory (")
    assert "run fewer trainings at a time (--jobs)" in caught.value.message
    assert "\n" not in caught.value.message


def test_another_error_is_a_bug_and_stays_one() -> None:
    with pytest.raises(RuntimeError, match="shape"), memory_named(STAGE):
        raise RuntimeError("shape mismatch")
