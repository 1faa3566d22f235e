"""Convolutions and linear layers that are matrix products where those are faster, and store gradients in place.

A convolution over a small map is a matrix product (im2col): its windows, (N * side^2, kh * kw * channels), times its
weights, (kernels, kh * kw * channels). In channels-last order the weights need no copy. On the small maps of deep
networks this is faster than the library's (oneDNN's) convolution; BENCHMARKS.md has the figures. Which of the two runs
depends on shapes alone, never on a timing, so that bits repeat. Taps of a kernel that meet only padding (eight of nine
over a map of one pixel) are left out, and their gradient stays zero. A convolution that is not square, or has groups or
dilation, is the library's.

A backward pass overwrites the `.grad` of each weight and bias. It must exist, with zeros, before the first backward
pass (see `flat.FlatParameters`): allocating 4096 x 4096 gradients costs more than computing them. So a layer must be
used once per step.

Dropout is here too: PyTorch's own draws a float64 for each number on an AMD processor, this one a float32.
"""

from functools import cache
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from stages.engine import products
from stages.engine.products import Geometry

PRODUCT_PIXELS = 16  # output maps of at most 4x4: forward and both gradients are products
WEIGHT_GRADIENT_PIXELS = 64  # output maps of at most 8x8: the weights' gradient is one, the rest a convolution
IMAGE_CHANNELS = 3  # at most; a first layer's windows are too narrow for a product


class Windows(NamedTuple):
    """The geometry of a square convolution along one side, without the taps that meet only padding."""

    side: int  # of the input
    out: int  # of the output
    stride: int
    first: int  # tap that first meets a pixel
    taps: int  # that meet a pixel
    before: int  # padding pixels before the first pixel
    after: int  # and after the last one

    @classmethod
    def square(cls, images: Tensor, weight: Tensor, geometry: Geometry) -> "Windows | None":
        """The geometry for images and weights, (kernels, channels, kh, kw); None where not all of it is square."""
        pairs = (images.shape[2:], weight.shape[2:], geometry.stride, geometry.padding)
        if any(one != other for one, other in pairs) or geometry.dilation != (1, 1) or geometry.groups > 1:
            return None
        return cls.of(*(one for one, _ in pairs))

    @classmethod
    def of(cls, side: int, kernel: int, stride: int, padding: int) -> "Windows":
        """The geometry for an input of that side and a kernel, stride and padding."""
        out = (side + 2 * padding - kernel) // stride + 1
        first = max(0, padding - (out - 1) * stride)
        taps = min(kernel, side + padding) - first
        before = padding - first
        after = max(0, (out - 1) * stride + taps - before - side)
        return cls(side, out, stride, first, taps, before, after)

    def crop(self, weight: Tensor) -> Tensor:
        """Weights or their gradient, (kernels, channels, kh, kw) -> a view (kernels, taps, taps, channels)."""
        kept = slice(self.first, self.first + self.taps)
        return weight.permute(0, 2, 3, 1)[:, kept, kept]

    def im2col(self, images: Tensor) -> Tensor:
        """The windows of (n, channels, side, side) as rows: (n * out^2, taps^2 * channels)."""
        rows = images.permute(0, 2, 3, 1)
        n, _, _, channels = rows.shape
        if self.taps == 1 and not self.before + self.after:
            return rows[:, :: self.stride, :: self.stride].reshape(-1, channels)
        rows = F.pad(rows, (0, 0, self.before, self.after, self.before, self.after)).contiguous()
        image, row, pixel, _ = rows.stride()
        shape = (n, self.out, self.out, self.taps, self.taps, channels)
        strides = (image, row * self.stride, pixel * self.stride, row, pixel, 1)
        return rows.as_strided(shape, strides).reshape(n * self.out**2, -1)

    def col2im(self, rows: Tensor, n: int) -> Tensor:
        """The transpose of `im2col`: sum the windows' numbers at the pixels that they were taken from.

        It is a product with zeros and ones. Each sum is taken in float32 or wider and rounded once, as in any product.
        """
        if self.taps > 1 or self.before + self.after:
            matrix = _col2im_matrix(self, rows.dtype)
            images = products.bmm(matrix.expand(n, -1, -1), rows.view(n, matrix.shape[1], -1))
            return images.view(n, self.side, self.side, -1).permute(0, 3, 1, 2)
        images = rows.view(n, self.out, self.out, -1)  # windows of one pixel each
        if self.stride > 1:
            strided = images
            images = strided.new_zeros(n, self.side, self.side, strided.shape[-1])
            images[:, :: self.stride, :: self.stride] = strided
        return images.permute(0, 3, 1, 2)


@cache
def _col2im_matrix(windows: Windows, dtype: torch.dtype) -> Tensor:
    """(side^2, out^2 * taps^2), on the processor: 1 where a pixel is the number at that position of a window."""
    pixels = torch.arange(1.0, windows.side**2 + 1).view(1, 1, windows.side, windows.side)  # 0 is padding
    return (windows.im2col(pixels).flatten() == pixels.view(-1, 1)).to(dtype)


class _ConvolutionFunction(torch.autograd.Function):
    """Convolution by matrix products or by the library, as the shapes decide."""

    @staticmethod
    def forward(ctx: Any, images: Tensor, weight: Tensor, bias: Tensor | None, geometry: Geometry) -> Tensor:
        windows = Windows.square(images, weight, geometry) if images.device.type == "cpu" else None
        pixels = windows.out**2 if windows else 0
        narrow = weight.shape[1] <= IMAGE_CHANNELS
        ctx.windows, ctx.geometry, ctx.bias, ctx.images_shape = windows, geometry, bias, images.shape
        ctx.by_product = windows is not None and (pixels <= PRODUCT_PIXELS or weight.shape[-1] == 1)
        small = windows is not None and pixels <= WEIGHT_GRADIENT_PIXELS
        ctx.weights_by_product = ctx.by_product or (small and not narrow)
        if windows is None or not ctx.by_product:
            ctx.save_for_backward(images, weight)
            return products.conv2d(images, weight, bias, geometry)
        columns = windows.im2col(images)
        ctx.save_for_backward(columns, weight)
        shape = (len(images), len(weight), windows.out, windows.out)
        output = torch.empty(
            shape, dtype=images.dtype, device=images.device, memory_format=torch.channels_last
        )  # not a view of the product: a ReLU in place may follow
        rows, kernels = output.permute(0, 2, 3, 1).view(-1, len(weight)), windows.crop(weight).flatten(1).t()
        if bias is None:
            products.mm(columns, kernels, out=rows)
        else:
            products.addmm(bias, columns, kernels, out=rows)
        return output

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        images, weight = ctx.saved_tensors
        windows: Windows = ctx.windows  # where there are products
        by_product, weights_by_product = ctx.by_product, ctx.weights_by_product
        rows = gradient.permute(0, 2, 3, 1).reshape(-1, weight.shape[0])
        if ctx.bias is not None:
            torch.sum(rows, 0, out=ctx.bias.grad)
        if weights_by_product:
            columns = images if by_product else windows.im2col(images)
            kept = windows.crop(weight.grad)
            if kept.is_contiguous():
                products.mm(rows.t(), columns, out=kept.flatten(1))
            else:
                kept.copy_(products.mm(rows.t(), columns).view(kept.shape))
        images_gradient = None
        if by_product:
            if ctx.needs_input_grad[0]:
                of_windows = products.mm(rows, windows.crop(weight).flatten(1))
                images_gradient = windows.col2im(of_windows, ctx.images_shape[0])
        else:
            mask = (ctx.needs_input_grad[0], not weights_by_product)
            images_gradient, weight_gradient = products.convolution_backward(
                gradient, images, weight, ctx.geometry, mask
            )
            if weight_gradient is not None:
                weight.grad.copy_(weight_gradient)
        return images_gradient, None, None, None


class _LinearFunction(torch.autograd.Function):
    """A linear layer that writes its parameters' gradients in place."""

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(inputs, weight)
        ctx.bias = bias
        return products.linear(inputs, weight, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        inputs, weight = ctx.saved_tensors
        products.mm(gradient.t(), inputs, out=weight.grad)
        if ctx.bias is not None:
            torch.sum(gradient, 0, out=ctx.bias.grad)
        return products.mm(gradient, weight) if ctx.needs_input_grad[0] else None, None, None


class Convolution(nn.Conv2d):
    """A convolution with zeros around it: (n, channels, height, width) -> (n, kernels, rows, columns)."""

    def forward(self, images: Tensor) -> Tensor:
        """Convolve; images channels-last."""
        geometry = Geometry(self.stride, self.padding, self.dilation, self.groups)  # type: ignore[arg-type]
        return _ConvolutionFunction.apply(images, self.weight, self.bias, geometry)


class Linear(nn.Linear):
    """A linear layer: (n, inputs) -> (n, outputs)."""

    def forward(self, inputs: Tensor) -> Tensor:
        """Multiply and add."""
        return _LinearFunction.apply(inputs, self.weight, self.bias)


class Dropout(nn.Dropout):
    """Zeros each number with probability p while training, and divides the others by 1 - p; any shape."""

    def forward(self, inputs: Tensor) -> Tensor:
        """Draw one float32 for each number from the device's default generator; drop the number where it is below p."""
        if not self.training or self.p == 0:
            return inputs
        kept = torch.rand(inputs.shape, device=inputs.device) >= self.p
        return inputs * kept.to(inputs.dtype) * (1 / (1 - self.p))


LAYERS: dict[type[nn.Module], type[nn.Module]] = {nn.Conv2d: Convolution, nn.Linear: Linear, nn.Dropout: Dropout}


def swap_layers(model: nn.Module) -> nn.Module:
    """Replace the class of each layer that `LAYERS` has a faster one for, in place; same names, same parameters.

    Raises TypeError for a convolution or linear layer of another class, or with another padding than zeros by number.
    """
    for module in model.modules():
        module.__class__ = LAYERS.get(type(module), type(module))
        if isinstance(module, nn.Conv2d | nn.Linear) and not isinstance(module, Convolution | Linear):
            raise TypeError(f"no layer of the engine stands for {type(module).__name__}; allowed: Conv2d and Linear")
        if isinstance(module, Convolution) and (module.padding_mode != "zeros" or isinstance(module.padding, str)):
            found = f"{module.padding_mode} {module.padding}"
            raise TypeError(f"padding: {found} is not allowed; allowed: zeros, by number")
    return model
