"""The network of a run, on a data set and on a device."""

from typing import Any

import torch
from torch import nn

from stages.config.settings import Run
from stages.engine.layers import Convolution, Linear, swap_layers
from stages.engine.networks import build_model
from stages.engine.numerics import Numerics


def network_of(run: Run, description: dict[str, Any]) -> nn.Module:
    """Build the run's network for the data set that `description` (preprocess's dataset.json) describes."""
    return build_model(
        run.cell.family,
        run.cell.architecture(),
        channels=description["channels"],
        classes=len(description["classes"]),
        input_size=run.cell.input_size,
    )


def place(model: nn.Module, numerics: Numerics) -> nn.Module:
    """Move a network to the device for evaluation, what is multiplied in the arithmetic's format; in place."""
    swap_layers(model.to(numerics.device))
    for module in model.modules():
        if isinstance(module, Convolution | Linear):
            module.to(numerics.dtype)
    return model.to(memory_format=torch.channels_last)
