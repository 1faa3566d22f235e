"""The networks against published parameter counts and the papers' own tables, at every setting.

Whatever needs no arithmetic is built on the meta device, where 224-pixel networks cost milliseconds.
"""

import copy
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision import models as torchvision_models
from torchvision.models.googlenet import InceptionAux

from stages.config.settings import family_settings
from stages.engine import construction
from stages.engine.network import multiply_adds, parameter_count, split_outputs
from tests.unit.engine.settings import FAMILIES, cell_of, network_settings

PUBLISHED_HEAD: dict[str, Any] = {"hidden_layers": [4096, 4096]}
INITS = ("torchvision", "pytorch", "xavier")
NO_NORM: dict[str, Any] = {"batch_norm": "none"}


def build(family: str, channels: int = 1, classes: int = 10, input_size: int = 32, **changes: Any) -> Any:
    """A network with PyTorch's initialisation, VGG with 32 hidden units."""
    narrow = {"hidden_layers": [32]} if family == "vgg" else {}
    settings = network_settings(family, **{"init": "pytorch", **narrow, **changes})
    return settings.build(channels=channels, classes=classes, input_size=input_size)


def build_published(family: str, **changes: Any) -> Any:
    """The form in which the papers and torchvision give their numbers, without memory."""
    with torch.device("meta"):
        return build(family, channels=3, classes=1000, input_size=224, **changes)


def images(model: nn.Module, channels: int, input_size: int) -> Tensor:
    device = next(model.parameters()).device
    return torch.randn(2, channels, input_size, input_size, device=device)


def weighted_layers(model: nn.Module, kind: type[nn.Module]) -> list[Any]:
    return [layer for layer in model.modules() if isinstance(layer, kind)]


# Parameter counts


@pytest.mark.parametrize(
    ("family", "changes", "published"),
    [
        # https://docs.pytorch.org/vision/stable/models.html, written out so that torchvision cannot move them.
        ("vgg", {"depth": 11}, 132_868_840),
        ("vgg", {"depth": 16}, 138_365_992),
        ("vgg", {"depth": 19}, 143_678_248),
        ("vgg", {"depth": 16, "batch_norm": "none"}, 138_357_544),
        ("vgg", {"depth": 16, "batch_norm": "after_relu"}, 138_365_992),
        ("resnet", {}, 11_689_512),
        ("resnet", {"depth": 34}, 21_797_672),
        ("resnet", {"depth": 50}, 25_557_032),
        ("resnet", {"depth": 101}, 44_549_160),
    ],
)
def test_parameter_counts_are_the_published_ones(family: str, changes: dict[str, Any], published: int) -> None:
    head = PUBLISHED_HEAD if family == "vgg" else {}
    assert parameter_count(build_published(family, **head, **changes)) == published


# Szegedy et al. 2014, Table 1: input channels (the row above), #1x1, #3x3 reduce, #3x3, #5x5 reduce, #5x5, pool proj.
INCEPTION_TABLE = {
    "3a": (192, 64, 96, 128, 16, 32, 32),
    "3b": (256, 128, 128, 192, 32, 96, 64),
    "4a": (480, 192, 96, 208, 16, 48, 64),
    "4b": (512, 160, 112, 224, 24, 64, 64),
    "4c": (512, 128, 128, 256, 24, 64, 64),
    "4d": (512, 112, 144, 288, 32, 64, 64),
    "4e": (528, 256, 160, 320, 32, 128, 128),
    "5a": (832, 256, 160, 320, 32, 128, 128),
    "5b": (832, 384, 192, 384, 48, 128, 128),
}


def convolution_weights_and_filters(third_branch_kernel: int) -> tuple[int, int]:
    """GoogLeNet without its auxiliary heads, by hand: the stem's three convolutions and Table 1's nine rows."""
    weights = 7 * 7 * 3 * 64 + 64 * 64 + 3 * 3 * 64 * 192
    filters = 64 + 64 + 192
    for c, one, reduce3, three, reduce5, five, projection in INCEPTION_TABLE.values():
        weights += c * (one + reduce3 + reduce5 + projection)
        weights += 3 * 3 * reduce3 * three + third_branch_kernel**2 * reduce5 * five
        filters += one + reduce3 + three + reduce5 + five + projection
    return weights, filters


CLASSIFIER = 1024 * 1000 + 1000


def test_hand_formula_gives_two_published_counts_of_googlenet() -> None:
    weights, filters = convolution_weights_and_filters(5)
    # BVLC's Caffe model, a bias for each filter and no batch norm, as netscope counts it
    # (ethereon.github.io/netscope/#/gist/4325909f3683e51eaf93fdaeed6b2a9b).
    assert weights + filters + CLASSIFIER == 6_998_552
    weights, filters = convolution_weights_and_filters(3)
    # torchvision's, documented: 3x3 in the third branch (pytorch/vision issue 906); batch norm's scale and shift.
    assert weights + 2 * filters + CLASSIFIER == 6_624_904


def test_googlenet_has_as_many_parameters_as_its_table_says() -> None:
    weights, filters = convolution_weights_and_filters(5)
    main = weights + 2 * filters + CLASSIFIER
    # Section 5: 14x14 maps pooled 5x5/3 to 4x4, 1x1 convolution to 128 (batch norm: 2 x 128), 1024 units, classes;
    # after 4a (512 channels) and 4d (528 channels).
    heads = sum(c * 128 + 2 * 128 + (4 * 4 * 128 * 1024 + 1024) + (1024 * 1000 + 1000) for c in (512, 528))
    assert parameter_count(build_published("googlenet")) == main + heads


def test_googlenet_without_batch_norm_is_as_large_as_caffes() -> None:
    """A bias for each filter, none of batch norm's numbers, auxiliary heads included."""
    model = build_published("googlenet", **NO_NORM)
    heads = parameter_count(model.aux1) + parameter_count(model.aux2)
    assert parameter_count(model) - heads == 6_998_552
    assert heads == sum(c * 128 + 128 + (4 * 4 * 128 * 1024 + 1024) + (1024 * 1000 + 1000) for c in (512, 528))
    assert not weighted_layers(model, nn.BatchNorm2d)
    assert all(layer.bias is not None for layer in weighted_layers(model, nn.Conv2d))


@pytest.mark.parametrize("batch_norm", ["none", "before_relu"])
def test_vgg_at_224_is_torchvisions_name_for_name(batch_norm: str) -> None:
    name = "vgg16" if batch_norm == "none" else "vgg16_bn"
    with torch.device("meta"):
        expected = getattr(torchvision_models, name)().state_dict()
    found = build_published("vgg", depth=16, batch_norm=batch_norm, **PUBLISHED_HEAD).state_dict()
    assert {k: v.shape for k, v in found.items()} == {k: v.shape for k, v in expected.items()}


# Multiply-adds


@pytest.mark.parametrize(
    ("family", "changes", "giga"),
    [
        # torchvision's documentation ("GFLOPS" there), written out; GoogLeNet's counts 3x3 for the text's 5x5: 1.50.
        ("vgg", {"depth": 11, **PUBLISHED_HEAD}, 7.61),
        ("vgg", {"depth": 16, **PUBLISHED_HEAD}, 15.47),
        ("vgg", {"depth": 16, "batch_norm": "none", **PUBLISHED_HEAD}, 15.47),
        ("vgg", {"depth": 19, **PUBLISHED_HEAD}, 19.63),
        ("resnet", {}, 1.81),
        ("resnet", {"depth": 34}, 3.66),
        ("resnet", {"depth": 50}, 4.09),
        ("googlenet", {}, 1.58),
        ("googlenet", NO_NORM, 1.58),
    ],
)
def test_multiply_adds_are_the_published_ones(family: str, changes: dict[str, Any], giga: float) -> None:
    assert multiply_adds(build_published(family, **changes), 3, 224) / 1e9 == pytest.approx(giga, abs=0.005)


def test_multiply_adds_of_torchvisions_googlenet_are_the_published_ones() -> None:
    """And the text's 5x5 kernels in the third branch account for all that ours takes more."""
    with torch.device("meta"):
        theirs = torchvision_models.googlenet(aux_logits=True, init_weights=False)
    counted = multiply_adds(theirs, 3, 224)
    assert counted / 1e9 == pytest.approx(1.50, abs=0.005)
    sides = {"3": 28, "4": 14, "5": 7}
    more = sum((25 - 9) * row[4] * row[5] * sides[name[0]] ** 2 for name, row in INCEPTION_TABLE.items())
    assert multiply_adds(build_published("googlenet"), 3, 224) - counted == more


@pytest.mark.parametrize("training", [True, False])
def test_counting_leaves_a_network_as_it_was(training: bool) -> None:
    """On any device, in any mode, to the same count; neither the mode nor batch norm's statistics are changed."""
    model = build("googlenet").train(training)
    with torch.device("meta"):
        expected = multiply_adds(build("googlenet"), 1, 32)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    assert multiply_adds(model, 1, 32) == expected
    assert all(module.training is training for module in model.modules())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert not any(module._forward_hooks for module in model.modules())


def test_multiply_adds_by_hand() -> None:
    """A 3x3 convolution of 2 channels to 4 over 5x5 pixels, padded, and 100 inputs to 7 outputs; biases are free."""
    model = nn.Sequential(nn.Conv2d(2, 4, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(100, 7))
    assert multiply_adds(model, 2, 5) == 25 * 4 * 2 * 9 + 100 * 7


# Shapes


def layer_shapes(model: nn.Module, names: list[str], batch: Tensor) -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {}

    def record(name: str) -> Callable[..., None]:
        return lambda layer, inputs, output: shapes.__setitem__(name, tuple(output.shape[1:]))

    for name in names:
        model.get_submodule(name).register_forward_hook(record(name))
    model(batch)
    return shapes


def test_vgg_shapes_are_the_papers() -> None:
    # Simonyan and Zisserman 2014, Table 1 (D) and section 2.1: five max-pools over 224, channels 64 to 512.
    model = build_published("vgg", depth=16, **PUBLISHED_HEAD)
    pools = [f"features.{i}" for i, layer in enumerate(model.features) if isinstance(layer, nn.MaxPool2d)]
    linear = ["classifier.0", "classifier.3", "classifier.6"]
    shapes = layer_shapes(model, pools + linear, images(model, 3, 224))
    assert [shapes[name] for name in pools] == [
        (64, 112, 112),
        (128, 56, 56),
        (256, 28, 28),
        (512, 14, 14),
        (512, 7, 7),
    ]
    assert [shapes[name] for name in linear] == [(4096,), (4096,), (1000,)]


def test_resnet_shapes_are_the_papers() -> None:
    # He et al. 2015, Table 1, column "output size", with the channels of 18-layer.
    expected = {
        "conv1": (64, 112, 112),
        "layer1": (64, 56, 56),
        "layer2": (128, 28, 28),
        "layer3": (256, 14, 14),
        "layer4": (512, 7, 7),
        "avgpool": (512, 1, 1),
        "fc": (1000,),
    }
    model = build_published("resnet")
    assert layer_shapes(model, list(expected), images(model, 3, 224)) == expected


def test_googlenet_shapes_are_the_papers() -> None:
    # Szegedy et al. 2014, Table 1, column "output size"; section 5 for the auxiliary heads.
    expected = {
        "conv1": (64, 112, 112),
        "maxpool1": (64, 56, 56),
        "conv3": (192, 56, 56),
        "maxpool2": (192, 28, 28),
        "inception3a": (256, 28, 28),
        "inception3b": (480, 28, 28),
        "maxpool3": (480, 14, 14),
        "inception4a": (512, 14, 14),
        "inception4b": (512, 14, 14),
        "inception4c": (512, 14, 14),
        "inception4d": (528, 14, 14),
        "inception4e": (832, 14, 14),
        "maxpool4": (832, 7, 7),
        "inception5a": (832, 7, 7),
        "inception5b": (1024, 7, 7),
        "avgpool": (1024, 1, 1),
        "fc": (1000,),
        "aux1.pool": (512, 4, 4),
        "aux2.pool": (528, 4, 4),
        "aux1.conv": (128, 4, 4),
        "aux1.fc1": (1024,),
        "aux1": (1000,),
        "aux2": (1000,),
    }
    model = build_published("googlenet")
    assert layer_shapes(model, list(expected), images(model, 3, 224)) == expected


def test_googlenet_convolves_and_pools_as_the_paper_says() -> None:
    model = build_published("googlenet")
    for name in INCEPTION_TABLE:
        kernels = [model.get_submodule(f"inception{name}.branch{i}.1.conv").kernel_size for i in (2, 3, 4)]
        assert kernels == [(3, 3), (5, 5), (1, 1)]
    pools = [model.get_submodule(f"maxpool{i}") for i in (1, 2, 3, 4)]
    assert [(pool.kernel_size, pool.stride) for pool in pools] == [(3, 2)] * 4
    assert (model.aux1.pool.kernel_size, model.aux1.pool.stride) == (5, 3)
    assert (model.dropout.p, model.aux1.dropout.p, model.aux2.dropout.p) == (0.4, 0.7, 0.7)
    assert not model.transform_input
    assert {layer.eps for layer in weighted_layers(model, nn.BatchNorm2d)} == {0.001}


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(
    ("channels", "input_size"), [(1, 32), (3, 33), (3, 64), (1, 79), (1, 96), (3, 223), (1, 225), (3, 256)]
)
def test_every_size_and_channel_count_gives_logits(family: str, channels: int, input_size: int) -> None:
    with torch.device("meta"):
        model = build(family, channels=channels, input_size=input_size)
    logits, auxiliary = split_outputs(model(images(model, channels, input_size)))
    assert [tuple(x.shape) for x in (logits, *auxiliary)] == [(2, 10)] * (3 if family == "googlenet" else 1)


@pytest.mark.parametrize(("input_size", "inputs"), [(32, 512), (63, 512), (64, 2048), (224, 25088)])
def test_vggs_head_reads_the_map_as_it_is(input_size: int, inputs: int) -> None:
    with torch.device("meta"):
        model = build("vgg", input_size=input_size)
    assert model.classifier[0].in_features == inputs
    assert not weighted_layers(model, nn.AdaptiveAvgPool2d)


# Options


@pytest.mark.parametrize("depth", [11, 16, 19])
@pytest.mark.parametrize("batch_norm", ["none", "before_relu", "after_relu"])
def test_vggs_depth_and_batch_norm(depth: int, batch_norm: str) -> None:
    with torch.device("meta"):
        model = build("vgg", depth=depth, batch_norm=batch_norm, **PUBLISHED_HEAD)
    layers = [type(layer) for layer in model.features if not isinstance(layer, nn.MaxPool2d)]
    block = {
        "none": [nn.Conv2d, nn.ReLU],
        "before_relu": [nn.Conv2d, nn.BatchNorm2d, nn.ReLU],
        "after_relu": [nn.Conv2d, nn.ReLU, nn.BatchNorm2d],
    }[batch_norm]
    assert layers == block * (depth - 3)
    assert model(images(model, 1, 32)).shape == (2, 10)


@pytest.mark.parametrize(
    ("hidden_layers", "expected"),
    [
        ([], ["Linear"]),
        ([64], ["Linear", "ReLU", "Dropout", "Linear"]),
        ([64, 32], ["Linear", "ReLU", "Dropout", "Linear", "ReLU", "Dropout", "Linear"]),
    ],
)
def test_vggs_hidden_layers(hidden_layers: Sequence[int], expected: list[str]) -> None:
    with torch.device("meta"):
        model = build("vgg", hidden_layers=hidden_layers, dropout=0.25)
    assert [type(layer).__name__ for layer in model.classifier] == expected
    widths = [(layer.in_features, layer.out_features) for layer in weighted_layers(model.classifier, nn.Linear)]
    assert widths == list(zip([512, *hidden_layers], [*hidden_layers, 10], strict=True))
    assert {layer.p for layer in weighted_layers(model, nn.Dropout)} <= {0.25}


@pytest.mark.parametrize(("stem", "side"), [("7x7", 8), ("3x3", 32)])
def test_resnets_stem(stem: str, side: int) -> None:
    with torch.device("meta"):
        model = build("resnet", stem=stem)
    shapes = layer_shapes(model, ["layer1", "layer4"], images(model, 1, 32))
    assert shapes == {"layer1": (64, side, side), "layer4": (512, side // 8, side // 8)}
    assert isinstance(model.maxpool, nn.MaxPool2d) == (stem == "7x7")


def test_googlenets_dropouts() -> None:
    with torch.device("meta"):
        model = build("googlenet", dropout=0.0, auxiliary_dropout=0.25)
    assert (model.dropout.p, model.aux1.dropout.p, model.aux2.dropout.p) == (0.0, 0.25, 0.25)


@pytest.mark.parametrize("eps", [1e-5, 0.1])
def test_googlenets_batch_norm_eps(eps: float) -> None:
    with torch.device("meta"):
        model = build("googlenet", batch_norm_eps=eps)
    assert {layer.eps for layer in weighted_layers(model, nn.BatchNorm2d)} == {eps}
    assert len(weighted_layers(model, nn.BatchNorm2d)) == len(weighted_layers(model, nn.Conv2d))


@pytest.mark.parametrize("family", FAMILIES)
def test_the_smallest_input_works_and_a_smaller_one_is_refused(family: str) -> None:
    smallest = family_settings(family).SMALLEST_INPUT
    with torch.device("meta"):
        model = build(family, input_size=smallest)
        logits, _ = split_outputs(model(images(model, 1, smallest)))
    assert logits.shape == (2, 10)
    assert cell_of(family, input_size=smallest).input_size == smallest
    with pytest.raises(ValidationError):
        cell_of(family, input_size=smallest - 1)


@pytest.mark.parametrize("family", ["vgg", "googlenet"])
def test_the_smallest_input_is_the_smallest(family: str) -> None:
    smallest = family_settings(family).SMALLEST_INPUT
    with torch.device("meta"):
        model = build(family, input_size=smallest)
        with pytest.raises(RuntimeError, match="too small"):
            model(images(model, 1, smallest - 1))


# First weights


def expected_spread(family: str, init: str, layer: Any) -> float:
    """The standard deviation that torchvision's or PyTorch's source gives a layer's weights."""
    fan_in, fan_out = layer.weight[0].numel(), layer.weight[:, 0].numel()
    if init == "xavier":
        return math.sqrt(2 / (fan_in + fan_out))  # of U(-b, b), b = sqrt(6 / (fan_in + fan_out))
    if init == "torchvision":
        if family == "googlenet":
            return 0.01
        if isinstance(layer, nn.Conv2d):
            return math.sqrt(2 / (layer.out_channels * math.prod(layer.kernel_size)))
        if family == "vgg":
            return 0.01
    return 1 / math.sqrt(3 * fan_in)  # of U(-b, b), b = 1 / sqrt(fan_in)


class First(NamedTuple):
    """A network with its first weights, which no test changes."""

    family: str
    init: str
    model: Any


@pytest.fixture(scope="module", params=[(family, init) for family in FAMILIES for init in INITS], ids="-".join)
def first(request: pytest.FixtureRequest) -> First:
    """Of each family by each scheme: drawing the weights is most of what the tests of them cost."""
    family, init = request.param
    torch.manual_seed(0)
    return First(family, init, build(family, init=init))


def test_first_weights_are_spread_as_the_scheme_says(first: First) -> None:
    family, init, model = first
    for layer in weighted_layers(model, (nn.Conv2d, nn.Linear)):  # type: ignore[arg-type]
        weight = layer.weight.detach()
        spread = expected_spread(family, init, layer)
        tolerance = 5 / math.sqrt(weight.numel())  # five standard errors of a mean, seven of a normal's deviation
        assert abs(weight.mean().item()) < tolerance * spread
        assert weight.std().item() == pytest.approx(spread, rel=tolerance)
        uniform = init != "torchvision" or (family == "resnet" and isinstance(layer, nn.Linear))
        assert (weight.abs().max().item() <= spread * math.sqrt(3) * 1.0001) == uniform
        if layer.bias is not None:
            zero = init == "xavier" or (family, init) == ("vgg", "torchvision")
            bound = 0 if zero else 1 / math.sqrt(layer.weight[0].numel())
            assert bound * 0.5 <= layer.bias.abs().max().item() <= bound


def test_batch_norm_starts_as_identity_and_all_is_float32(first: First) -> None:
    model = first.model
    for layer in weighted_layers(model, nn.BatchNorm2d):
        assert (layer.weight == 1).all()
        assert (layer.bias == 0).all()
        assert (layer.running_mean == 0).all()
        assert (layer.running_var == 1).all()
        assert layer.num_batches_tracked == 0
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    assert all(p.is_contiguous() and p.requires_grad for p in model.parameters())
    assert model.training


@pytest.mark.parametrize("family", FAMILIES)
def test_the_seed_alone_decides_the_weights(family: str) -> None:
    def weights(seed: int) -> Tensor:
        torch.manual_seed(seed)
        return nn.utils.parameters_to_vector(build(family, init="torchvision").parameters())

    first = weights(7)
    assert torch.equal(first, weights(7))
    assert not torch.equal(first, weights(8))


def test_a_layer_without_a_rule_is_refused() -> None:
    with torch.device("meta"):
        model = nn.Sequential(nn.Linear(2, 2), nn.LayerNorm(2))
    with pytest.raises(TypeError, match="LayerNorm"):
        construction.materialise(model, "pytorch", construction.kaiming_fan_out)


def test_googlenets_convolutions_have_a_bias_without_batch_norm_by_the_rule() -> None:
    for init in INITS:
        torch.manual_seed(0)
        for layer in weighted_layers(build("googlenet", init=init, **NO_NORM), nn.Conv2d):
            bound = 0 if init == "xavier" else 1 / math.sqrt(layer.weight[0].numel())
            assert bound * 0.5 <= layer.bias.abs().max().item() <= bound


# What they compute


def test_googlenet_without_batch_norm_computes_its_layers_in_order() -> None:
    """As torchvision's, whose batch norms do nothing but add the bias."""
    model = build("googlenet", **NO_NORM).eval()
    normed = build("googlenet").eval()
    state = model.state_dict()
    for name, value in normed.state_dict().items():
        if name.endswith("bn.bias"):
            state[name] = state.pop(name.replace("bn.bias", "conv.bias"))
        elif ".bn." in name:
            state[name] = torch.full_like(value, 1 - 0.001) if name.endswith("running_var") else value
    normed.load_state_dict(state)
    batch = images(model, 1, 40)
    with torch.no_grad():
        torch.testing.assert_close(model(batch), normed(batch))
        torch.testing.assert_close(model.aux1(torch.ones(1, 512, 2, 2)), normed.aux1(torch.ones(1, 512, 2, 2)))


def test_the_auxiliary_dropout_is_the_heads_alone() -> None:
    """While training, without the last layer's dropout: logits repeat, those of the heads do not."""
    model = build("googlenet", dropout=0.0, auxiliary_dropout=0.9)
    batch = images(model, 1, 32)
    first, again = (split_outputs(model(batch)) for _ in range(2))
    assert torch.equal(first[0], again[0])
    assert not any(torch.equal(one, other) for one, other in zip(first[1], again[1], strict=True))


def test_resnet_computes_what_torchvisions_does() -> None:
    model = build("resnet", channels=3).eval()
    reference = torchvision_models.resnet18(num_classes=10).eval()
    reference.load_state_dict(model.state_dict())
    batch = images(model, 3, 40)
    with torch.no_grad():
        torch.testing.assert_close(model(batch), reference(batch))


def test_vgg_computes_its_layers_in_order() -> None:
    model = build("vgg", batch_norm="after_relu", hidden_layers=[], input_size=64)
    batch = images(model, 1, 64)
    with torch.no_grad():
        expected = torch.flatten(model.features(batch), 1)
        expected = F.linear(expected, model.classifier[0].weight, model.classifier[0].bias)
        torch.testing.assert_close(model(batch), expected)


def test_an_auxiliary_head_computes_what_torchvisions_does_where_their_pools_agree() -> None:
    # A 5x5 map is averaged to one pixel here; torchvision copies such a pixel to 4x4, so weights / 16 undo the copies.
    head = build("googlenet", input_size=80).aux1.eval()
    reference = InceptionAux(512, 10).eval()
    state = head.state_dict()
    state["fc1.weight"] = state["fc1.weight"].repeat_interleave(16, dim=1) / 16
    reference.load_state_dict(state)
    batch = torch.randn(2, 512, 5, 5)
    with torch.no_grad():
        torch.testing.assert_close(head(batch), reference(batch.mean((2, 3), keepdim=True)))


def test_every_parameter_gets_a_finite_gradient(first: First) -> None:
    family, model = first.family, copy.deepcopy(first.model)
    torch.manual_seed(0)
    labels = torch.tensor([3, 7])
    logits, auxiliary = split_outputs(model(images(model, 1, 32)))
    loss = F.cross_entropy(logits, labels) + sum(0.3 * F.cross_entropy(x, labels) for x in auxiliary)
    loss.backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
    for x in ("aux1.fc1.weight", "aux2.fc1.weight", "conv1.conv.weight") if family == "googlenet" else ():
        assert model.get_parameter(x).grad.abs().max() > 0


@pytest.mark.parametrize("family", FAMILIES)
def test_no_backward_is_one_that_cuda_cannot_repeat(family: str) -> None:
    # torch.use_deterministic_algorithms lists adaptive pooling; its 1x1 form is a mean, which can be repeated.
    with torch.device("meta"):
        model = build(family, input_size=64)
    logits, auxiliary = split_outputs(model(images(model, 1, 64)))
    steps = [x.grad_fn for x in (logits, *auxiliary)]
    seen = set()
    while steps:
        step = steps.pop()
        if step is not None and step not in seen:
            seen.add(step)
            steps += [following for following, _ in step.next_functions]
    assert not [step for step in seen if "Adaptive" in step.name()]


@pytest.mark.parametrize("family", FAMILIES)
def test_outputs_split_in_train_and_eval_mode(family: str) -> None:
    with torch.device("meta"):
        model = build(family)
    batch = images(model, 1, 32)
    logits, auxiliary = split_outputs(model(batch))
    assert logits.shape == (2, 10)
    assert len(auxiliary) == (2 if family == "googlenet" else 0)
    logits, auxiliary = split_outputs(model.eval()(batch))
    assert (logits.shape, auxiliary) == ((2, 10), ())


def test_the_earliest_auxiliary_head_comes_first() -> None:
    model = build("googlenet")
    seen: dict[str, Tensor] = {}
    model.fc.register_forward_hook(lambda layer, inputs, output: seen.__setitem__("main", output))
    model.aux1.register_forward_hook(lambda layer, inputs, output: seen.__setitem__("first", output))
    model.aux2.register_forward_hook(lambda layer, inputs, output: seen.__setitem__("second", output))
    logits, (first, second) = split_outputs(model(images(model, 1, 32)))
    assert logits is seen["main"]
    assert (first is seen["first"], second is seen["second"]) == (True, True)


@pytest.mark.parametrize("family", FAMILIES)
def test_batch_norm_has_the_constants_of_the_settings(family: str) -> None:
    changed = network_settings(family, batch_norm_eps=0.25, batch_norm_momentum=0.5)
    for settings, expected in ((changed, (0.25, 0.5)), (network_settings(family), None)):
        with torch.device("meta"):
            model = settings.build(channels=3, classes=10, input_size=32)
        found = {(layer.eps, layer.momentum) for layer in model.modules() if isinstance(layer, nn.BatchNorm2d)}
        assert found == {expected or (0.001 if family == "googlenet" else 1e-5, 0.1)}
