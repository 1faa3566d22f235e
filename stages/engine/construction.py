"""How every family is built: shaped on the meta device, then given memory and initialised, once.

torchvision's constructors initialise every layer they make, and PyTorch's layers do it once before them. On the meta
device that costs nothing, so a layer that the paper or the input size replaces (VGG's 25088 x 4096 at 32x32) is never
drawn, and torchvision's own class stays the one description of the network.
"""

import math
from collections.abc import Callable

import torch
from torch import nn

Weighted = nn.Conv2d | nn.Linear
Rule = Callable[[Weighted], None]


def materialise(model: nn.Module, init: str, torchvision_rule: Rule) -> nn.Module:
    """Give a network shaped on the meta device its memory and its first weights; returns the same object.

    `init` is `torchvision` (the family's rule), `pytorch` (each layer's own default) or `xavier`; batch norm starts as
    identity under each. Weights depend on `torch.manual_seed` alone. Raises TypeError for a layer with weights that no
    rule covers, since its memory would stay uninitialised.
    """
    rules: dict[str, Rule] = {"torchvision": torchvision_rule, "pytorch": pytorch_default, "xavier": xavier_uniform}
    rule = rules[init]
    model.to_empty(device=torch.get_default_device())
    for layer in model.modules():
        if isinstance(layer, Weighted):
            rule(layer)
        elif isinstance(layer, nn.BatchNorm2d):
            layer.reset_parameters()
        elif [*layer.parameters(recurse=False), *layer.buffers(recurse=False)]:
            raise TypeError(f"no initialisation for {type(layer).__name__}")
    return model


def set_batch_norm(model: nn.Module, eps: float, momentum: float) -> nn.Module:
    """Set the constants of every batch norm of a network; returns the same object.

    `eps` is added to the variance, `momentum` is the share of a batch in the running mean and variance.
    """
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.eps, layer.momentum = eps, momentum
    return model


def kaiming_fan_out(layer: Weighted) -> None:
    """Draw weights from N(0, 2 / fan_out) (He et al. 2015, 'Delving Deep into Rectifiers', section 2.2)."""
    nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")


def default_bias(layer: Weighted) -> None:
    """Draw the bias, if there is one, as PyTorch's layers do: U(-b, b), b = 1 / sqrt(fan_in)."""
    if layer.bias is not None:
        bound = 1 / math.sqrt(layer.weight[0].numel())
        nn.init.uniform_(layer.bias, -bound, bound)


def zero_bias(layer: Weighted) -> None:
    """Set the bias, if there is one, to zero."""
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)


def pytorch_default(layer: Weighted) -> None:
    """Draw weights and bias from U(-b, b), b = 1 / sqrt(fan_in), as PyTorch's layers do by themselves."""
    layer.reset_parameters()


def xavier_uniform(layer: Weighted) -> None:
    """Draw weights from U(-b, b), b = sqrt(6 / (fan_in + fan_out)); zero biases (Glorot and Bengio 2010, eq. 16)."""
    nn.init.xavier_uniform_(layer.weight)
    zero_bias(layer)
