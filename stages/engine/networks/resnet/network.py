"""ResNets on torchvision's class, with the stem of the text or the one usual for small images.

He et al. 2015 (arXiv 1512.03385): Table 1 for the 7x7/2 stem with max-pool, which the surveyed paper's text repeats;
section 4.2 for a single 3x3/1 convolution on 32x32 images, which fits the surveyed paper's printed log.
"""

import torch
from torch import nn
from torchvision.models import resnet18, resnet34, resnet50, resnet101

from stages.engine.construction import Weighted, kaiming_fan_out, materialise, set_batch_norm
from stages.engine.networks.resnet import Settings

BUILDERS = {18: resnet18, 34: resnet34, 50: resnet50, 101: resnet101}  # a bottleneck strides in its 3x3 (ResNet v1.5)


def build(settings: Settings, channels: int, classes: int) -> nn.Module:
    """Build a ResNet: (N, channels, side, side) -> logits (N, classes) for any side, float32, in train mode."""
    with torch.device("meta"):
        model = BUILDERS[settings.depth](num_classes=classes)
        width = model.conv1.out_channels
        if settings.stem == "7x7":
            model.conv1 = nn.Conv2d(channels, width, kernel_size=7, stride=2, padding=3, bias=False)
        else:
            model.conv1 = nn.Conv2d(channels, width, kernel_size=3, padding=1, bias=False)
            model.maxpool = nn.Identity()
    set_batch_norm(model, settings.batch_norm_eps, settings.batch_norm_momentum)
    return materialise(model, settings.init, _torchvision_rule)


def _torchvision_rule(layer: Weighted) -> None:
    """Repeat what `torchvision.models.ResNet` does: its linear layer keeps PyTorch's default.

    No convolution here has a bias.
    """
    if isinstance(layer, nn.Conv2d):
        kaiming_fan_out(layer)
    else:
        layer.reset_parameters()
