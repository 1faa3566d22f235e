"""How every family is built: shaped on the meta device, then given memory and initialised, once.

torchvision's constructors initialise every layer they make, and PyTorch's layers do it once before them. On the meta
device that costs nothing, so a layer that the paper or the input size replaces (VGG's 25088 x 4096 at 32x32) is never
drawn, and torchvision's own class stays the one description of the network.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import torch
from torch import nn

from stages.core.errors import ParamError

Weighted = nn.Conv2d | nn.Linear
Rule = Callable[[Weighted], None]
Option = TypeVar("Option")


def choose(key: str, value: object, options: Mapping[Any, Option]) -> Option:
    """Return the option of that name. Raises ParamError naming the key, the value and the options there are."""
    if value not in options:
        raise ParamError(key, value, ", ".join(str(option) for option in options))
    return options[value]


def require_input_size(input_size: int, smallest: int) -> None:
    """Raise ParamError for an input that would leave some layer without a single pixel."""
    if input_size < smallest:
        raise ParamError("input_size", input_size, f"{smallest} or more for this network")


def materialise(model: nn.Module, init: str, torchvision_rule: Rule) -> nn.Module:
    """Give a network shaped on the meta device its memory and its first weights; returns the same object.

    `init` is `torchvision` (the family's rule) or `pytorch` (each layer's own default); batch norm starts as identity
    under both. Weights depend on `torch.manual_seed` alone. Raises ParamError for another `init`, and TypeError for a
    layer with weights that no rule covers, since its memory would stay uninitialised.
    """
    rule = choose("init", init, {"torchvision": torchvision_rule, "pytorch": _pytorch_rule})
    model.to_empty(device=torch.get_default_device())
    for layer in model.modules():
        if isinstance(layer, Weighted):
            rule(layer)
        elif isinstance(layer, nn.BatchNorm2d):
            layer.reset_parameters()
        elif [*layer.parameters(recurse=False), *layer.buffers(recurse=False)]:
            raise TypeError(f"no initialisation for {type(layer).__name__}")
    return model


def kaiming_fan_out(layer: Weighted) -> None:
    """Draw weights from N(0, 2 / fan_out) (He et al. 2015, 'Delving Deep into Rectifiers', section 2.2)."""
    nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")


def default_bias(layer: Weighted) -> None:
    """Draw the bias, if there is one, as PyTorch's layers do: U(-b, b), b = 1 / sqrt(fan_in)."""
    if layer.bias is not None:
        bound = 1 / math.sqrt(layer.weight[0].numel())
        nn.init.uniform_(layer.bias, -bound, bound)


def _pytorch_rule(layer: Weighted) -> None:
    layer.reset_parameters()
