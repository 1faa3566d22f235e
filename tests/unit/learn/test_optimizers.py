"""The four optimizers against the formulas of their papers, written out in numpy, for several steps."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from stages.core.settings import ResNetCell, Training
from stages.learn.optimizers import build_optimizer

STEPS = 4
Array = NDArray[np.float64]


def training(weight_decay: float) -> Training:
    return Training.model_validate(
        {
            "precision": "float32",
            "weight_decay": weight_decay,
            "rmsprop": {"alpha": 0.9, "eps": 1e-3},
            "adam": {"beta1": 0.8, "beta2": 0.95, "eps": 1e-3},
        }
    )


def cell(optimizer: str, lr: float, momentum: float) -> ResNetCell:
    network = {"family": "resnet", "depth": 18, "stem": "7x7", "init": "pytorch"}
    settings = {"batch_size": 2, "input_size": 32, "augment": False}
    return ResNetCell.model_validate({**network, **settings, "optimizer": optimizer, "lr": lr, "momentum": momentum})


def gradients() -> list[Array]:
    return list(np.random.default_rng(0).normal(size=(STEPS, 3, 4)) * [[[1, 1e-3, 10, 0]]])


def sgd(weights: Array, decay: float, lr: float, momentum: float) -> Iterator[Array]:
    """Heavy ball with the learning rate outside the velocity (Sutskever et al. 2013; as PyTorch has it)."""
    velocity = np.zeros_like(weights)
    for gradient in gradients():
        velocity = momentum * velocity + gradient + decay * weights
        weights = weights - lr * velocity
        yield weights


def rmsprop(weights: Array, decay: float, lr: float, momentum: float) -> Iterator[Array]:
    """Tieleman and Hinton 2012, lecture 6.5: divide by a running mean of squares."""
    square = np.zeros_like(weights)
    for gradient in gradients():
        gradient = gradient + decay * weights
        square = 0.9 * square + 0.1 * gradient**2
        weights = weights - lr * gradient / (np.sqrt(square) + 1e-3)
        yield weights


def adam(weights: Array, decay: float, lr: float, momentum: float) -> Iterator[Array]:
    """Kingma and Ba 2014, algorithm 1."""
    first, second = np.zeros_like(weights), np.zeros_like(weights)
    for step, gradient in enumerate(gradients(), 1):
        gradient = gradient + decay * weights
        first = 0.8 * first + 0.2 * gradient
        second = 0.95 * second + 0.05 * gradient**2
        corrected = first / (1 - 0.8**step), second / (1 - 0.95**step)
        weights = weights - lr * corrected[0] / (np.sqrt(corrected[1]) + 1e-3)
        yield weights


@pytest.mark.parametrize("decay", [0.0, 0.1])
@pytest.mark.parametrize(
    ("name", "lr", "momentum", "formula"),
    [
        ("rmsprop", 0.01, 0.0, rmsprop),
        ("sgd", 0.1, 0.0, sgd),
        ("sgd", 0.1, 0.9, sgd),
        ("adam", 0.01, 0.0, adam),
    ],
)
def test_steps_are_those_of_the_formulas(
    name: str, lr: float, momentum: float, formula: Callable[..., Iterator[Array]], decay: float
) -> None:
    start = np.random.default_rng(1).normal(size=(3, 4))
    weights = torch.nn.Parameter(torch.from_numpy(start.copy()))
    optimizer = build_optimizer(cell(name, lr, momentum), training(decay), [weights])
    for gradient, expected in zip(gradients(), formula(start, decay, lr, momentum), strict=True):
        weights.grad = torch.from_numpy(gradient)
        optimizer.step()
        np.testing.assert_allclose(weights.detach().numpy(), expected, rtol=1e-12, atol=1e-15)
    assert not np.allclose(weights.detach().numpy(), start)


def test_momentum_is_the_only_difference_between_the_two_sgd_rows() -> None:
    found: list[dict[str, Any]] = []
    for momentum in (0.0, 0.9):
        weights = torch.nn.Parameter(torch.zeros(1))
        found.append(build_optimizer(cell("sgd", 0.1, momentum), training(0.0), [weights]).param_groups[0])
    assert {key for key in found[0] if found[0][key] != found[1][key] and key != "params"} == {"momentum"}
