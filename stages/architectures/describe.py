"""A traced network as lines of a table and as the blocks of a drawing."""

from collections.abc import Iterator
from typing import Any

from torch import nn

from stages.architectures.trace import Call
from stages.records.architecture import Block, Layer

_WORDS: dict[type[nn.Module], str] = {
    nn.BatchNorm2d: "batch norm",
    nn.ReLU: "ReLU",
    nn.Dropout: "dropout",
    nn.Identity: "identity",
}


def layers(root: Call) -> list[Layer]:
    """A line for each layer's call, in their order; sums, joins and functions without a module are not in it."""
    return [
        Layer(
            name=leaf.name,
            type=layer(leaf.module),
            output_shape=shape(leaf.shape),
            parameters=leaf.parameters,
            multiply_adds=leaf.multiply_adds,
            training_only=leaf.training_only,
        )
        for leaf in root.leaves()
    ]


def blocks(root: Call) -> list[Block]:
    """The blocks from the input on. Containers are opened; a layer without weights joins the convolution before it."""
    return [_block(group) for group in _groups(root)]


def shape(sides: tuple[int, ...]) -> str:
    """`64 x 32 x 32`."""
    return " x ".join(map(str, sides))


def layer(module: nn.Module) -> str:
    """A layer in words, as `3x3, 64` of a convolution."""
    if isinstance(module, nn.Conv2d):
        return f"conv {_window(module.kernel_size)}{_stride(module.stride)}, {module.out_channels}"
    if isinstance(module, nn.Linear):
        return f"linear {module.out_features}"
    if isinstance(module, nn.MaxPool2d | nn.AvgPool2d):
        name = "max-pool" if isinstance(module, nn.MaxPool2d) else "average-pool"
        return f"{name} {_window(module.kernel_size)}{_stride(module.stride)}"
    if isinstance(module, nn.AdaptiveAvgPool2d):
        return f"average-pool to {_window(module.output_size)}"
    if isinstance(module, nn.Dropout):
        return f"dropout {module.p:g}"
    return _WORDS.get(type(module), type(module).__name__)


def _groups(root: Call) -> Iterator[list[Call]]:
    """Calls that share a block: one with layers of its own, or a weighted layer and what follows without weights."""
    group: list[Call] = []
    for call in _opened(root):
        starts = bool(call.inside) or isinstance(call.module, nn.Conv2d | nn.Linear) or "pool" in layer(call.module)
        if group and (starts or group[0].inside):
            yield group
            group = []
        group.append(call)
    if group:
        yield group


def _opened(call: Call) -> Iterator[Call]:
    """The calls in a network, those in an nn.Sequential in its place."""
    for one in call.inside:
        if isinstance(one.module, nn.Sequential):
            yield from _opened(one)
        else:
            yield one


def _block(group: list[Call]) -> Block:
    first, last = group[0], group[-1]
    if first.inside:
        lines = list(_branches(first))
        title = f"{first.name}: {type(first.module).__name__}"
    else:
        title, lines = first.name, [layer(call.module) for call in group if type(call.module) is not nn.Identity]
    return Block(
        title=title,
        layers=lines or ["identity"],
        output_shape=shape(last.shape),
        parameters=sum(call.total_parameters for call in group),
        multiply_adds=sum(call.total_multiply_adds for call in group),
        training_only=first.training_only,
    )


def _branches(block: Call) -> Iterator[str]:
    """A line for each part of a block: its convolutions and pools, in their order."""
    seen = set()
    for part in block.inside:
        words = [layer(leaf.module) for leaf in part.leaves()]
        main = [word for word in words if word.startswith(("conv", "linear", "max-pool", "average-pool"))]
        if main and part.name not in seen:
            seen.add(part.name)
            yield f"{part.name.rpartition('.')[2]}: {' > '.join(main)}"


def _window(size: Any) -> str:
    sides = size if isinstance(size, tuple) else (size, size)
    return "x".join(map(str, sides))


def _stride(stride: Any) -> str:
    step = stride[0] if isinstance(stride, tuple) else stride
    return f"/{step}" if step > 1 else ""
