"""AlexNet and ZFNet as they were published, for inputs of any size from 63 up.

AlexNet: Krizhevsky, Sutskever and Hinton 2012 (ImageNet classification with deep convolutional neural networks),
section 3.5 and Fig. 2; "60 million parameters". torchvision has another network of that name, of 2014, with 64
channels in its first layer and no response normalisation. ZFNet: Zeiler and Fergus 2013 (arXiv 1311.2901), Fig. 3 and
section 4.1.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stages.engine.construction import materialise, pytorch_default
from stages.engine.networks.alexnet import Settings


def build(settings: Settings, channels: int, classes: int, input_size: int) -> nn.Module:
    """Build the network: (N, channels, input_size, input_size) -> logits (N, classes), float32, in train mode.

    The first fully connected layer reads the last map as it is: 256 x 6 x 6 at 224 pixels, 256 x 1 x 1 at 63 or 64.
    torchvision draws the first weights of its AlexNet by PyTorch's defaults, which `init: torchvision` does here.
    """
    layers = {"alexnet": _alexnet, "zfnet": _zfnet}[settings.layout]
    with torch.device("meta"):
        features = nn.Sequential(*layers(channels, settings.groups))
        inputs = features(torch.zeros(1, channels, input_size, input_size)).numel()
        head = _head(inputs, settings.hidden_layers, settings.dropout, classes)
        model = nn.Sequential(features, nn.Flatten(), head)
    return materialise(model, settings.init, pytorch_default)


class ResponseNorm(nn.Module):
    """Divide by (k + alpha * the sum of squares over `size` neighbouring channels)^beta; any (N, channels, ...).

    Krizhevsky et al. 2012, section 3.3, with its constants. PyTorch's LocalResponseNorm has no deterministic backward
    pass on CUDA, since it pools in three dimensions.
    """

    size, k, alpha, beta = 5, 2.0, 1e-4, 0.75

    def forward(self, x: Tensor) -> Tensor:
        """Normalise; same shape."""
        channels, reach = x.shape[1], self.size // 2
        squares = F.pad(x * x, (0, 0, 0, 0, reach, reach))
        total = squares[:, :channels]
        for start in range(1, self.size):
            total = total + squares[:, start : start + channels]
        return x / (self.k + self.alpha * total) ** self.beta


def _alexnet(channels: int, groups: int) -> list[nn.Module]:
    return [
        *(nn.Conv2d(channels, 96, kernel_size=11, stride=4, padding=2), nn.ReLU(inplace=True)),
        *(ResponseNorm(), nn.MaxPool2d(3, stride=2)),
        *(nn.Conv2d(96, 256, kernel_size=5, padding=2, groups=groups), nn.ReLU(inplace=True)),
        *(ResponseNorm(), nn.MaxPool2d(3, stride=2)),
        *_last_three(groups),
        nn.MaxPool2d(3, stride=2),
    ]


def _zfnet(channels: int, groups: int) -> list[nn.Module]:
    """The max-pools round up, which gives the publication's 55, 13 and 6 pixels."""
    return [
        *(nn.Conv2d(channels, 96, kernel_size=7, stride=2, padding=1), nn.ReLU(inplace=True)),
        *(nn.MaxPool2d(3, stride=2, ceil_mode=True), ResponseNorm()),
        *(nn.Conv2d(96, 256, kernel_size=5, stride=2, groups=groups), nn.ReLU(inplace=True)),
        *(nn.MaxPool2d(3, stride=2, ceil_mode=True), ResponseNorm()),
        *_last_three(groups),
        nn.MaxPool2d(3, stride=2, ceil_mode=True),
    ]


def _last_three(groups: int) -> list[nn.Module]:
    """The third convolution reads all channels, the fourth and fifth those of their group."""
    return [
        *(nn.Conv2d(256, 384, kernel_size=3, padding=1), nn.ReLU(inplace=True)),
        *(nn.Conv2d(384, 384, kernel_size=3, padding=1, groups=groups), nn.ReLU(inplace=True)),
        *(nn.Conv2d(384, 256, kernel_size=3, padding=1, groups=groups), nn.ReLU(inplace=True)),
    ]


def _head(inputs: int, hidden_layers: Sequence[int], dropout: float, classes: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for outputs in hidden_layers:
        layers += [nn.Dropout(dropout), nn.Linear(inputs, outputs), nn.ReLU(inplace=True)]
        inputs = outputs
    return nn.Sequential(*layers, nn.Linear(inputs, classes))
