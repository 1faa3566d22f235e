"""The paper's four optimizers (III-C), as PyTorch has them."""

from collections.abc import Iterable

import torch

from stages.core.settings import Cell, Training


def build_optimizer(cell: Cell, training: Training, parameters: Iterable[torch.Tensor]) -> torch.optim.Optimizer:
    """The optimizer of a cell: RMSprop, SGD (with or without momentum) or Adam."""
    decay = training.weight_decay
    if cell.optimizer == "rmsprop":
        rmsprop = training.rmsprop
        return torch.optim.RMSprop(parameters, cell.lr, rmsprop.alpha, rmsprop.eps, weight_decay=decay, foreach=False)
    if cell.optimizer == "adam":
        adam = training.adam
        return torch.optim.Adam(parameters, cell.lr, (adam.beta1, adam.beta2), adam.eps, weight_decay=decay, fused=True)
    return torch.optim.SGD(parameters, cell.lr, cell.momentum, weight_decay=decay, fused=True)
