"""Operations counted from layers, against counts by hand and published ones."""

import pytest
import torch
from torch import nn
from torchvision.models import googlenet, resnet18, vgg16, vgg16_bn

from benchmarks.operations import Layer, count, forward, training


def test_a_convolution_by_hand() -> None:
    """5x5 images, 3x3 kernels over 2 channels without padding: 3x3 places, 18 products each, 4 kernels."""
    assert count(nn.Conv2d(2, 4, 3), 2, 5) == [Layer(9 * 18 * 4, 9 * 18 * 4)]


def test_stride_and_groups_by_hand() -> None:
    """7x7 images, stride 2, padding 1: 4x4 places; each of 6 kernels sees 2 of 4 channels."""
    macs = 16 * 9 * 2 * 6
    assert count(nn.Conv2d(4, 6, 3, stride=2, padding=1, groups=2), 4, 7) == [Layer(macs, macs)]


@pytest.mark.parametrize(
    ("side", "stride", "taps"),
    [
        (1, 1, 1),  # one pixel: the centre
        (2, 1, 9),  # a place to the right of the left pixel: every tap meets one somewhere
        (2, 2, 4),  # one place, at the corner: its upper and left taps see padding alone
        (3, 2, 9),
    ],
)
def test_taps_that_only_meet_padding_are_not_executed(side: int, stride: int, taps: int) -> None:
    (layer,) = count(nn.Conv2d(3, 5, 3, stride=stride, padding=1), 3, side)
    places = (-(-side // stride)) ** 2
    assert layer == Layer(places * 9 * 3 * 5, places * taps * 3 * 5)


def test_layers_come_in_the_order_they_run() -> None:
    model = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 16, 10, bias=False))
    layers = count(model, 3, 4)
    assert [layer.macs for layer in layers] == [16 * 27 * 8, 8 * 16 * 10]
    assert not any(module._forward_hooks for module in model.modules())


def test_backward_takes_twice_the_forward_but_for_the_first_layer() -> None:
    assert forward([7]) == 14
    assert training([7]) == 28  # forward, and towards the weights
    assert training([7, 5]) == 28 + 30


@pytest.mark.parametrize(
    ("model", "giga_macs"),
    [(resnet18, 1.81), (vgg16, 15.47), (vgg16_bn, 15.47)],
)
def test_published_counts_at_224(model: type[nn.Module], giga_macs: float) -> None:
    with torch.device("meta"):
        layers = count(model(), 3, 224)
    assert sum(layer.macs for layer in layers) / 1e9 == pytest.approx(giga_macs, abs=0.005)
    assert all(layer.executed == layer.macs for layer in layers)


def test_googlenet_as_published_and_with_its_auxiliary_heads_while_it_trains() -> None:
    with torch.device("meta"):
        model = googlenet(aux_logits=True, init_weights=False)
    evaluated, trained = (sum(layer.macs for layer in count(model.train(mode), 3, 224)) for mode in (False, True))
    assert evaluated / 1e9 == pytest.approx(1.50, abs=0.005)
    heads = 16 * 128 * (512 + 528) + 2 * (2048 * 1024 + 1024 * 1000)
    assert trained - evaluated == heads
