"""Products in bfloat16: native and emulated, each the exact product but for float32 sums and one rounding."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from stages.engine import products

pytestmark = pytest.mark.usefixtures("torch_settings")

HALF_STEP = 2.0**-8  # of bfloat16's rounding, relative
SUMS = 2.0**-19  # of float32's sums, relative to the sizes of what is added


def drawn(*shape: int) -> Tensor:
    """Normal numbers that bfloat16 has."""
    found = torch.randn(*shape, generator=torch.Generator().manual_seed(len(shape))).bfloat16()
    return found.contiguous(memory_format=torch.channels_last) if found.dim() == 4 else found


LEFT, RIGHT, BIAS, WEIGHT = drawn(7, 300), drawn(300, 5), drawn(5), drawn(5, 300)
BATCH, OTHERS = drawn(3, 4, 50), drawn(3, 50, 6)
IMAGES, KERNELS, GRADIENT = drawn(2, 4, 9, 9), drawn(5, 4, 3, 3), drawn(2, 5, 5, 5)
STRIDE, PADDING = 2, 1


def backward(gradient: Tensor, images: Tensor, kernels: Tensor) -> tuple[Tensor, Tensor]:
    """The gradients of images and kernels, by autograd."""
    images, kernels = images.clone().requires_grad_(), kernels.clone().requires_grad_()
    F.conv2d(images, kernels, None, STRIDE, PADDING).backward(gradient)
    return images.grad, kernels.grad  # type: ignore[return-value]


def empty() -> Tensor:
    return torch.empty(7, 5, dtype=torch.bfloat16)


# What is computed, PyTorch's own function for it, and the operands.
CASES: dict[str, tuple[Callable[..., Any], Callable[..., Any], tuple[Tensor, ...]]] = {
    "mm": (products.mm, torch.mm, (LEFT, RIGHT)),
    "mm transposed": (lambda a, b: products.mm(a.t(), b), lambda a, b: a.t() @ b, (RIGHT, LEFT.t())),
    "mm into": (lambda a, b: products.mm(a, b, out=empty()), torch.mm, (LEFT, RIGHT)),
    "addmm": (lambda c, a, b: products.addmm(c, a, b, empty()), torch.addmm, (BIAS, LEFT, RIGHT)),
    "bmm": (products.bmm, torch.bmm, (BATCH, OTHERS)),
    "linear": (products.linear, F.linear, (LEFT, WEIGHT, BIAS)),
    "conv2d": (
        lambda i, k, b: products.conv2d(i, k, b, STRIDE, PADDING),
        lambda i, k, b: F.conv2d(i, k, b, STRIDE, PADDING),
        (IMAGES, KERNELS, BIAS),
    ),
    "conv2d without bias": (
        lambda i, k: products.conv2d(i, k, None, STRIDE, PADDING),
        lambda i, k: F.conv2d(i, k, None, STRIDE, PADDING),
        (IMAGES, KERNELS),
    ),
    "convolution_backward": (
        lambda g, i, k: products.convolution_backward(g, i, k, STRIDE, PADDING, (True, True, False))[:2],
        backward,
        (GRADIENT, IMAGES, KERNELS),
    ),
}


@pytest.fixture(params=[True, False], ids=["native", "emulated"])
def native(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Emulated on every machine; native only where the processor is so, since PyTorch's own may round more often."""
    if request.param and not products.multiplies_bfloat16("cpu"):
        pytest.skip("this processor does not multiply bfloat16")
    monkeypatch.setattr(products, "multiplies_bfloat16", lambda device: request.param)
    return bool(request.param)


@pytest.mark.parametrize("name", CASES)
def test_a_product_is_the_exact_one_but_for_sums_in_float32_and_one_rounding(name: str, native: bool) -> None:
    ours, exact, operands = CASES[name]
    found, expected = ours(*operands), exact(*(one.double() for one in operands))
    sizes = exact(*(one.double().abs() for one in operands))
    triples = zip(found, expected, sizes, strict=True) if isinstance(found, tuple) else [(found, expected, sizes)]
    for value, right, size in triples:
        assert value.dtype == torch.bfloat16
        assert value.shape == right.shape
        assert ((value.double() - right).abs() <= HALF_STEP * right.abs() + SUMS * size).all()
        assert value.is_contiguous(memory_format=torch.channels_last) or value.dim() < 4


def test_float32_is_left_to_pytorch_whatever_the_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(products, "multiplies_bfloat16", lambda device: False)
    left, right = LEFT.float() / 3, RIGHT.float()
    assert torch.equal(products.mm(left, right), left @ right)
    assert not products.emulated(left)


def test_another_device_is_not_emulated_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(products, "multiplies_bfloat16", lambda device: False)
    assert products.emulated(LEFT)
    assert not products.emulated(LEFT.to("meta"))
