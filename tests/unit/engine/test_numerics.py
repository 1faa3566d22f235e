"""Where and in which format numbers are computed: what `set_up` fixes in the process, and what it says of it."""

import pytest
import torch

from stages.engine.numerics import multiplies_bfloat16, set_up

pytestmark = pytest.mark.usefixtures("torch_settings")


@pytest.mark.parametrize(("precision", "dtype"), [("float32", torch.float32), ("bfloat16", torch.bfloat16)])
def test_a_named_precision_is_taken(precision: str, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stages.engine.numerics.multiplies_bfloat16", lambda device: True)
    found = set_up(precision, 1)  # type: ignore[arg-type]
    assert (found.dtype, found.precision) == (dtype, precision)


@pytest.mark.parametrize("native", [True, False])
def test_auto_takes_bfloat16_where_it_is_native(monkeypatch: pytest.MonkeyPatch, native: bool) -> None:
    monkeypatch.setattr("stages.engine.numerics.multiplies_bfloat16", lambda device: native)
    assert set_up("auto", 1).precision == ("bfloat16" if native else "float32")


@pytest.mark.parametrize(
    ("capabilities", "native"),
    [
        ({}, False),
        ({"avx2": True, "avx512_f": True, "avx512_bf16": False}, False),
        ({"avx512_bf16": True}, True),
        ({"amx_bf16": True}, True),
        ({"bf16": True}, True),
    ],
)
def test_a_processor_multiplies_bfloat16_where_it_says_so(
    monkeypatch: pytest.MonkeyPatch, capabilities: dict[str, bool], native: bool
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)
    multiplies_bfloat16.cache_clear()
    try:
        assert multiplies_bfloat16("cpu") is native
    finally:
        multiplies_bfloat16.cache_clear()


def test_this_processor_answers() -> None:
    assert multiplies_bfloat16("cpu") in (True, False)


@pytest.mark.parametrize("threads", [1, 2])
def test_threads_are_fixed_and_said(threads: int) -> None:
    found = set_up("float32", threads)
    assert found.threads == found.describe()["threads"] == torch.get_num_threads() == threads


def test_a_gpu_multiplies_float32_as_float32() -> None:
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = True
    set_up("float32", 1)
    assert not torch.backends.cudnn.allow_tf32
    assert not torch.backends.cuda.matmul.allow_tf32


def test_the_process_is_deterministic_and_flushes_denormals() -> None:
    tiny = torch.full((4,), 1e-39)
    set_up("float32", 1)
    assert torch.are_deterministic_algorithms_enabled()
    assert not torch.utils.deterministic.fill_uninitialized_memory  # type: ignore[attr-defined]
    assert (tiny * 1.0).tolist() == [0.0] * 4
