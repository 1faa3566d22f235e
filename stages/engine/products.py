"""Products of matrices and images in the format of a training: sums in float32, each result rounded once.

On a processor that does not multiply bfloat16 natively, PyTorch's bfloat16 products take ten times as long as those of
float32 (measured on AVX2). There they are emulated: operands are widened to float32, multiplied as such, and the result
is rounded to bfloat16. A product of two bfloat16 numbers is exact in float32, so this is the arithmetic of the native
instruction, with its sums in another order, and so with other bits.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from stages.engine.numerics import multiplies_bfloat16


class Geometry(NamedTuple):
    """How a convolution's windows lie: pairs are (rows, columns); in the order of PyTorch's arguments."""

    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1


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
    wide = left[:1].float().expand_as(left) if left.stride(0) == 0 else left.float()  # one matrix for all is one copy
    return torch.bmm(wide, right.float()).to(left.dtype)


def linear(inputs: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """(n, k) times the transpose of `weight`, (m, k), plus `bias`, (m,) -> (n, m)."""
    if not emulated(inputs):
        return F.linear(inputs, weight, bias)
    return F.linear(inputs.float(), weight.float(), _wide(bias)).to(inputs.dtype)


def conv2d(images: Tensor, weight: Tensor, bias: Tensor | None, geometry: Geometry) -> Tensor:
    """The library's convolution: (n, channels, height, width) -> (n, kernels, rows, columns)."""
    if not emulated(images):
        return F.conv2d(images, weight, bias, *geometry)
    return F.conv2d(images.float(), weight.float(), _wide(bias), *geometry).to(images.dtype)


def convolution_backward(
    gradient: Tensor, images: Tensor, weight: Tensor, geometry: Geometry, mask: tuple[bool, bool]
) -> tuple[Tensor | None, Tensor | None]:
    """The library's gradients of images and weights, where `mask` asks for them."""
    stride, padding, dilation, groups = geometry
    described = (None, stride, padding, dilation, False, (0, 0), groups, (*mask, False))
    if not emulated(gradient):
        of_images, of_weight, _ = torch.ops.aten.convolution_backward(gradient, images, weight, *described)
        return of_images, of_weight
    wide = (gradient.float(), images.float(), weight.float())
    of_images, of_weight, _ = torch.ops.aten.convolution_backward(*wide, *described)
    return tuple(None if one is None else one.to(gradient.dtype) for one in (of_images, of_weight))  # type: ignore[return-value]


def emulated(operand: Tensor) -> bool:
    """Whether products of this operand are emulated: bfloat16 on a processor that does not multiply it."""
    return operand.dtype == torch.bfloat16 and operand.device.type == "cpu" and not multiplies_bfloat16("cpu")


def _wide(bias: Tensor | None) -> Tensor | None:
    return None if bias is None else bias.float()
