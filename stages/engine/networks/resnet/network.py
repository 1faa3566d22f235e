"""ResNet18 on torchvision's class, with the stem of the text or the one usual for small images.

He et al. 2015 (arXiv 1512.03385): Table 1 for the 7x7/2 stem with max-pool, which the surveyed paper's text repeats;
section 4.2 for a single 3x3/1 convolution on 32x32 images, which fits the surveyed paper's printed log.
"""

import torch
from torch import nn
from torchvision.models import resnet18

from stages.config.settings import SMALLEST_INPUT
from stages.engine.networks.construction import (
    Weighted,
    choose,
    kaiming_fan_out,
    materialise,
    require_input_size,
)

DEPTHS = {18: resnet18}
STEMS = {"7x7": True, "3x3": False}


def build_resnet(*, depth: int, stem: str, init: str, channels: int, classes: int, input_size: int) -> nn.Module:
    """Build ResNet18: (N, channels, input_size, input_size) -> logits (N, classes).

    Stem `7x7` is a 7x7/2 convolution and a 3x3/2 max-pool, stem `3x3` a 3x3/1 convolution and no max-pool. Raises
    ParamError for a depth, stem or init that there is not, and for an input below 1.
    """
    require_input_size(input_size, SMALLEST_INPUT["resnet"])
    constructor = choose("depth", depth, DEPTHS)
    large = choose("stem", stem, STEMS)
    with torch.device("meta"):
        model = constructor(num_classes=classes)
        width = model.conv1.out_channels
        if large:
            model.conv1 = nn.Conv2d(channels, width, kernel_size=7, stride=2, padding=3, bias=False)
        else:
            model.conv1 = nn.Conv2d(channels, width, kernel_size=3, padding=1, bias=False)
            model.maxpool = nn.Identity()
    return materialise(model, init, _torchvision_rule)


def _torchvision_rule(layer: Weighted) -> None:
    """Repeat what `torchvision.models.ResNet` does: its linear layer keeps PyTorch's default.

    No convolution here has a bias.
    """
    if isinstance(layer, nn.Conv2d):
        kaiming_fan_out(layer)
    else:
        layer.reset_parameters()
