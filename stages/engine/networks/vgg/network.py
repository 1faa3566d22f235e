"""VGG with batch norm, on torchvision's layers, for inputs of any size from 32 up.

Configurations A, D and E of Simonyan and Zisserman 2014 (arXiv 1409.1556, Table 1): 3x3 convolutions, five 2x2
max-pools, then fully connected layers. The surveyed paper's section on VGG16 gives 4096 + 4096 hidden units with
dropout 0.5 and calls models with a batch norm between convolution and ReLU vanilla.
"""

from collections.abc import Sequence

import torch
from torch import nn
from torchvision.models.vgg import VGG, cfgs, make_layers

from stages.config.settings import SMALLEST_INPUT
from stages.engine.networks.construction import Weighted, choose, kaiming_fan_out, materialise, require_input_size

CONFIGURATIONS = {11: "A", 16: "D", 19: "E"}
BATCH_NORM = {"none": False, "before_relu": True, "after_relu": True}
TOP_CHANNELS = 512


def build_vgg(
    *,
    depth: int,
    batch_norm: str,
    hidden_layers: Sequence[int],
    dropout: float,
    init: str,
    channels: int,
    classes: int,
    input_size: int,
) -> nn.Module:
    """Build VGG11, 16 or 19: (N, channels, input_size, input_size) -> logits (N, classes).

    The first fully connected layer reads the last map as it is, 512 x k x k with k = input_size // 32. At 224 that is
    torchvision's network, name for name. torchvision's adaptive pooling is left out: below 224 it only copies pixels
    to fill 7x7, and it has no deterministic backward on CUDA (pytorch issue 50198).

    Raises ParamError for a depth, batch_norm or init that there is not, and for an input below 32.
    """
    require_input_size(input_size, SMALLEST_INPUT["vgg"])
    configuration = choose("depth", depth, CONFIGURATIONS)
    normalised = choose("batch_norm", batch_norm, BATCH_NORM)
    with torch.device("meta"):
        features = make_layers(cfgs[configuration], batch_norm=normalised)
        features[0] = nn.Conv2d(channels, features[0].out_channels, kernel_size=3, padding=1)
        if batch_norm == "after_relu":
            features = _batch_norm_after_relu(features)
        model = VGG(features, init_weights=False)
        model.avgpool = nn.Identity()
        model.classifier = _head(TOP_CHANNELS * (input_size // 32) ** 2, hidden_layers, dropout, classes)
    return materialise(model, init, _torchvision_rule)


def _batch_norm_after_relu(features: nn.Sequential) -> nn.Sequential:
    layers = list(features)
    for i, layer in enumerate(features):
        if isinstance(layer, nn.BatchNorm2d):
            layers[i], layers[i + 1] = features[i + 1], layer
    return nn.Sequential(*layers)


def _head(inputs: int, hidden_layers: Sequence[int], dropout: float, classes: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for outputs in hidden_layers:
        layers += [nn.Linear(inputs, outputs), nn.ReLU(inplace=True), nn.Dropout(dropout)]
        inputs = outputs
    return nn.Sequential(*layers, nn.Linear(inputs, classes))


def _torchvision_rule(layer: Weighted) -> None:
    """Repeat what `torchvision.models.VGG` does with `init_weights=True`."""
    if isinstance(layer, nn.Conv2d):
        kaiming_fan_out(layer)
    else:
        nn.init.normal_(layer.weight, 0, 0.01)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
