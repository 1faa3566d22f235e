"""The networks of the paper's Section II that its tables do not have: published sizes and shapes, and one epoch each.

Whatever needs no arithmetic is built on the meta device.
"""

import math
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from stages.config.settings import Cell, family_settings
from stages.engine.layers import Convolution
from stages.engine.network import multiply_adds, parameter_count
from tests.unit.engine.settings import OPTIMIZERS, run_of
from tests.unit.engine.test_loop import engine, random_splits
from tests.unit.engine.test_networks import images, layer_shapes

NORM = {"batch_norm_eps": 1e-5, "batch_norm_momentum": 0.1}
ALEXNET = {"family": "alexnet", "layout": "alexnet", "groups": 2, "hidden_layers": [4096, 4096], "dropout": 0.5}
ZFNET = {**ALEXNET, "layout": "zfnet", "groups": 1}
INCEPTION = {"family": "inceptionv4", "modules": [4, 7, 3], "dropout": 0.2, **NORM}
NARROW = {"hidden_layers": [16]}
SMALL: dict[str, dict[str, Any]] = {
    "lenet": {"family": "lenet"},
    "alexnet": {**ALEXNET, **NARROW},
    "zfnet": {**ZFNET, **NARROW},
    "wideresnet": {"family": "wideresnet", "depth": 10, "width": 2, "dropout": 0.3, **NORM},
    "inceptionv4": {**INCEPTION, "modules": [1, 1, 1]},
}


def wide(depth: int, width: int) -> dict[str, Any]:
    return {**SMALL["wideresnet"], "depth": depth, "width": width}


def build(settings: dict[str, Any], channels: int = 3, classes: int = 10, input_size: int = 32) -> Any:
    """A network on the default device."""
    kind = family_settings(settings["family"])
    found = kind.model_validate({"init": "torchvision", **settings})
    return found.build(channels=channels, classes=classes, input_size=input_size)


def shapes_of(model: Any, names: list[str], channels: int, side: int) -> list[tuple[int, ...]]:
    return list(layer_shapes(model, names, images(model, channels, side)).values())


# Sizes and shapes


def test_lenet_has_the_60000_parameters_of_its_publication() -> None:
    # LeCun et al. 1998, section II-B: 156, 12, 1,516, 32, 48,120 and 10,164 from C1 to F6; the output is 84 * 10 + 10.
    with torch.device("meta"):
        model = build(SMALL["lenet"], channels=1)
    by_layer = [parameter_count(layer) for layer in model if parameter_count(layer)]
    assert by_layer == [156, 12, 1516, 32, 48120, 10164, 850]
    assert sum(by_layer[:-1]) == 60_000


def test_lenet_s_shapes_are_the_papers() -> None:
    # Fig. 2: C1 6@28x28, S2 6@14x14, C3 16@10x10, S4 16@5x5, C5 120, F6 84, output 10.
    with torch.device("meta"):
        model = build(SMALL["lenet"], channels=1)
    names = [name for name, layer in model.named_children() if parameter_count(layer)]
    expected = [(6, 28, 28), (6, 14, 14), (16, 10, 10), (16, 5, 5), (120, 1, 1), (84,), (10,)]
    assert shapes_of(model, names, 1, 32) == expected


def test_lenet_s_third_layer_reads_the_maps_of_the_papers_table() -> None:
    # Table I, a row for each map of S2: the maps of C3 that read it.
    table = [
        "X   XXX  XXXX XX",
        "XX   XXX  XXXX X",
        "XXX   XXX  X XXX",
        " XXX  XXXX  X XX",
        "  XXX  XXXX XX X",
        "   XXX  XXXX XXX",
    ]
    model = build(SMALL["lenet"], channels=1)
    for read, row in enumerate(table):
        maps = torch.zeros(1, 6, 5, 5)
        before = model[5](maps).flatten()
        maps[:, read] = 1
        changed = model[5](maps).flatten() != before
        assert "".join("X" if one else " " for one in changed) == row


@pytest.mark.parametrize(("settings", "published"), [(ALEXNET, 60_965_224), (ZFNET, 62_357_608)])
def test_alexnet_and_zfnet_have_the_published_parameters(settings: dict[str, Any], published: int) -> None:
    # Krizhevsky et al. 2012, abstract and section 5: 60 million; by its section 3.5, 60,965,224, as BVLC's Caffe model
    # bvlc_alexnet has. Zeiler and Fergus 2013 print none: what Fig. 3's layers give.
    with torch.device("meta"):
        assert parameter_count(build(settings, classes=1000, input_size=224)) == published


def test_alexnet_s_and_zfnet_s_shapes_are_the_papers() -> None:
    # Krizhevsky et al. 2012, Fig. 2 and section 3.5; Zeiler and Fergus 2013, Fig. 3.
    expected = {
        "alexnet": [
            (96, 55, 55),
            (96, 27, 27),
            (256, 27, 27),
            (256, 13, 13),
            (384, 13, 13),
            (256, 13, 13),
            (256, 6, 6),
        ],
        "zfnet": [
            (96, 110, 110),
            (96, 55, 55),
            (256, 26, 26),
            (256, 13, 13),
            (384, 13, 13),
            (256, 13, 13),
            (256, 6, 6),
        ],
    }
    places = {"alexnet": (0, 3, 4, 7, 8, 12, 14), "zfnet": (0, 2, 4, 6, 8, 12, 14)}
    for settings in (ALEXNET, ZFNET):
        with torch.device("meta"):
            model = build(settings, classes=1000, input_size=224)
        name = str(settings["layout"])
        assert shapes_of(model, [f"0.{place}" for place in places[name]], 3, 224) == expected[name]


def test_response_norm_is_pytorchs_at_the_papers_constants() -> None:
    from stages.engine.networks.alexnet.network import ResponseNorm

    x = torch.randn(2, 7, 3, 3, generator=torch.Generator().manual_seed(0)) * 30
    assert torch.allclose(ResponseNorm()(x), nn.LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2.0)(x), rtol=1e-5)


@pytest.mark.parametrize(
    ("depth", "width", "millions"),
    # Zagoruyko and Komodakis 2016 (arXiv 1605.07146), section 3, the tables of depths and widths: "# params".
    [
        *[(40, 1, 0.6), (40, 2, 2.2), (40, 4, 8.9), (40, 8, 35.7), (28, 10, 36.5), (28, 12, 52.5)],
        *[(22, 8, 17.2), (22, 10, 26.8), (16, 8, 11.0), (16, 10, 17.1)],
    ],
)
def test_wide_resnets_have_the_published_parameters(depth: int, width: int, millions: float) -> None:
    with torch.device("meta"):
        assert round(parameter_count(build(wide(depth, width))) / 1e6, 1) == millions


def test_wide_resnet_s_shapes_are_the_papers() -> None:
    # Table 1: groups conv1 to conv4 and the pool, here with depth 16 and width 4.
    with torch.device("meta"):
        model = build(wide(16, 4))
    expected = [(16, 32, 32), (64, 32, 32), (128, 16, 16), (256, 8, 8), (256, 1, 1)]
    assert shapes_of(model, ["0", "2", "4", "6", "9"], 3, 32) == expected


def test_inception_v4_has_the_published_parameters_and_multiply_adds() -> None:
    # The model card of timm's `inception_v4.tf_in1k`, which has the publication's weights: 42.7 million and 12.3 G at
    # 299 x 299. 42,679,816 is what Figs. 3 to 9 give.
    with torch.device("meta"):
        model = build(INCEPTION, classes=1000, input_size=299)
    assert parameter_count(model) == 42_679_816
    assert multiply_adds(model, 3, 299) / 1e9 == pytest.approx(12.3, abs=0.05)


def test_inception_v4_s_shapes_are_the_papers() -> None:
    # Szegedy et al. 2016, Figs. 3 and 9.
    with torch.device("meta"):
        model = build(INCEPTION, classes=1000, input_size=299)
    names = ["0", "1", "2", "3", "4", "5", "9", "10", "17", "18", "21", "22"]
    assert shapes_of(model, names, 3, 299) == [
        *[(32, 149, 149), (32, 147, 147), (64, 147, 147), (160, 73, 73), (192, 71, 71), (384, 35, 35)],
        *[(384, 35, 35), (1024, 17, 17), (1024, 17, 17), (1536, 8, 8), (1536, 8, 8), (1536, 1, 1)],
    ]


@pytest.mark.parametrize("name", SMALL)
def test_the_smallest_input_works_at_every_size_from_there(name: str) -> None:
    smallest = family_settings(SMALL[name]["family"]).SMALLEST_INPUT
    for side, channels in ((smallest, 1), (smallest + 1, 3), (96, 1)):
        with torch.device("meta"):
            model = build(SMALL[name], channels, input_size=side)
        assert model(images(model, channels, side)).shape == (2, 10)


def cell(name: str, **changes: Any) -> Cell:
    smallest = family_settings(SMALL[name]["family"]).SMALLEST_INPUT
    given = {"batch_size": 4, "input_size": smallest, "augment": "none", "init": "torchvision"}
    return Cell.of({**SMALL[name], **OPTIMIZERS["momentum"], **given, **changes})


@pytest.mark.parametrize("name", ["lenet", "alexnet", "zfnet", "inceptionv4"])
def test_a_smaller_input_is_refused(name: str) -> None:
    smallest = family_settings(SMALL[name]["family"]).SMALLEST_INPUT
    with pytest.raises(ValidationError, match=f"{smallest} or more for this network"):
        cell(name, input_size=smallest - 1)


@pytest.mark.parametrize(("name", "too_small"), [("alexnet", 62), ("inceptionv4", 74)])
def test_the_smallest_input_is_the_smallest(name: str, too_small: int) -> None:
    with torch.device("meta"):
        model = build(SMALL[name], input_size=too_small + 1)
        with pytest.raises(RuntimeError, match=r"too small|can't be greater"):
            model(images(model, 3, too_small))


# Training


@pytest.mark.usefixtures("torch_settings")
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("name", SMALL)
def test_the_engine_trains_it_for_an_epoch(name: str, precision: str) -> None:
    """Its grouped and non-square convolutions too; every weight that has a gradient moves, and all stay finite."""
    side = 32 if name == "wideresnet" else family_settings(SMALL[name]["family"]).SMALLEST_INPUT
    run = run_of(cell(name, input_size=side), precision=precision)
    trained = engine(run, random_splits())
    assert trained.outcome == "finished"
    assert len(trained.history) == 1
    assert all(math.isfinite(value) for value in trained.history[0].values())
    model = trained.trainer.model
    convolutions = [layer for layer in model.modules() if isinstance(layer, nn.Conv2d)]
    assert convolutions
    assert all(isinstance(layer, Convolution) for layer in convolutions)
    assert all(bool(weight.isfinite().all()) for weight in model.parameters())


@pytest.mark.usefixtures("torch_settings")
@pytest.mark.parametrize("name", SMALL)
def test_the_engine_s_layers_compute_what_pytorchs_do(name: str) -> None:
    """The logits and all gradients of a batch, in float64."""
    from stages.engine.layers import swap_layers

    side = 32 if name == "wideresnet" else family_settings(SMALL[name]["family"]).SMALLEST_INPUT
    found = []
    for swapped in (False, True):
        torch.manual_seed(0)
        model = build({**SMALL[name], **({"dropout": 0.0} if "dropout" in SMALL[name] else {})}, 1, input_size=side)
        model = model.double().to(memory_format=torch.channels_last)
        if swapped:
            swap_layers(model)
            for weight in model.parameters():
                weight.grad = torch.zeros_like(weight)
        batch = torch.randn(3, 1, side, side, generator=torch.Generator().manual_seed(1)).double()
        logits = model(batch.contiguous(memory_format=torch.channels_last))
        logits.square().sum().backward()
        found.append([logits.detach(), *(weight.grad.clone() for weight in model.parameters())])
    for ours, theirs in zip(*found, strict=True):
        assert torch.allclose(ours, theirs, rtol=1e-7, atol=1e-9 * float(theirs.abs().max() + 1e-30))
