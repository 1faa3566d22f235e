"""All parameters of a network in one piece of memory: float32 masters, and the copies that take part in products.

Weights and biases of convolutions and linear layers are multiplied in the arithmetic's format; where that is bfloat16,
the network holds a bfloat16 copy of them (autocast makes one anew in every step), and their gradients come in it too.
What an update changes is the float32 master. Batch norm's parameters are float32 throughout.
"""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor, nn

from stages.engine.layers import Convolution, Linear

CHUNK = 1 << 20  # numbers that are updated together: few calls, and the last cache holds them from one to the next


class Part(NamedTuple):
    """A stretch of the parameters: masters (float32), gradients, and the copies (None where masters multiply)."""

    start: int
    master: Tensor
    gradient: Tensor
    copy: Tensor | None


class FlatParameters:
    """Moves a network's parameters into flat memory, in place; each `.grad` is a view of it too, and stays there."""

    def __init__(self, model: nn.Module, dtype: torch.dtype) -> None:
        self.model = model
        named = dict(model.named_parameters())
        multiplied = {
            f"{prefix}.{name}" if prefix else name
            for prefix, module in model.named_modules()
            if isinstance(module, Convolution | Linear)
            for name, _ in module.named_parameters(recurse=False)
        }
        self.names = sorted(named, key=lambda name: name not in multiplied)  # stable: those multiplied come first
        self.multiplied = sum(named[name].numel() for name in multiplied)
        size = sum(parameter.numel() for parameter in named.values())
        device = next(iter(named.values())).device
        wide = torch.promote_types(dtype, torch.float32)  # float64, in which tests hold the engine to a plain loop
        self.master = torch.empty(size, dtype=wide, device=device)
        self.low = torch.empty(self.multiplied, dtype=dtype, device=device) if dtype != wide else None
        self.copied = self.multiplied if self.low is not None else 0  # how many have their gradient in that format
        self.gradient = self.master.new_zeros(size - self.copied)
        self.low_gradient = torch.zeros_like(self.low) if self.low is not None else None
        self.views: dict[str, Tensor] = {}
        start = 0
        for name in self.names:
            parameter = named[name]
            view = _view(self.master, start, parameter)
            view.copy_(parameter.detach())
            self.views[name] = view
            if self.low is not None and self.low_gradient is not None and name in multiplied:
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
            self.low.copy_(self.master[: self.multiplied])

    def clear_accumulated(self) -> None:
        """Zero the gradients that a backward pass adds to: batch norm's. Those of products are overwritten."""
        self.gradient[self.multiplied - self.copied :].zero_()

    def parts(self) -> Iterator[Part]:
        """The parameters in stretches, those that have a copy in chunks."""
        if self.low is not None and self.low_gradient is not None:
            chunk = CHUNK if self.master.device.type == "cpu" else self.copied
            for start in range(0, self.copied, chunk):
                part = slice(start, min(start + chunk, self.copied))
                yield Part(start, self.master[part], self.low_gradient[part], self.low[part])
        yield Part(self.copied, self.master[self.copied :], self.gradient, None)

    def state_dict(self) -> dict[str, Tensor]:
        """The network's state with float32 masters for weights: what is saved, and what a later step starts from."""
        return {**self.model.state_dict(), **self.views}


def _view(memory: Tensor, start: int, parameter: Tensor) -> Tensor:
    """A view of flat memory with the parameter's shape; a kernel's is (kernels, kh, kw, channels) in memory."""
    flat = memory[start : start + parameter.numel()]
    if parameter.dim() < 4:
        return flat.view(parameter.shape)
    kernels, channels, height, width = parameter.shape
    return flat.view(kernels, height, width, channels).permute(0, 3, 1, 2)
