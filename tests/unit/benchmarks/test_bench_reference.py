"""The reference is what it says: torchvision's networks, the same pixels as the engine's, the same loss."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torchvision.models.googlenet import GoogLeNetOutputs

from benchmarks.families import run_of
from benchmarks.reference import Cifar10, network, total_loss
from stages.engine.images import Standardise
from stages.engine.network import parameter_count
from stages.engine.numerics import Numerics

DESCRIBED = {"mean": [0.49, 0.48, 0.45], "std": [0.24, 0.25, 0.26]}


def test_images_are_those_that_the_engine_sees() -> None:
    images = np.random.default_rng(0).integers(0, 256, (3, 3, 32, 32), np.uint8)
    dataset = Cifar10(images, np.array([4, 0, 9], np.uint8), DESCRIBED)
    standardise = Standardise.of(DESCRIBED, 32, Numerics(torch.device("cpu"), torch.float32, 1))
    found = torch.stack([dataset[index][0] for index in range(len(dataset))])
    torch.testing.assert_close(found, standardise(torch.from_numpy(images)).contiguous())
    assert [dataset[index][1] for index in range(3)] == [4, 0, 9]


def on_meta(family: str, same_head: bool = False) -> nn.Module:
    with torch.device("meta"):
        return network(family, same_head)


def test_networks_have_torchvisions_sizes() -> None:
    assert (
        parameter_count(on_meta("vgg16")) == 138_365_992 - 990 * 4097
    )  # torchvision's, with ten classes for a thousand
    assert on_meta("vgg16").get_submodule("classifier.0").weight.shape == (4096, 25088)
    assert parameter_count(on_meta("resnet18")) == 11_689_512 - 990 * 513
    outputs = on_meta("googlenet")(torch.zeros(2, 3, 32, 32, device="meta"))
    assert isinstance(outputs, GoogLeNetOutputs)


@pytest.mark.parametrize("family", ["vgg16", "resnet18"])
def test_with_the_same_head_a_network_is_as_large_as_ours(family: str) -> None:
    run = run_of(family)
    with torch.device("meta"):
        ours = run.cell.build(channels=3, classes=10, input_size=32)
    theirs = on_meta(family, same_head=True)
    shapes = [[tuple(parameter.shape) for parameter in model.parameters()] for model in (ours, theirs)]
    assert shapes[0] == shapes[1]
    assert theirs(torch.zeros(2, 3, 32, 32, device="meta")).shape == (2, 10)


def test_auxiliary_heads_count_three_tenths() -> None:
    logits = torch.randn(3, 4, 10, generator=torch.Generator().manual_seed(0))
    labels = torch.tensor([1, 5, 9, 0])
    each = [F.cross_entropy(head, labels) for head in logits]
    assert total_loss(logits[0], labels) == each[0]
    torch.testing.assert_close(total_loss(GoogLeNetOutputs(*logits), labels), each[0] + 0.3 * (each[1] + each[2]))
