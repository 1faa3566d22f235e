"""Products in bfloat16: native and emulated, each the exact product but for float32 sums and one rounding."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from stages.engine import products
from stages.engine.products import Geometry

pytestmark = pytest.mark.usefixtures("torch_settings")

HALF_STEP = 2.0**-8  # of bfloat16's rounding, relative
SUMS = 2.0**-19  # of float32's sums, relative to the sizes of what is added


def drawn(*shape: int) -> Tensor:
    """Normal numbers that bfloat16 has."""
    found = torch.randn(*shape, generator=torch.Generator().manual_seed(len(shape))).bfloat16()
    return found.contiguous(memory_format=torch.channels_last) if found.dim() == 4 else found


LEFT, RIGHT, BIAS, WEIGHT = drawn(7, 300), drawn(300, 5), drawn(5), drawn(5, 300)
BATCH, OTHERS = drawn(3, 4, 50), drawn(3, 50, 6)
IMAGES = drawn(2, 4, 9, 9)
# What convolutions there are: their kernels, the gradient that arrives, and where the windows lie.
CONVOLUTIONS = {
    "strided": (drawn(5, 4, 3, 3), drawn(2, 5, 5, 5), Geometry((2, 2), (1, 1))),
    "flat": (drawn(5, 4, 1, 7), drawn(2, 5, 9, 9), Geometry(padding=(0, 3))),
    "grouped": (drawn(6, 2, 3, 3), drawn(2, 6, 5, 5), Geometry(dilation=(2, 2), groups=2)),
}


def backward(gradient: Tensor, images: Tensor, kernels: Tensor, geometry: Geometry) -> tuple[Tensor, Tensor]:
    """The gradients of images and kernels, by autograd."""
    images, kernels = images.clone().requires_grad_(), kernels.clone().requires_grad_()
    F.conv2d(images, kernels, None, *geometry).backward(gradient)
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
    "linear without bias": (lambda a, b: products.linear(a, b, None), F.linear, (LEFT, WEIGHT)),
    "bmm with one matrix": (
        lambda a, b: products.bmm(a.expand(3, -1, -1), b),
        lambda a, b: torch.bmm(a.expand(3, -1, -1), b),
        (BATCH[:1], OTHERS),
    ),
}
for kind, (kernels, arriving, geometry) in CONVOLUTIONS.items():
    CASES[f"{kind} convolution"] = (
        partial(products.conv2d, geometry=geometry),
        partial(lambda i, k, b, geometry: F.conv2d(i, k, b, *geometry), geometry=geometry),
        (IMAGES, kernels, drawn(len(kernels))),
    )
    CASES[f"{kind} convolution without bias"] = (
        partial(lambda i, k, geometry: products.conv2d(i, k, None, geometry), geometry=geometry),
        partial(lambda i, k, geometry: F.conv2d(i, k, None, *geometry), geometry=geometry),
        (IMAGES, kernels),
    )
    CASES[f"{kind} convolution's gradients"] = (
        partial(products.convolution_backward, geometry=geometry, mask=(True, True)),
        partial(backward, geometry=geometry),
        (arriving, IMAGES, kernels),
    )


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
