"""What a network's modules put out, by running it once on the meta device, where nothing is computed.

A stand-in takes the place of each batch norm meanwhile, since PyTorch runs batch norm on that device as slow Python.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from stages.core.errors import StageError

_BATCH = 2  # batch norm in train mode needs more than one number a channel


@dataclass
class Call:
    """A module's call: its name in the network, the module, the shape of one image's output, and its sizes.

    `parameters` are the trainable numbers of the module itself, `multiply_adds` those of one image, as
    `stages.engine.network.multiply_adds` counts them: of convolutions and linear layers. `inside` are the calls of the
    modules within it; `training_only` marks what does not run in evaluation, as GoogLeNet's auxiliary heads.
    """

    name: str
    module: nn.Module
    shape: tuple[int, ...] = ()
    parameters: int = 0
    multiply_adds: int = 0
    training_only: bool = False
    inside: list["Call"] = field(default_factory=list)

    def leaves(self) -> Iterator["Call"]:
        """The layers within it in the order of their calls, or itself."""
        if not self.inside:
            yield self
        for call in self.inside:
            yield from call.leaves()

    @property
    def total_parameters(self) -> int:
        """Those of all layers within; a layer that is called twice counts once."""
        return sum({id(leaf.module): leaf.parameters for leaf in self.leaves()}.values())

    @property
    def total_multiply_adds(self) -> int:
        """Those of all layers within that run in evaluation."""
        return sum(leaf.multiply_adds for leaf in self.leaves() if not leaf.training_only)


def trace(model: nn.Module, channels: int, input_size: int) -> Call:
    """The network's own call, with those of its modules in it. `model` is on the meta device; its mode is put back."""
    training = model.training
    try:
        evaluated = {call.name for call in _calls(_run(model.eval(), channels, input_size))}
        root = _run(model.train(), channels, input_size)
    finally:
        model.train(training)
    for call in _calls(root):
        call.training_only = call.name not in evaluated
    return root


def _calls(root: Call) -> Iterator[Call]:
    for call in root.inside:
        yield call
        yield from _calls(call)


def _run(model: nn.Module, channels: int, input_size: int) -> Call:
    names = {module: name for name, module in model.named_modules()}
    root = Call("", model)
    open_calls = [root]

    def enter(module: nn.Module, inputs: Any) -> None:
        if module is not model:
            call = Call(names[module], module)
            open_calls[-1].inside.append(call)
            open_calls.append(call)

    def leave(module: nn.Module, inputs: Any, output: Any) -> None:
        call = open_calls[-1] if module is model else open_calls.pop()
        found = output if isinstance(output, Tensor) else output[0]
        call.shape = tuple(found.shape[1:])
        call.parameters = sum(one.numel() for one in module.parameters(recurse=False) if one.requires_grad)
        if isinstance(module, nn.Conv2d | nn.Linear):
            call.multiply_adds = found[0].numel() * module.weight[0].numel()

    handles = [module.register_forward_pre_hook(enter) for module in model.modules()]
    handles += [module.register_forward_hook(leave) for module in model.modules()]
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        vars(norm)["forward"] = _stand_in(names[norm], norm)
    try:
        with torch.no_grad():
            model(torch.zeros(_BATCH, channels, input_size, input_size, device="meta"))
    finally:
        for handle in handles:
            handle.remove()
        for norm in norms:
            del vars(norm)["forward"]
    return root


def _stand_in(name: str, norm: nn.BatchNorm2d) -> Callable[[Tensor], Tensor]:
    """A forward pass for a batch norm: its input, whose shape its output has. Raises StageError for other channels."""

    def forward(batch: Tensor) -> Tensor:
        if batch.shape[1] != norm.num_features:
            said = f"{name}: a batch norm of {norm.num_features} channels, whose input has {batch.shape[1]}"
            raise StageError(said)
        return batch

    return forward
