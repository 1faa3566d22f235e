"""The network of a cell, what it returns, and how large it is."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from stages.config.settings import Cell


def network_of(cell: Cell, description: Mapping[str, Any]) -> nn.Module:
    """Build the cell's network for the data set that `description` (preprocess's dataset.json) describes.

    Weights depend on `torch.manual_seed` alone, and are on the default device.
    """
    channels, classes = description["channels"], len(description["classes"])
    return cell.build(channels=channels, classes=classes, input_size=cell.input_size)


def split_outputs(outputs: Any) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Split what a network returned into its logits and the auxiliary heads', the earliest head first.

    All are (N, classes). Only GoogLeNet in train mode has auxiliary logits; otherwise the tuple is empty.
    """
    if isinstance(outputs, Tensor):
        return outputs, ()
    return outputs.logits, (outputs.aux_logits1, outputs.aux_logits2)


def parameter_count(model: nn.Module) -> int:
    """Count the trainable numbers of a network, GoogLeNet's auxiliary heads included."""
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)


@torch.no_grad()
def multiply_adds(model: nn.Module, channels: int, input_size: int) -> int:
    """Count the multiply-accumulate operations of one image's forward pass in evaluation mode.

    Counted are convolutions and linear layers: the weights behind each number that they put out, products with padding
    included. Not counted are biases, batch norm, activations and pools, and the auxiliary heads, which do not run in
    evaluation. The pass runs on the network's own device, which may be `meta`; the mode of the network is put back.
    """
    counts: list[int] = []

    def count(layer: Any, inputs: Any, output: Tensor) -> None:
        counts.append(output[0].numel() * layer.weight[0].numel())

    layers = [layer for layer in model.modules() if isinstance(layer, nn.Conv2d | nn.Linear)]
    handles = [layer.register_forward_hook(count) for layer in layers]
    training = model.training
    try:
        first = next(model.parameters())
        model.eval()(torch.zeros(1, channels, input_size, input_size, dtype=first.dtype, device=first.device))
    finally:
        model.train(training)
        for handle in handles:
            handle.remove()
    return sum(counts)
