"""Products of matrices and images in the format of a training: sums in float32, each result rounded once.

On a processor that does not multiply bfloat16 natively, PyTorch's bfloat16 products take ten times as long as those of
float32 (measured on AVX2). There they are emulated: operands are widened to float32, multiplied as such, and the result
is rounded to bfloat16. A product of two bfloat16 numbers is exact in float32, so this is the arithmetic of the native
instruction, with its sums in another order, and so with other bits.
"""

from functools import cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


def mm(left: Tensor, right: Tensor, out: Tensor | None = None) -> Tensor:
    """(n, k) times (k, m) -> (n, m), into `out` where it is given."""
    if not emulated(left):
        return torch.mm(left, right, out=out)
    product = torch.mm(left.float(), right.float())
    return product.to(left.dtype) if out is None else out.copy_(product)


def addmm(bias: Tensor, left: Tensor, right: Tensor, out: Tensor) -> Tensor:
    """(n, k) times (k, m) plus `bias`, (m,) -> (n, m), into `out`."""
    if not emulated(left):
        return torch.addmm(bias, left, right, out=out)
    return out.copy_(torch.addmm(bias.float(), left.float(), right.float()))


def bmm(left: Tensor, right: Tensor) -> Tensor:
    """(b, n, k) times (b, k, m) -> (b, n, m)."""
    if not emulated(left):
        return torch.bmm(left, right)
    return torch.bmm(left.float(), right.float()).to(left.dtype)


def linear(inputs: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """(n, k) times the transpose of `weight`, (m, k), plus `bias`, (m,) -> (n, m)."""
    if not emulated(inputs):
        return F.linear(inputs, weight, bias)
    return F.linear(inputs.float(), weight.float(), bias.float()).to(inputs.dtype)


def conv2d(images: Tensor, weight: Tensor, bias: Tensor | None, stride: int, padding: int) -> Tensor:
    """The library's convolution: (n, channels, side, side) -> (n, kernels, out, out)."""
    if not emulated(images):
        return F.conv2d(images, weight, bias, stride, padding)
    wide = None if bias is None else bias.float()
    return F.conv2d(images.float(), weight.float(), wide, stride, padding).to(images.dtype)


def convolution_backward(
    gradient: Tensor, images: Tensor, weight: Tensor, stride: int, padding: int, mask: tuple[bool, bool, bool]
) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    """The library's gradients of images, weights and bias, where `mask` asks for them."""
    geometry: tuple[Any, ...] = (None, (stride,) * 2, (padding,) * 2, (1, 1), False, (0, 0), 1, mask)
    if not emulated(gradient):
        return torch.ops.aten.convolution_backward(gradient, images, weight, *geometry)
    wide = torch.ops.aten.convolution_backward(gradient.float(), images.float(), weight.float(), *geometry)
    images_gradient, weight_gradient, bias_gradient = (None if one is None else one.to(gradient.dtype) for one in wide)
    return images_gradient, weight_gradient, bias_gradient


def emulated(operand: Tensor) -> bool:
    """Whether products of this operand are emulated: bfloat16 on a processor that does not multiply it."""
    return operand.dtype == torch.bfloat16 and operand.device.type == "cpu" and not multiplies_bfloat16("cpu")


@cache
def multiplies_bfloat16(device_type: str) -> bool:
    """Whether the device that PyTorch calls cpu, cuda or mps multiplies bfloat16 natively."""
    if device_type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device_type == "mps":
        return False  # not measured
    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16") or capabilities.get("bf16"))
