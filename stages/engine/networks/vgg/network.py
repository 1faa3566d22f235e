"""VGG on torchvision's layers, for inputs of any size from 32 up.

Configurations A, D and E of Simonyan and Zisserman 2014 (arXiv 1409.1556, Table 1): 3x3 convolutions, five 2x2
max-pools, then fully connected layers. The surveyed paper's section on VGG16 gives 4096 + 4096 hidden units with
dropout 0.5 and calls models with a batch norm between convolution and ReLU vanilla.
"""

from collections.abc import Sequence

import torch
from torch import nn
from torchvision.models.vgg import VGG, cfgs, make_layers

from stages.engine.construction import Weighted, kaiming_fan_out, materialise, set_batch_norm, zero_bias
from stages.engine.networks.vgg import Settings

CONFIGURATIONS = {11: "A", 16: "D", 19: "E"}
TOP_CHANNELS = 512


def build(settings: Settings, channels: int, classes: int, input_size: int) -> nn.Module:
    """Build VGG11, 16 or 19: (N, channels, input_size, input_size) -> logits (N, classes), float32, in train mode.

    The first fully connected layer reads the last map as it is, 512 x k x k with k = input_size // 32. At 224 that is
    torchvision's network, name for name. torchvision's adaptive pooling is left out: below 224 it only copies pixels
    to fill 7x7, and it has no deterministic backward on CUDA (pytorch issue 50198).
    """
    with torch.device("meta"):
        features = make_layers(cfgs[CONFIGURATIONS[settings.depth]], batch_norm=settings.batch_norm != "none")
        features[0] = nn.Conv2d(channels, features[0].out_channels, kernel_size=3, padding=1)
        if settings.batch_norm == "after_relu":
            features = _batch_norm_after_relu(features)
        model = VGG(features, init_weights=False)
        model.avgpool = nn.Identity()
        inputs = TOP_CHANNELS * (input_size // 32) ** 2
        model.classifier = _head(inputs, settings.hidden_layers, settings.dropout, classes)
    set_batch_norm(model, settings.batch_norm_eps, settings.batch_norm_momentum)
    return materialise(model, settings.init, _torchvision_rule)


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
    zero_bias(layer)
