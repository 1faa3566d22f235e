"""GoogLeNet with its two auxiliary heads, on torchvision's class, for inputs of any size from 15 up.

Szegedy et al. 2014 (arXiv 1409.4842), Table 1 and section 5; the surveyed paper's section on GoogLeNet repeats it.
torchvision differs from both in four places. Three are corrected here: its third branch convolves 3x3 instead of 5x5
(pytorch/vision issue 906), its fourth max-pool is 2x2, and its auxiliary heads pool to a fixed 4x4 by a layer that
has no deterministic backward on CUDA (pytorch issue 50198). The fourth is a setting: torchvision has batch norm before
each ReLU, the publication has none.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models.googlenet import BasicConv2d, GoogLeNet, Inception, InceptionAux

from stages.engine.construction import Weighted, default_bias, materialise, set_batch_norm
from stages.engine.networks.googlenet import Settings

AUXILIARY_CHANNELS, AUXILIARY_UNITS = 128, 1024


def build(settings: Settings, channels: int, classes: int, input_size: int) -> nn.Module:
    """Build GoogLeNet: (N, channels, input_size, input_size) -> logits (N, classes), float32, in train mode.

    While training it returns torchvision's GoogLeNetOutputs, three logits of that shape: `logits`, `aux_logits2` from
    the head after the sixth inception module, `aux_logits1` from the one after the third.
    """
    side = _side_at_4a(input_size)
    convolution = _convolution_block(settings)
    inception = partial(Inception, conv_block=convolution)
    auxiliary = partial(AuxiliaryHead, side=side, conv_block=convolution)
    with torch.device("meta"):
        model = GoogLeNet(
            num_classes=classes,
            init_weights=False,
            blocks=[convolution, inception, auxiliary],
            dropout=settings.dropout,
            dropout_aux=settings.auxiliary_dropout,
        )
        model.conv1 = convolution(channels, model.conv1.conv.out_channels, kernel_size=7, stride=2, padding=3)
        model.maxpool4 = nn.MaxPool2d(min(3, side), stride=2, ceil_mode=True)
        for module in model.modules():
            if isinstance(module, Inception):
                found = module.branch3[1].conv
                module.branch3[1] = convolution(found.in_channels, found.out_channels, kernel_size=5, padding=2)
    set_batch_norm(model, settings.batch_norm_eps, settings.batch_norm_momentum)
    return materialise(model, settings.init, _torchvision_rule)


class PlainConvolution(nn.Module):
    """Convolution with a bias, ReLU; named as torchvision's block is."""

    def __init__(self, in_channels: int, out_channels: int, **geometry: Any) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, **geometry)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve and rectify: (N, in_channels, side, side) -> (N, out_channels, out, out)."""
        return F.relu(self.conv(x), inplace=True)


class AuxiliaryHead(InceptionAux):
    """An auxiliary classifier: (N, in_channels, side, side) -> logits (N, num_classes).

    Average pool 5x5/3 (over the whole map where that is smaller), 1x1 convolution to 128, 1024 units with ReLU and
    dropout, classes (Szegedy et al. 2014, section 5).
    """

    def __init__(
        self, in_channels: int, num_classes: int, *, side: int, dropout: float, conv_block: Callable[..., nn.Module]
    ) -> None:
        super().__init__(in_channels, num_classes, conv_block=conv_block, dropout=dropout)
        self.pool = nn.AvgPool2d(min(5, side), stride=3)
        pooled = max(0, side - 5) // 3 + 1
        self.fc1 = nn.Linear(AUXILIARY_CHANNELS * pooled**2, AUXILIARY_UNITS)

    def forward(self, x: Tensor) -> Tensor:
        """Do as torchvision's head does, except for the pool."""
        x = torch.flatten(self.conv(self.pool(x)), 1)
        return self.fc2(self.dropout(F.relu(self.fc1(x), inplace=True)))


def _convolution_block(settings: Settings) -> Callable[..., nn.Module]:
    """What makes each convolution of the network together with what follows it."""
    return PlainConvolution if settings.batch_norm == "none" else BasicConv2d


def _side_at_4a(input_size: int) -> int:
    """Side of the square map that the auxiliary heads see: the 7x7/2 stem and three 3x3/2 max-pools halve four times.

    The padded convolution rounds up, the unpadded pools in ceil mode turn s into s // 2.
    """
    return (input_size + 1) // 2 // 2 // 2 // 2


def _torchvision_rule(layer: Weighted) -> None:
    """Repeat what `torchvision.models.GoogLeNet` does with `init_weights=True`: biases keep PyTorch's default."""
    nn.init.trunc_normal_(layer.weight, mean=0.0, std=0.01, a=-2, b=2)
    default_bias(layer)
