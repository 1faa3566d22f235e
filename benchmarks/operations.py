"""How many multiplications and additions a training step takes, counted from the layers.

Convolutions and linear layers alone: a multiplication with its addition is two operations, the backward pass takes
twice the forward's (towards the weights and towards the input), and the first layer needs no gradient of its input.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from stages.engine.layers import Windows


class Layer(NamedTuple):
    """Multiply-accumulates of one layer for one image, forward.

    `executed` leaves out the taps of a kernel that only ever meet padding (eight of nine on a map of one pixel), as
    the engine does; `macs` is the customary count, with them.
    """

    macs: int
    executed: int


def count(model: nn.Module, channels: int, size: int) -> list[Layer]:
    """The layers of a network in the order they run, for images of (channels, size, size); needs no real memory.

    The network is used in the mode it is in: GoogLeNet's auxiliary heads count while it trains.
    """
    layers: list[Layer] = []

    def on_convolution(layer: nn.Module, inputs: tuple[Any, ...], output: Tensor) -> None:
        assert isinstance(layer, nn.Conv2d)  # noqa: S101 - for the type checker
        outputs, kernel = output[0].numel(), layer.weight[0].numel()
        windows = Windows.of(inputs[0].shape[-1], layer.kernel_size[0], layer.stride[0], int(layer.padding[0]))
        layers.append(Layer(outputs * kernel, outputs * kernel * windows.taps**2 // layer.weight[0, 0].numel()))

    def on_linear(layer: nn.Module, inputs: tuple[Any, ...], output: Tensor) -> None:
        macs = output[0].numel() * inputs[0].shape[-1]
        layers.append(Layer(macs, macs))

    hooks = {nn.Conv2d: on_convolution, nn.Linear: on_linear}
    handles = [
        layer.register_forward_hook(hook)
        for layer in model.modules()
        for kind, hook in hooks.items()
        if isinstance(layer, kind)
    ]
    try:
        device = next(model.parameters()).device
        with torch.no_grad():
            model(torch.zeros(2, channels, size, size, device=device))
    finally:
        for handle in handles:
            handle.remove()
    return layers


def forward(macs: list[int]) -> int:
    """Operations of a forward pass over layers with these multiply-accumulates."""
    return 2 * sum(macs)


def training(macs: list[int]) -> int:
    """Operations of a forward and a backward pass over layers with these multiply-accumulates."""
    return 3 * forward(macs) - forward(macs[:1])
