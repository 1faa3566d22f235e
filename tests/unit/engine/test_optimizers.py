"""The four optimizers against the formulas of their papers, written out in numpy, and against PyTorch's own."""

from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from stages.config.settings import OPTIMIZERS as SETTINGS
from stages.config.settings import OptimizerSettings
from stages.engine import flat as flat_module
from stages.engine.flat import FlatParameters
from stages.engine.layers import swap_layers
from stages.engine.optimizers import Optimizer

STEPS = 4
Array = NDArray[np.float64]


def settings(optimizer: str, lr: float, momentum: float, weight_decay: float) -> OptimizerSettings:
    constants = {
        "rmsprop": {"alpha": 0.9, "eps": 1e-3},
        "adam": {"beta1": 0.8, "beta2": 0.95, "eps": 1e-3},
        "sgd": {"momentum": momentum},
    }
    shared = {"optimizer": optimizer, "lr": lr, "weight_decay": weight_decay}
    return SETTINGS[optimizer].model_validate({**shared, **constants[optimizer]})


def gradients() -> list[Array]:
    """Numbers that bfloat16 has too."""
    drawn = np.random.default_rng(0).normal(size=(STEPS, 3, 4)) * [[[1, 1e-3, 10, 0]]]
    return list(torch.from_numpy(drawn).bfloat16().double().numpy())


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


OPTIMIZERS = [
    ("rmsprop", 0.01, 0.0, rmsprop),
    ("sgd", 0.1, 0.0, sgd),
    ("sgd", 0.1, 0.9, sgd),
    ("adam", 0.01, 0.0, adam),
]


def layer(start: Array, dtype: torch.dtype) -> FlatParameters:
    """A linear layer with these weights, as flat parameters for products in `dtype`."""
    model = swap_layers(torch.nn.Linear(start.shape[1], start.shape[0]))
    model.weight = torch.nn.Parameter(torch.from_numpy(start).float())
    return FlatParameters(model, dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("decay", [0.0, 0.1])
@pytest.mark.parametrize(("name", "lr", "momentum", "formula"), OPTIMIZERS)
def test_steps_are_those_of_the_formulas(
    name: str, lr: float, momentum: float, formula: Callable[..., Iterator[Array]], decay: float, dtype: torch.dtype
) -> None:
    """Masters go the formula's way, within float32's rounding, and the copies follow them."""
    start = np.random.default_rng(1).normal(size=(3, 4))
    flat = layer(start, dtype)
    optimizer = Optimizer(settings(name, lr, momentum, decay), flat)
    weight = flat.model.weight
    assert isinstance(weight, torch.Tensor)
    for gradient, expected in zip(gradients(), formula(start, decay, lr, momentum), strict=True):
        assert weight.grad is not None
        weight.grad.copy_(torch.from_numpy(gradient))
        optimizer.step()
        moved = flat.views["weight"].numpy() - start
        np.testing.assert_allclose(moved, expected - start, rtol=1e-4, atol=1e-6)
        assert torch.equal(weight, flat.views["weight"].to(dtype))
    assert not np.allclose(flat.views["weight"].numpy(), start)


@pytest.mark.parametrize(("name", "lr", "momentum", "formula"), OPTIMIZERS)
def test_steps_are_those_of_pytorch(name: str, lr: float, momentum: float, formula: object) -> None:
    """RMSprop too, though it runs in Adam's kernel; 1000 steps, so that bias corrections have run their course."""
    random = np.random.default_rng(2)
    start = random.normal(size=(8, 16))
    flat = layer(start, torch.float32)
    optimizer = Optimizer(settings(name, lr / 100, momentum, 0.0), flat)
    plain = torch.nn.Parameter(torch.from_numpy(start))  # float64
    kinds: dict[str, torch.optim.Optimizer] = {
        "rmsprop": torch.optim.RMSprop([plain], lr / 100, alpha=0.9, eps=1e-3),
        "sgd": torch.optim.SGD([plain], lr / 100, momentum),
        "adam": torch.optim.Adam([plain], lr / 100, (0.8, 0.95), eps=1e-3),
    }
    for _ in range(1000):
        gradient = torch.from_numpy(random.normal(size=start.shape) + 0.1)
        flat.model.weight.grad.copy_(gradient)  # type: ignore[operator, union-attr]
        plain.grad = gradient
        optimizer.step()
        kinds[name].step()
    np.testing.assert_allclose(flat.views["weight"].numpy(), plain.detach().numpy(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("name", "lr", "momentum", "formula"), OPTIMIZERS)
def test_an_update_in_parts_is_that_of_the_whole(
    monkeypatch: pytest.MonkeyPatch, name: str, lr: float, momentum: float, formula: object
) -> None:
    """Bit for bit, though parts share memory and their gradients are of very different sizes."""
    random = np.random.default_rng(3)
    start, sizes = random.normal(size=(32, 32)), 10.0 ** random.integers(-6, 7, (32, 1))
    found = []
    for chunk in (64, 1 << 20):
        torch.manual_seed(0)  # of the bias
        monkeypatch.setattr(flat_module, "CHUNK", chunk)
        flat = layer(start, torch.bfloat16)
        optimizer = Optimizer(settings(name, lr, momentum, 0.1), flat)
        assert (len(optimizer.updates) > 10) == (chunk == 64)
        drawn = np.random.default_rng(4)
        for _ in range(5):
            flat.model.weight.grad.copy_(torch.from_numpy(drawn.normal(size=start.shape) * sizes))  # type: ignore[operator, union-attr]
            optimizer.step()
        found.append((flat.master.clone(), {key: value.clone() for key, value in optimizer.state.items()}))
    assert torch.equal(found[0][0], found[1][0])
    assert found[0][1].keys() == found[1][1].keys()
    assert all(torch.equal(found[0][1][key], found[1][1][key]) for key in found[0][1])


@pytest.mark.parametrize(
    ("name", "kept"), [("rmsprop", {"square_avg"}), ("adam", {"exp_avg", "exp_avg_sq"}), ("sgd", set())]
)
def test_only_what_a_later_step_needs_is_kept(name: str, kept: set[str]) -> None:
    flat = layer(np.zeros((2, 3)), torch.float32)
    assert Optimizer(settings(name, 0.1, 0.0, 0.0), flat).state.keys() == {"step", *kept}
    if name == "sgd":
        assert Optimizer(settings(name, 0.1, 0.9, 0.0), flat).state.keys() == {"step", "momentum_buffer"}
