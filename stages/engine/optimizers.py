"""The paper's four optimizers (III-C) as PyTorch's own fused updates over flat parameters.

The kernels are called as they are, on views that are made once: the functions that torch.optim puts around them took a
third of an update's time.
"""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from stages.config.settings import Cell, Training
from stages.engine.flat import FlatParameters, Part

FOREVER = 1e9  # a step number at which Adam's bias corrections are 1


class Optimizer:
    """RMSprop, SGD (with or without momentum) or Adam, as PyTorch defines them.

    RMSprop is Adam without a first moment and without bias corrections, and PyTorch has a fused kernel for Adam alone.
    `state` holds what a later step depends on, by the names that torch.optim has: flat float32 tensors, and `step`.
    """

    def __init__(self, cell: Cell, training: Training, parameters: FlatParameters) -> None:
        self.cell = cell
        self.training = training
        self.parameters = parameters
        master = parameters.master
        names = {"adam": ["exp_avg", "exp_avg_sq"], "rmsprop": ["square_avg"], "sgd": ["momentum_buffer"]}
        kept = names[cell.optimizer] if cell.optimizer != "sgd" or cell.momentum else []
        self.state = {name: torch.zeros_like(master) for name in kept}
        self.state["step"] = torch.zeros((), device=master.device)
        parts = list(parameters.parts())
        longest = max(len(part.master) for part in parts)
        self.wide = master.new_empty(longest)  # a part's gradient in the masters' format
        self.scratch = master.new_zeros(longest if cell.optimizer == "rmsprop" else 0)  # see _adam
        self.updates = [(part, self._update(part)) for part in parts]

    @torch.no_grad()
    def step(self) -> None:
        """Update the masters from the gradients, the copies from the masters, and make the gradients ready for more."""
        self.state["step"] += 1
        for part, update in self.updates:
            if part.copy is None:
                update()
                continue
            self.wide[: len(part.gradient)].copy_(part.gradient)
            update()
            part.copy.copy_(part.master)
        self.parameters.clear_accumulated()

    def _update(self, part: Part) -> Callable[[], object]:
        """What updates the masters of a part, from its gradient or, where they have copies, from `wide`."""
        gradient = part.gradient if part.copy is None else self.wide[: len(part.master)]
        moments = [value[part.start :][: len(part.master)] for value in self.state.values() if value.dim()]
        if self.cell.optimizer == "sgd":
            return self._sgd(part.master, gradient, moments)
        return self._adam(part.master, gradient, *moments)

    def _sgd(self, master: Tensor, gradient: Tensor, momentum: list[Tensor]) -> Callable[[], object]:
        """The first step needs no case of its own: from a momentum of zero it is what PyTorch's is."""
        return partial(
            torch._fused_sgd_, [master], [gradient], momentum, lr=self.cell.lr, momentum=self.cell.momentum,
            weight_decay=self.training.weight_decay, dampening=0.0, nesterov=False, maximize=False,
            is_first_step=False,
        )  # fmt: skip

    def _adam(self, master: Tensor, gradient: Tensor, *moments: Tensor) -> Callable[[], object]:
        """Adam, and RMSprop as Adam with beta1 = 0: its first moment is the gradient itself.

        Each part writes that over the one before it, where whatever is finite counts nothing.
        """
        adam, rmsprop = self.training.adam, self.training.rmsprop
        if self.cell.optimizer == "adam":
            step, (first, second) = self.state["step"], moments
            constants = {"beta1": adam.beta1, "beta2": adam.beta2, "eps": adam.eps}
        else:
            step, first, (second,) = torch.full_like(self.state["step"], FOREVER), self.scratch[: len(master)], moments
            constants = {"beta1": 0.0, "beta2": rmsprop.alpha, "eps": rmsprop.eps}
        return partial(
            torch._fused_adam_, [master], [gradient], [first], [second], [], [step], lr=self.cell.lr,
            weight_decay=self.training.weight_decay, amsgrad=False, maximize=False, **constants,
        )  # fmt: skip
