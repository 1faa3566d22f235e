"""Convolutions and linear layers against PyTorch's own in float64, over the shapes where the geometry is delicate.

Tolerances are bounds of rounding, not taste: what a sum of products may be off by is a share of the sum of the
products' sizes, and that sum is computed as well.
"""

import itertools
import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from stages.engine.layers import (
    PRODUCT_PIXELS,
    WEIGHT_GRADIENT_PIXELS,
    Convolution,
    Dropout,
    Linear,
    Windows,
    swap_layers,
)
from stages.engine.network import split_outputs
from tests.unit.engine.settings import network_settings

pytestmark = pytest.mark.usefixtures("torch_settings")

KERNELS, STRIDES, PADDINGS, SIDES = (1, 3, 5, 7), (1, 2), (0, 1, 2, 3), (1, 2, 3, 4, 5, 7, 8, 9, 16)
GEOMETRIES = list(itertools.product(KERNELS, STRIDES, PADDINGS))
# of float32 a few last bits of a long sum; of bfloat16 one rounding (2^-8) of each product and one of their sum
ROUNDING = {torch.float32: 2.0**-19, torch.bfloat16: 2.0**-7}
FORMATS = list(ROUNDING)


def sides(kernel: int, padding: int) -> list[int]:
    """Those of images on which the kernel fits."""
    return [side for side in SIDES if kernel <= side + 2 * padding]


class Pass(NamedTuple):
    """What a layer gives forward and backward, or what each of it may be off by."""

    output: Tensor
    images: Tensor | None
    weight: Tensor
    bias: Tensor | None


def drawn(shape: Sequence[int], seed: int, dtype: torch.dtype) -> Tensor:
    """Normal numbers; those that bfloat16 rounds are already rounded."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).to(dtype)


def channels_last(tensor: Tensor) -> Tensor:
    return tensor.to(memory_format=torch.channels_last) if tensor.dim() == 4 else tensor


def with_gradients(layer: nn.Module, memory: Callable[[Tensor], Tensor] = channels_last) -> None:
    """Give a layer the zeroed gradients that `FlatParameters` gives it."""
    for parameter in layer.parameters():
        parameter.data = memory(parameter.data)
        parameter.grad = memory(torch.zeros_like(parameter))


def passed(layer: nn.Module, images: Tensor, towards: bool, seed: int = 1) -> Pass:
    """Through one of our layers and back; the gradient that arrives is drawn."""
    images = channels_last(images).detach().requires_grad_(towards)
    output = layer(images)
    output.backward(drawn(output.shape, seed, output.dtype))
    gradients = [parameter.grad for parameter in layer.parameters()]
    assert gradients[0] is not None
    return Pass(output.detach(), images.grad, gradients[0], gradients[1] if len(gradients) > 1 else None)


def reference(function: Callable[..., Tensor], layer: nn.Module, images: Tensor, seed: int = 1) -> tuple[Pass, Pass]:
    """The same by PyTorch's functions and autograd in float64: the values, and the sums of the products' sizes."""
    found = []
    for sizes in (False, True):
        inputs = [images, *layer.parameters()]
        leaves = [(t.detach().double().abs() if sizes else t.detach().double()).requires_grad_() for t in inputs]
        output = function(*leaves)
        gradient = drawn(output.shape, seed, images.dtype).double()
        output.backward(gradient.abs() if sizes else gradient)
        gradients = [leaf.grad for leaf in leaves]
        assert gradients[1] is not None
        found.append(Pass(output.detach(), gradients[0], gradients[1], gradients[2] if len(gradients) > 2 else None))
    return found[0], found[1]


def check(found: Pass, expected: tuple[Pass, Pass], dtype: torch.dtype, where: str = "") -> None:
    for name, value, exact, sizes in zip(Pass._fields, found, *expected, strict=True):
        if value is None:
            continue
        assert exact is not None
        assert sizes is not None
        assert (value.shape, value.dtype) == (exact.shape, dtype), name
        off = (value.double() - exact).abs()
        assert (off <= ROUNDING[dtype] * sizes).all(), f"{where} {name}: off by {(off / sizes.clamp_min(1e-30)).max()}"


# Convolutions


def convolution(geometry: tuple[int, int, int], channels: int, bias: bool, dtype: torch.dtype) -> Convolution:
    kernel, stride, padding = geometry
    layer = Convolution(channels, 6, kernel, stride, padding, bias=bias, dtype=dtype)
    for seed, parameter in enumerate(layer.parameters(), 10):
        parameter.data = drawn(parameter.shape, seed, dtype)
    return layer


def by_pytorch(layer: nn.Conv2d) -> Callable[..., Tensor]:
    def function(images: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        return F.conv2d(images, weight, bias, layer.stride, layer.padding, layer.dilation, layer.groups)

    return function


@pytest.mark.parametrize("dtype", FORMATS)
@pytest.mark.parametrize(("kernel", "stride", "padding"), GEOMETRIES)
def test_a_convolution_is_pytorchs(kernel: int, stride: int, padding: int, dtype: torch.dtype) -> None:
    """Output and all gradients, with a bias and without, for several images and for one."""
    for side, (bias, count) in itertools.product(sides(kernel, padding), [(True, 3), (False, 1)]):
        layer = convolution((kernel, stride, padding), 5, bias, dtype)
        with_gradients(layer)
        images = drawn((count, 5, side, side), 0, dtype)
        check(passed(layer, images, towards=True), reference(by_pytorch(layer), layer, images), dtype, f"side {side}")


@pytest.mark.parametrize("dtype", FORMATS)
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "side"), [(3, 1, 1, 16), (7, 2, 3, 32), (7, 2, 3, 8), (3, 1, 1, 4), (3, 1, 1, 1)]
)
def test_a_first_layer_needs_no_gradient_towards_its_images(
    kernel: int, stride: int, padding: int, side: int, channels: int, dtype: torch.dtype
) -> None:
    layer = convolution((kernel, stride, padding), channels, True, dtype)
    with_gradients(layer)
    images = drawn((2, channels, side, side), 0, dtype)
    found = passed(layer, images, towards=False)
    assert found.images is None
    check(found, reference(by_pytorch(layer), layer, images), dtype)


@pytest.mark.parametrize("side", [1, 2, 4, 7, 16])
@pytest.mark.parametrize("memory", [channels_last, torch.Tensor.contiguous])
def test_the_order_of_weights_in_memory_does_not_matter(memory: Callable[[Tensor], Tensor], side: int) -> None:
    layer = convolution((3, 1, 1), 5, True, torch.float32)
    with_gradients(layer, memory)
    images = drawn((2, 5, side, side), 0, torch.float32)
    check(passed(layer, images, towards=True), reference(by_pytorch(layer), layer, images), torch.float32)


@pytest.mark.parametrize("side", [1, 2, 3, 7, 16])
def test_a_gradient_may_come_in_any_layout(side: int) -> None:
    """That of a sum is one number, seen everywhere; that of a flattened map is not channels-last."""
    layer = convolution((3, 1, 1), 5, True, torch.float32)
    images = drawn((2, 5, side, side), 0, torch.float32)
    for ending in (lambda maps: maps.sum(), lambda maps: (maps.flatten(1) ** 2).sum()):
        with_gradients(layer)
        inputs = channels_last(images).detach().requires_grad_()
        ending(layer(inputs)).backward()
        plain = nn.Conv2d(5, 6, 3, 1, 1, dtype=torch.float64)
        plain.load_state_dict(layer.state_dict())
        exact = images.double().requires_grad_()
        ending(plain(exact)).backward()
        pairs = [(inputs, exact), (layer.weight, plain.weight), (layer.bias, plain.bias)]
        for ours, theirs in pairs:
            assert ours is not None
            assert theirs is not None
            assert ours.grad is not None
            assert theirs.grad is not None
            assert (ours.grad - theirs.grad).abs().max() < 1e-5 * theirs.grad.abs().max()


@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "side"), [(3, 1, 1, 1), (3, 2, 1, 1), (3, 2, 1, 2), (5, 1, 2, 2)]
)
@pytest.mark.parametrize("dtype", FORMATS)
def test_taps_that_only_meet_padding_stay_as_they_are(
    kernel: int, stride: int, padding: int, side: int, dtype: torch.dtype
) -> None:
    """Their gradient is zero, for which the zeros of the start must stay: nothing writes there, nothing reads there."""
    layer = convolution((kernel, stride, padding), 4, False, dtype)
    with_gradients(layer)
    tapped = meeting(side, kernel, stride, padding)
    idle = torch.ones(kernel, kernel, dtype=torch.bool)
    idle[tapped[0] : tapped[-1] + 1, tapped[0] : tapped[-1] + 1] = False
    assert idle.any()
    images = drawn((3, 4, side, side), 0, dtype)
    expected = layer(channels_last(images))
    for seed in (1, 2):
        passed(layer, images, towards=True, seed=seed)
        gradient = layer.weight.grad
        assert gradient is not None
        assert (gradient[:, :, idle] == 0).all()
        assert (gradient[:, :, ~idle] != 0).any()
    with torch.no_grad():
        layer.weight[:, :, idle] = torch.nan
    assert torch.equal(layer(channels_last(images)), expected)


@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "side"), [(3, 1, 1, 1), (3, 1, 1, 4), (3, 2, 1, 16), (3, 1, 1, 16)]
)
@pytest.mark.parametrize("dtype", FORMATS)
def test_a_second_step_overwrites_the_gradients_of_the_first(
    kernel: int, stride: int, padding: int, side: int, dtype: torch.dtype
) -> None:
    layer = convolution((kernel, stride, padding), 5, True, dtype)
    with_gradients(layer)
    places = [parameter.grad.data_ptr() for parameter in layer.parameters()]  # type: ignore[union-attr]
    for seed in (0, 7):
        images = drawn((2, 5, side, side), seed, dtype)
        check(passed(layer, images, True, seed), reference(by_pytorch(layer), layer, images, seed), dtype)
    assert [parameter.grad.data_ptr() for parameter in layer.parameters()] == places  # type: ignore[union-attr]


@pytest.mark.parametrize("dtype", FORMATS)
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(
    "settings",
    [
        {"kernel_size": (1, 7), "padding": (0, 3)},  # Inception's
        {"kernel_size": (7, 1)},
        {"kernel_size": 3, "stride": (2, 1), "padding": 1},
        {"kernel_size": 3, "padding": (1, 0)},
        {"kernel_size": 3, "padding": 2, "dilation": 2},
        {"kernel_size": 3, "padding": 1, "groups": 2},  # AlexNet's
        {"kernel_size": 1, "groups": 4},
    ],
)
def test_a_convolution_that_is_not_square_or_is_grouped_is_pytorchs(
    settings: dict[str, Any], bias: bool, dtype: torch.dtype
) -> None:
    layer = Convolution(4, 8, **settings, bias=bias, dtype=dtype)
    with_gradients(layer)
    for seed, (height, width) in enumerate([(9, 9), (7, 8)]):
        images = drawn((3, 4, height, width), seed, dtype)
        check(passed(layer, images, True, seed), reference(by_pytorch(layer), layer, images, seed), dtype)


class Recorded(TorchDispatchMode):
    """Notes what convolutions the library is asked for, and whether for the weights' gradient."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[Any] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.ops.aten.convolution.default:
            self.calls.append("forward")
        if func is torch.ops.aten.convolution_backward.default:
            self.calls.append(tuple(args[10]))
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize(
    ("kernel", "channels", "side", "calls"),
    [
        (3, 8, 1, []),
        (3, 8, 4, []),
        (3, 8, 5, ["forward", (True, False, False)]),
        (3, 8, 8, ["forward", (True, False, False)]),
        (3, 8, 9, ["forward", (True, True, False)]),
        (3, 3, 8, ["forward", (True, True, False)]),  # the first layer's few channels make a poor product
        (1, 8, 16, []),
    ],
)
def test_shapes_alone_choose_what_is_a_product(kernel: int, channels: int, side: int, calls: list[Any]) -> None:
    """So that the tests above, at these sides, have seen every branch."""
    assert (PRODUCT_PIXELS, WEIGHT_GRADIENT_PIXELS) == (4**2, 8**2)
    layer = convolution((kernel, 1, kernel // 2), channels, True, torch.float32)
    with_gradients(layer)
    with Recorded() as recorded:
        passed(layer, drawn((2, channels, side, side), 0, torch.float32), towards=True)
    assert recorded.calls == calls


# Their geometry


def meeting(side: int, kernel: int, stride: int, padding: int) -> list[int]:
    """The taps of a kernel that meet a pixel anywhere, found by looking everywhere."""
    out = (side + 2 * padding - kernel) // stride + 1
    return [tap for tap in range(kernel) if any(0 <= o * stride + tap - padding < side for o in range(out))]


@pytest.mark.parametrize("stride", [1, 2, 3])
def test_windows_leave_out_the_taps_that_meet_no_pixel(stride: int) -> None:
    """Those at the ends; where strides jump over pixels altogether, an idle tap may stay between busy ones."""
    for kernel, padding in itertools.product(KERNELS, PADDINGS):
        for side in sides(kernel, padding):
            windows = Windows.of(side, kernel, stride, padding)
            kept, busy = range(windows.first, windows.first + windows.taps), meeting(side, kernel, stride, padding)
            assert set(busy) <= set(kept) <= set(range(kernel)), windows
            assert busy == list(kept) or stride > side, windows


@pytest.mark.parametrize(("kernel", "stride", "padding"), GEOMETRIES)
def test_windows_hold_the_pixels_under_the_taps(kernel: int, stride: int, padding: int) -> None:
    """Every number of every window is the one pixel that the definition of a convolution puts there, or padding."""
    for side in sides(kernel, padding)[:-1]:  # the largest only takes long
        windows = Windows.of(side, kernel, stride, padding)
        images = torch.arange(1.0, 2 * 3 * side**2 + 1).view(2, 3, side, side)
        shape = (2, windows.out, windows.out, windows.taps, windows.taps, 3)
        expected = torch.zeros(shape)
        for row, column, i, j in itertools.product(*map(range, shape[1:5])):
            y, x = (o * stride + windows.first + tap - padding for o, tap in ((row, i), (column, j)))
            if 0 <= y < side and 0 <= x < side:
                expected[:, row, column, i, j] = images[:, :, y, x]
        found = windows.im2col(channels_last(images))
        assert found.shape == (2 * windows.out**2, windows.taps**2 * 3), windows
        assert torch.equal(found.view(shape), expected), windows


@pytest.mark.parametrize("dtype", FORMATS)
@pytest.mark.parametrize(("kernel", "stride", "padding"), GEOMETRIES)
def test_col2im_is_the_transpose_of_im2col(kernel: int, stride: int, padding: int, dtype: torch.dtype) -> None:
    """<im2col(x), y> = <x, col2im(y)>, in whole numbers so small that nothing rounds."""
    generator = torch.Generator().manual_seed(0)
    for side in sides(kernel, padding):
        windows = Windows.of(side, kernel, stride, padding)
        images = torch.randint(-3, 4, (2, 2, side, side), generator=generator).to(dtype)
        columns = windows.im2col(channels_last(images))
        values = torch.randint(-2, 3, (2 * windows.out**2, windows.taps**2 * 2), generator=generator).to(dtype)
        summed = windows.col2im(values, 2)
        assert (summed.shape, summed.dtype) == (images.shape, dtype), windows
        assert (columns.double() * values.double()).sum() == (images.double() * summed.double()).sum(), windows


# Linear layers


@pytest.mark.parametrize("dtype", FORMATS)
@pytest.mark.parametrize("towards", [True, False])
@pytest.mark.parametrize(("count", "inputs", "outputs"), [(1, 1, 1), (1, 7, 3), (5, 1, 4), (4, 33, 17), (2, 256, 10)])
def test_a_linear_layer_is_pytorchs(count: int, inputs: int, outputs: int, towards: bool, dtype: torch.dtype) -> None:
    """Twice, the second time with other numbers: its gradients are those of the second step alone."""
    layer = Linear(inputs, outputs, dtype=dtype)
    with_gradients(layer)
    for seed in (0, 5):
        rows = drawn((count, inputs), seed, dtype)
        found = passed(layer, rows, towards, seed)
        assert (found.images is not None) == towards
        check(found, reference(F.linear, layer, rows, seed), dtype)


@pytest.mark.parametrize("dtype", FORMATS)
def test_a_linear_layer_may_have_no_bias(dtype: torch.dtype) -> None:
    layer = Linear(33, 17, bias=False, dtype=dtype)
    with_gradients(layer)
    rows = drawn((4, 33), 0, dtype)
    check(passed(layer, rows, towards=True), reference(F.linear, layer, rows), dtype)


def test_a_linear_layer_takes_the_gradient_of_a_sum() -> None:
    layer = Linear(4, 3)
    with_gradients(layer)
    rows = drawn((5, 4), 0, torch.float32).requires_grad_()
    layer(rows).sum().backward()
    assert layer.weight.grad is not None
    assert layer.bias.grad is not None
    assert rows.grad is not None
    torch.testing.assert_close(layer.weight.grad, rows.detach().sum(0).expand(3, 4))
    assert layer.bias.grad.tolist() == [5.0] * 3
    torch.testing.assert_close(rows.grad, layer.weight.detach().sum(0).expand(5, 4))


# Dropout


@pytest.mark.parametrize("dtype", FORMATS)
@pytest.mark.parametrize("p", [0.3, 0.5, 0.9])
def test_dropout_drops_a_share_and_keeps_the_mean(p: float, dtype: torch.dtype) -> None:
    """What is kept is divided by 1 - p and rounded once; its gradient is treated the same, the rest has none."""
    torch.manual_seed(1)
    inputs = drawn((200, 500), 0, dtype).abs().add(1).requires_grad_()
    outputs = Dropout(p)(inputs)
    gradient = drawn((200, 500), 1, dtype).abs().add(1)
    outputs.backward(gradient)
    dropped = outputs == 0
    assert dropped.double().mean().item() == pytest.approx(p, abs=4 * (p * (1 - p) / inputs.numel()) ** 0.5)
    scale = torch.where(dropped, 0, 1 / (1 - p)).double()
    assert torch.equal(outputs, (inputs.double() * scale).to(dtype))
    assert inputs.grad is not None
    assert torch.equal(inputs.grad, (gradient.double() * scale).to(dtype))


def test_dropout_draws_anew_and_repeats_from_a_seed() -> None:
    layer, inputs = Dropout(0.5), torch.ones(64, 64)
    torch.manual_seed(3)
    first, second = layer(inputs), layer(inputs)
    torch.manual_seed(3)
    assert torch.equal(layer(inputs), first)
    assert not torch.equal(first, second)


def test_dropout_is_nothing_in_evaluation_and_at_zero() -> None:
    inputs = torch.randn(5, 7)
    assert Dropout(0.5).eval()(inputs) is inputs
    assert Dropout(0.0)(inputs) is inputs


# Networks


NETWORKS: list[tuple[str, dict[str, Any], int, int]] = [
    ("vgg", {"depth": 11, "batch_norm": "before_relu", "hidden_layers": [24], "dropout": 0.5}, 1, 32),
    ("vgg", {"depth": 11, "batch_norm": "none", "hidden_layers": [], "dropout": 0.5}, 3, 64),
    ("resnet", {"depth": 18, "stem": "7x7"}, 1, 32),
    ("resnet", {"depth": 18, "stem": "3x3"}, 3, 9),
    ("resnet", {"depth": 18, "stem": "7x7"}, 3, 1),
    ("googlenet", {"dropout": 0.4}, 3, 32),
    ("googlenet", {"dropout": 0.4}, 1, 15),
    ("googlenet", {"batch_norm": "none"}, 3, 32),
]


class OtherConvolution(nn.Conv2d):
    """As libraries have them, with padding of their own."""


@pytest.mark.parametrize(
    ("layer", "said"),
    [
        (OtherConvolution(1, 1, 3), "no layer of the engine stands for OtherConvolution; allowed: Conv2d and Linear"),
        (nn.Conv2d(1, 1, 3, padding="same"), "padding: zeros same is not allowed; allowed: zeros, by number"),
        (nn.Conv2d(1, 1, 3, padding=1, padding_mode="reflect"), "padding: reflect (1, 1) is not allowed; allowed: z"),
    ],
)
def test_a_layer_that_would_compute_something_else_is_refused(layer: nn.Module, said: str) -> None:
    with pytest.raises(TypeError, match=re.escape(said)):
        swap_layers(nn.Sequential(layer))


@pytest.mark.parametrize(("family", "architecture", "channels", "size"), NETWORKS)
@torch.no_grad()
def test_a_network_stays_the_same_network(family: str, architecture: dict[str, Any], channels: int, size: int) -> None:
    """Names, the very parameters, and outputs within float32's rounding."""
    torch.manual_seed(0)
    model = network_settings(family, **{**architecture, "init": "pytorch"}).build(
        channels=channels, classes=5, input_size=size
    )
    model.eval()
    images = channels_last(drawn((3, channels, size, size), 0, torch.float32))
    before, expected = model.state_dict(keep_vars=True), split_outputs(model(images))[0]
    kinds = [type(module) for module in model.modules()]
    assert swap_layers(model) is model
    after = model.state_dict(keep_vars=True)
    assert list(after) == list(before)
    assert all(after[name] is before[name] for name in before)
    changed = {nn.Conv2d: Convolution, nn.Linear: Linear, nn.Dropout: Dropout}
    assert [type(module) for module in model.modules()] == [changed.get(kind, kind) for kind in kinds]
    found = split_outputs(model(images))[0]
    assert (expected.amax() - expected.amin()) > 1e-3
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    again = [type(module) for module in swap_layers(model).modules()]
    assert again == [type(module) for module in model.modules()]
