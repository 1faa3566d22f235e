"""All parameters of a network in one piece of memory: float32 masters, and low-precision copies for matrix products.

Weights and biases of convolutions and linear layers (the matmul parameters) take part in matrix products in the
training's format. Where that is bfloat16, the network holds a bfloat16 copy of them (autocast makes one anew in every
step), and their gradients are bfloat16 too. An update changes the float32 master. Batch norm's parameters are float32
throughout.
"""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor, nn

from stages.engine.layers import Convolution, Linear

CHUNK = 1 << 20  # numbers that are updated together: few calls, and the last-level cache holds them between calls


class Part(NamedTuple):
    """A stretch of the parameters: float32 masters, gradients, and copies (None where products take the masters)."""

    start: int
    master: Tensor
    gradient: Tensor
    copy: Tensor | None


class FlatParameters:
    """Moves a network's parameters into flat memory, in place; each `.grad` is a view of flat memory too, for good.

    `matmul_params` counts the numbers that take part in matrix products; they come first.
    """

    def __init__(self, model: nn.Module, dtype: torch.dtype) -> None:
        self.model = model
        named = dict(model.named_parameters())
        matmul_params = matmul_parameter_names(model)
        self.names = sorted(named, key=lambda name: name not in matmul_params)  # stable: matmul parameters come first
        self.matmul_params = sum(named[name].numel() for name in matmul_params)
        size = sum(parameter.numel() for parameter in named.values())
        device = next(iter(named.values())).device
        wide = torch.promote_types(dtype, torch.float32)  # tests run in float64, to compare with a plain loop
        self.master = torch.empty(size, dtype=wide, device=device)
        self.low = torch.empty(self.matmul_params, dtype=dtype, device=device) if dtype != wide else None
        self.copied = self.matmul_params if self.low is not None else 0  # how many have a low-precision gradient
        self.gradient = self.master.new_zeros(size - self.copied)
        self.low_gradient = torch.zeros_like(self.low) if self.low is not None else None
        self.views: dict[str, Tensor] = {}
        start = 0
        for name in self.names:
            parameter = named[name]
            view = _view(self.master, start, parameter)
            view.copy_(parameter.detach())
            self.views[name] = view
            if self.low is not None and self.low_gradient is not None and name in matmul_params:
                parameter.data = _view(self.low, start, parameter)
                parameter.grad = _view(self.low_gradient, start, parameter)
            else:
                parameter.data = view
                parameter.grad = _view(self.gradient, start - self.copied, parameter)
            start += parameter.numel()
        self.refresh()

    def refresh(self) -> None:
        """Make the copies from the masters."""
        if self.low is not None:
            self.low.copy_(self.master[: self.matmul_params])

    def clear_accumulated(self) -> None:
        """Zero the gradients that a backward pass adds to: batch norm's. It overwrites the matmul parameters'."""
        self.gradient[self.matmul_params - self.copied :].zero_()

    def parts(self) -> Iterator[Part]:
        """The parameters in stretches, those that have a copy in chunks."""
        if self.low is not None and self.low_gradient is not None:
            chunk = CHUNK if self.master.device.type == "cpu" else self.copied
            for start in range(0, self.copied, chunk):
                part = slice(start, min(start + chunk, self.copied))
                yield Part(start, self.master[part], self.low_gradient[part], self.low[part])
        yield Part(self.copied, self.master[self.copied :], self.gradient, None)

    def state_dict(self) -> dict[str, Tensor]:
        """The network's state as it is saved, with float32 masters for parameters."""
        return {**self.model.state_dict(), **self.views}


def matmul_parameter_names(model: nn.Module) -> set[str]:
    """The names of the weights and biases of convolutions and linear layers."""
    return {
        f"{prefix}.{name}" if prefix else name
        for prefix, module in model.named_modules()
        if isinstance(module, Convolution | Linear)
        for name, _ in module.named_parameters(recurse=False)
    }


def _view(memory: Tensor, start: int, parameter: Tensor) -> Tensor:
    """A view of flat memory with the parameter's shape; a kernel lies there as (kernels, kh, kw, channels)."""
    flat = memory[start : start + parameter.numel()]
    if parameter.dim() < 4:
        return flat.view(parameter.shape)
    kernels, channels, height, width = parameter.shape
    return flat.view(kernels, height, width, channels).permute(0, 3, 1, 2)
