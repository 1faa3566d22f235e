"""Wide residual networks for small images.

Zagoruyko and Komodakis 2016 (arXiv 1605.07146), Table 1 and Fig. 1 (d): basic blocks with batch norm and ReLU before
each convolution. torchvision's networks of that name are bottlenecks for ImageNet.
"""

import torch
from torch import Tensor, nn

from stages.engine.construction import Weighted, kaiming_fan_out, materialise, set_batch_norm
from stages.engine.networks.wideresnet import Settings

STEM, STAGES = 16, (16, 32, 64)  # channels; a stage has `width` times as many


def build(settings: Settings, channels: int, classes: int) -> nn.Module:
    """Build WRN-depth-width: (N, channels, side, side) -> logits (N, classes) for any side, float32, in train mode."""
    with torch.device("meta"):
        layers: list[nn.Module] = [nn.Conv2d(channels, STEM, kernel_size=3, padding=1, bias=False)]
        inputs = STEM
        for stage, base in enumerate(STAGES):
            outputs = base * settings.width
            for block in range((settings.depth - 4) // 6):
                stride = 2 if stage and not block else 1
                layers.append(Block(inputs, outputs, stride, settings.dropout))
                inputs = outputs
        layers += [nn.BatchNorm2d(inputs), nn.ReLU(inplace=True), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
        model = nn.Sequential(*layers, nn.Linear(inputs, classes))
    set_batch_norm(model, settings.batch_norm_eps, settings.batch_norm_momentum)
    return materialise(model, settings.init, _torchvision_rule)


class Block(nn.Module):
    """Two 3x3 convolutions beside a shortcut: (N, inputs, side, side) -> (N, outputs, side / stride, side / stride).

    Where the number of channels changes, the shortcut is a 1x1 convolution of what the first one reads.
    """

    def __init__(self, inputs: int, outputs: int, stride: int, dropout: float) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.BatchNorm2d(inputs), nn.BatchNorm2d(outputs)
        self.conv1 = nn.Conv2d(inputs, outputs, kernel_size=3, stride=stride, padding=1, bias=False)
        self.conv2 = nn.Conv2d(outputs, outputs, kernel_size=3, padding=1, bias=False)
        self.dropout, self.relu = nn.Dropout(dropout), nn.ReLU(inplace=True)
        self.shortcut = None
        if inputs != outputs or stride > 1:
            self.shortcut = nn.Conv2d(inputs, outputs, kernel_size=1, stride=stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Add the branch to the shortcut."""
        activated = self.relu(self.norm1(x))
        branch = self.conv2(self.dropout(self.relu(self.norm2(self.conv1(activated)))))
        return branch + (x if self.shortcut is None else self.shortcut(activated))


def _torchvision_rule(layer: Weighted) -> None:
    """Draw convolutions as torchvision's ResNets do, which is the publication's rule too; no convolution has a bias."""
    if isinstance(layer, nn.Conv2d):
        kaiming_fan_out(layer)
    else:
        layer.reset_parameters()
