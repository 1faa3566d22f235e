"""Inception-v4 on torchvision's convolution block, for inputs of any size from 75 up.

Szegedy, Ioffe, Vanhoucke and Alemi 2016 (arXiv 1602.07261), Figs. 3 to 9. The publication prints no number of
parameters. timm's model card of `inception_v4.tf_in1k`, which has the publication's weights, says 42.7 million.
"""

import torch
from torch import Tensor, nn
from torchvision.models.inception import BasicConv2d

from stages.engine.construction import Weighted, default_bias, materialise, set_batch_norm
from stages.engine.networks.inceptionv4 import Settings

A, B, C = 384, 1024, 1536  # channels of the three kinds of modules
Kernel = int | tuple[int, int]


def build(settings: Settings, channels: int, classes: int) -> nn.Module:
    """Build Inception-v4: (N, channels, side, side) -> logits (N, classes) for any side, float32, in train mode."""
    a, b, c = settings.modules
    with torch.device("meta"):
        model = nn.Sequential(
            *_stem(channels),
            *(_module_a() for _ in range(a)),
            _reduction_a(),
            *(_module_b() for _ in range(b)),
            _reduction_b(),
            *(_module_c() for _ in range(c)),
            *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(settings.dropout), nn.Linear(C, classes)),
        )
    set_batch_norm(model, settings.batch_norm_eps, settings.batch_norm_momentum)
    return materialise(model, settings.init, _torchvision_rule)


class Branches(nn.Module):
    """Branches of one input, their outputs one behind the other in the channels."""

    def __init__(self, *branches: nn.Module) -> None:
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, side, side) -> (N, the sum of the branches' channels, out, out)."""
        return torch.cat([branch(x) for branch in self.branches], 1)


def _conv(inputs: int, outputs: int, kernel: Kernel, stride: int = 1, valid: bool = False) -> BasicConv2d:
    """A convolution with batch norm and ReLU; the side of the map stays, unless it is strided or `valid`."""
    sides = (kernel, kernel) if isinstance(kernel, int) else kernel
    padding = (0, 0) if valid or stride > 1 else (sides[0] // 2, sides[1] // 2)
    return BasicConv2d(inputs, outputs, kernel_size=kernel, stride=stride, padding=padding)


def _chain(inputs: int, *steps: tuple[int, Kernel]) -> nn.Sequential:
    """Convolutions one after the other, each with its output channels and kernel."""
    layers: list[nn.Module] = []
    for outputs, kernel in steps:
        layers.append(_conv(inputs, outputs, kernel))
        inputs = outputs
    return nn.Sequential(*layers)


def _pooled(inputs: int, outputs: int) -> nn.Sequential:
    """The mean of 3 x 3 pixels, those outside left out, and a 1x1 convolution."""
    return nn.Sequential(nn.AvgPool2d(3, stride=1, padding=1, count_include_pad=False), _conv(inputs, outputs, 1))


def _stem(channels: int) -> list[nn.Module]:
    """Fig. 3: (N, channels, 299, 299) -> (N, 384, 35, 35)."""
    return [
        *(_conv(channels, 32, 3, stride=2), _conv(32, 32, 3, valid=True), _conv(32, 64, 3)),
        Branches(nn.MaxPool2d(3, stride=2), _conv(64, 96, 3, stride=2)),
        Branches(
            nn.Sequential(_conv(160, 64, 1), _conv(64, 96, 3, valid=True)),
            nn.Sequential(_chain(160, (64, 1), (64, (1, 7)), (64, (7, 1))), _conv(64, 96, 3, valid=True)),
        ),
        Branches(_conv(192, 192, 3, stride=2), nn.MaxPool2d(3, stride=2)),
    ]


def _module_a() -> Branches:
    """Fig. 4, with 35 x 35 pixels in the publication."""
    return Branches(
        _chain(A, (96, 1)), _chain(A, (64, 1), (96, 3)), _chain(A, (64, 1), (96, 3), (96, 3)), _pooled(A, 96)
    )


def _reduction_a() -> Branches:
    """Fig. 7 with k, l, m, n = 192, 224, 256, 384 (Table 1): (N, 384, 35, 35) -> (N, 1024, 17, 17)."""
    return Branches(
        _conv(A, 384, 3, stride=2),
        nn.Sequential(_chain(A, (192, 1), (224, 3)), _conv(224, 256, 3, stride=2)),
        nn.MaxPool2d(3, stride=2),
    )


def _module_b() -> Branches:
    """Fig. 5, with 17 x 17 pixels."""
    return Branches(
        _chain(B, (384, 1)),
        _chain(B, (192, 1), (224, (1, 7)), (256, (7, 1))),
        _chain(B, (192, 1), (192, (7, 1)), (224, (1, 7)), (224, (7, 1)), (256, (1, 7))),
        _pooled(B, 128),
    )


def _reduction_b() -> Branches:
    """Fig. 8: (N, 1024, 17, 17) -> (N, 1536, 8, 8)."""
    return Branches(
        nn.Sequential(_chain(B, (192, 1)), _conv(192, 192, 3, stride=2)),
        nn.Sequential(_chain(B, (256, 1), (256, (1, 7)), (320, (7, 1))), _conv(320, 320, 3, stride=2)),
        nn.MaxPool2d(3, stride=2),
    )


def _module_c() -> Branches:
    """Fig. 6, with 8 x 8 pixels."""

    def split(inputs: int) -> Branches:
        return Branches(_conv(inputs, 256, (1, 3)), _conv(inputs, 256, (3, 1)))

    return Branches(
        _chain(C, (256, 1)),
        nn.Sequential(_chain(C, (384, 1)), split(384)),
        nn.Sequential(_chain(C, (384, 1), (448, (3, 1)), (512, (1, 3))), split(512)),
        _pooled(C, 256),
    )


def _torchvision_rule(layer: Weighted) -> None:
    """Draw weights as torchvision's Inception-v3 does; the last layer's bias keeps PyTorch's default."""
    nn.init.trunc_normal_(layer.weight, mean=0.0, std=0.1, a=-2, b=2)
    default_bias(layer)
