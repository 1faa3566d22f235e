"""The paper's four optimizers (III-C) as PyTorch's own fused updates over flat parameters.

The kernels are called as they are, on views that are made once: the functions that torch.optim puts around them took a
third of an update's time.
"""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from stages.config.settings import Adam, OptimizerSettings, Rmsprop, Sgd
from stages.engine.flat import FlatParameters, Part

BIAS_CORRECTED_STEP = 1e9  # a step number at which Adam's bias corrections are 1


class Optimizer:
    """RMSprop, SGD (with or without momentum) or Adam, as PyTorch defines them.

    RMSprop is Adam without a first moment and without bias corrections, and PyTorch has a fused kernel for Adam alone.
    `state` holds what a later step depends on, by the names that torch.optim has: flat float32 tensors, and `step`.
    """

    def __init__(self, settings: OptimizerSettings, parameters: FlatParameters) -> None:
        self.settings = settings
        self.parameters = parameters
        master = parameters.master
        self.state = {name: torch.zeros_like(master) for name in moment_names(settings)}
        self.state["step"] = torch.zeros((), device=master.device)
        parts = list(parameters.parts())
        longest = max(len(part.master) for part in parts)
        self.wide_gradient = master.new_empty(longest)  # a part's gradient in the masters' format
        self.discarded_moment = master.new_zeros(longest if isinstance(settings, Rmsprop) else 0)  # see _rmsprop
        self.updates = [(part, self._update(part)) for part in parts]

    @torch.no_grad()
    def step(self) -> None:
        """Update the masters from the gradients, the copies from the masters, and make the gradients ready for more."""
        self.state["step"] += 1
        for part, update in self.updates:
            if part.copy is None:
                update()
                continue
            self.wide_gradient[: len(part.gradient)].copy_(part.gradient)
            update()
            part.copy.copy_(part.master)
        self.parameters.clear_accumulated()

    def _update(self, part: Part) -> Callable[[], object]:
        """What updates the masters of a part, from its gradient or, where they have copies, from `wide_gradient`."""
        gradient = part.gradient if part.copy is None else self.wide_gradient[: len(part.master)]
        moments = [value[part.start :][: len(part.master)] for value in self.state.values() if value.dim()]
        match self.settings:
            case Sgd():
                return self._sgd(self.settings, part.master, gradient, moments)
            case Adam():
                return self._adam(self.settings, part.master, gradient, *moments)
            case Rmsprop():
                return self._rmsprop(self.settings, part.master, gradient, *moments)
        raise TypeError(f"no update for {type(self.settings).__name__}")

    def _sgd(self, sgd: Sgd, master: Tensor, gradient: Tensor, momentum: list[Tensor]) -> Callable[[], object]:
        """The first step needs no case of its own: from a momentum of zero it is what PyTorch's is."""
        return partial(
            torch._fused_sgd_, [master], [gradient], momentum, lr=sgd.lr, momentum=sgd.momentum,
            weight_decay=sgd.weight_decay, dampening=0.0, nesterov=False, maximize=False, is_first_step=False,
        )  # fmt: skip

    def _adam(
        self, adam: Adam, master: Tensor, gradient: Tensor, first: Tensor, second: Tensor
    ) -> Callable[[], object]:
        """Adam with PyTorch's bias corrections."""
        return partial(
            torch._fused_adam_, [master], [gradient], [first], [second], [], [self.state["step"]], lr=adam.lr,
            beta1=adam.beta1, beta2=adam.beta2, eps=adam.eps, weight_decay=adam.weight_decay, amsgrad=False,
            maximize=False,
        )  # fmt: skip

    def _rmsprop(self, rmsprop: Rmsprop, master: Tensor, gradient: Tensor, square: Tensor) -> Callable[[], object]:
        """RMSprop as Adam with beta1 = 0, whose first moment is then the gradient itself.

        The buffer of the first moment is shared by all parts: beta1 = 0 discards its old value, as long as that is
        finite.
        """
        step, first = torch.full_like(self.state["step"], BIAS_CORRECTED_STEP), self.discarded_moment[: len(master)]
        return partial(
            torch._fused_adam_, [master], [gradient], [first], [square], [], [step], lr=rmsprop.lr, beta1=0.0,
            beta2=rmsprop.alpha, eps=rmsprop.eps, weight_decay=rmsprop.weight_decay, amsgrad=False, maximize=False,
        )  # fmt: skip


def moment_names(settings: OptimizerSettings) -> list[str]:
    """The moments that an optimizer keeps, by torch.optim's names."""
    if isinstance(settings, Adam):
        return ["exp_avg", "exp_avg_sq"]
    if isinstance(settings, Rmsprop):
        return ["square_avg"]
    return ["momentum_buffer"] if isinstance(settings, Sgd) and settings.momentum else []
