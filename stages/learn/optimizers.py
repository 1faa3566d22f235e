"""The paper's four optimizers (III-C) as PyTorch's own fused updates over flat parameters."""

import torch
from torch import Tensor
from torch.optim.adam import adam
from torch.optim.sgd import sgd

from stages.core.settings import Cell, Training
from stages.learn.flat import FlatParameters

FOREVER = 1e9  # a step number at which Adam's bias corrections are 1


class Optimizer:
    """RMSprop, SGD (with or without momentum) or Adam, as PyTorch defines them.

    RMSprop is Adam without a first moment and without bias corrections, and PyTorch has a fused kernel for Adam alone.
    `state` holds what a later step depends on: flat float32 tensors, and `steps`.
    """

    def __init__(self, cell: Cell, training: Training, parameters: FlatParameters) -> None:
        self.cell = cell
        self.training = training
        self.parameters = parameters
        self.parts = list(parameters.parts())
        kept = {"adam": ("mean", "square"), "rmsprop": ("square",), "sgd": ("mean",) if cell.momentum else ()}
        self.state = {name: torch.zeros_like(parameters.master) for name in kept[cell.optimizer]}
        self.state["steps"] = torch.zeros((), device=parameters.master.device)
        self.counted = torch.zeros_like(self.state["steps"])  # adam() counts up what it is given, part by part
        longest = max(len(part.master) for part in self.parts)
        self.wide = parameters.master.new_empty(longest)  # a part's gradient in the masters' format
        self.zeros = parameters.master.new_zeros(longest if cell.optimizer == "rmsprop" else 0)

    @torch.no_grad()
    def step(self) -> None:
        """Update the masters from the gradients, the copies from the masters, and make the gradients ready for more."""
        for part in self.parts:
            gradient = part.gradient
            if gradient.dtype != part.master.dtype:
                gradient = self.wide[: len(part.master)].copy_(gradient)
            self._update(part.master, gradient, slice(part.start, part.start + len(part.master)))
            if part.copy is not None:
                part.copy.copy_(part.master)
        self.state["steps"] += 1
        self.parameters.clear_accumulated()

    def _update(self, master: Tensor, gradient: Tensor, part: slice) -> None:
        cell, constants = self.cell, self.training
        if cell.optimizer == "sgd":
            buffers: list[Tensor | None] = [self.state["mean"][part] if cell.momentum else None]
            sgd(
                [master], [gradient], buffers, fused=True, weight_decay=constants.weight_decay, momentum=cell.momentum,
                lr=cell.lr, dampening=0.0, nesterov=False, maximize=False,
            )  # fmt: skip
            return
        if cell.optimizer == "adam":
            mean, steps = self.state["mean"][part], self.counted.copy_(self.state["steps"])
            beta1, beta2, eps = constants.adam.beta1, constants.adam.beta2, constants.adam.eps
        else:
            mean, steps = self.zeros[: len(master)].zero_(), self.counted.fill_(FOREVER)
            beta1, beta2, eps = 0.0, constants.rmsprop.alpha, constants.rmsprop.eps
        adam(
            [master], [gradient], [mean], [self.state["square"][part]], [], [steps], fused=True, amsgrad=False,
            beta1=beta1, beta2=beta2, lr=cell.lr, weight_decay=constants.weight_decay, eps=eps, maximize=False,
        )  # fmt: skip
