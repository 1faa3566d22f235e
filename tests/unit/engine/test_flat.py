"""Parameters in flat memory: one set of numbers, seen by the network, by the optimizer and by what is saved."""

from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn

from stages.engine import flat
from stages.engine.flat import FlatParameters
from stages.engine.layers import swap_layers
from stages.engine.network import split_outputs
from tests.unit.engine.settings import FAMILIES, network_settings

pytestmark = pytest.mark.usefixtures("torch_settings")

FORMATS = [torch.float32, torch.bfloat16]
CASES = [("small", torch.float32), *((name, torch.bfloat16) for name in ("small", *FAMILIES))]


def small() -> nn.Module:
    """All kinds of parameters there are, batch norm's before and between those of products."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.BatchNorm2d(3),
        nn.Conv2d(3, 4, 3, bias=False),
        nn.BatchNorm2d(4),
        nn.Sequential(nn.Conv2d(4, 5, 1), nn.BatchNorm2d(5)),
        nn.Flatten(),
        nn.Linear(20, 6),
    )


def network(name: str) -> nn.Module:
    if name == "small":
        return small()
    torch.manual_seed(0)
    return network_settings(name, init="pytorch").build(channels=3, classes=5, input_size=32)


def flattened(name: str, dtype: torch.dtype) -> FlatParameters:
    return FlatParameters(swap_layers(network(name)), dtype)


def named(parameters: FlatParameters) -> dict[str, nn.Parameter]:
    return dict(parameters.model.named_parameters())


def within(tensor: Tensor, memory: Tensor) -> bool:
    """Whether a tensor is a view of that flat memory."""
    start = memory.data_ptr()
    return start <= tensor.data_ptr() < start + memory.nbytes and tensor.dtype == memory.dtype


@pytest.mark.parametrize(("name", "dtype"), CASES)
def test_the_network_keeps_its_names_shapes_and_numbers(name: str, dtype: torch.dtype) -> None:
    before = {key: value.detach().clone() for key, value in network(name).named_parameters()}
    parameters = flattened(name, dtype)
    assert list(named(parameters)) == list(before)
    assert sorted(parameters.names) == sorted(parameters.views) == sorted(before)
    matmul_params = {f"{prefix}.{own}" for prefix, module in parameters.model.named_modules()
                  if isinstance(module, nn.Conv2d | nn.Linear) for own, _ in module.named_parameters()}  # fmt: skip
    for key, parameter in named(parameters).items():
        assert torch.equal(parameters.views[key], before[key])
        rounded = before[key].to(dtype) if key in matmul_params else before[key]
        assert parameter.dtype == rounded.dtype
        assert torch.equal(parameter, rounded)
    assert parameters.matmul_params == sum(before[key].numel() for key in matmul_params)


@pytest.mark.parametrize(("name", "dtype"), CASES)
def test_parameters_and_gradients_lie_in_the_flat_memory_each_in_its_own_place(name: str, dtype: torch.dtype) -> None:
    """Masters, copies and gradients in one order, none twice; kernels channels-last, as products want them."""
    parameters = flattened(name, dtype)
    places = []
    for key, parameter in named(parameters).items():
        view, gradient = parameters.views[key], parameter.grad
        assert gradient is not None
        assert within(view, parameters.master)
        if parameter.dtype == torch.float32:
            assert parameter.data_ptr() == view.data_ptr()
            assert within(gradient, parameters.gradient)
        else:
            assert parameters.low is not None
            assert parameters.low_gradient is not None
            assert within(parameter, parameters.low)
            assert within(gradient, parameters.low_gradient)
        assert parameter.stride() == gradient.stride() == view.stride()
        assert view.permute(0, 2, 3, 1).is_contiguous() if view.dim() == 4 else view.is_contiguous()
        memory = parameters.gradient if parameter.dtype == torch.float32 else parameters.low_gradient
        assert memory is not None
        offsets = {
            (view.data_ptr() - parameters.master.data_ptr()) // 4,
            (gradient.data_ptr() - memory.data_ptr()) // gradient.element_size()
            + (parameters.copied if memory is parameters.gradient else 0),
        }
        assert len(offsets) == 1
        places.append((offsets.pop(), view.numel()))
    assert not any(
        gradient.any() for gradient in (parameters.gradient, parameters.low_gradient) if gradient is not None
    )
    places.sort()
    assert places[0][0] == 0
    assert all(start + count == following for (start, count), (following, _) in pairwise(places))
    assert sum(places[-1]) == len(parameters.master)


@pytest.mark.parametrize(("name", "dtype"), CASES)
def test_what_is_saved_is_pytorchs_state_in_float32(name: str, dtype: torch.dtype) -> None:
    """Names in PyTorch's order, masters instead of rounded copies, buffers too; a plain network loads it."""
    expected = network(name).state_dict()
    saved = flattened(name, dtype).state_dict()
    assert list(saved) == list(expected)
    for key, value in saved.items():
        assert (value.shape, value.dtype) == (expected[key].shape, expected[key].dtype)
        assert torch.equal(value, expected[key])
    plain = network(name)
    with torch.no_grad():
        for parameter in plain.parameters():
            parameter.zero_()
    plain.load_state_dict(saved)
    assert all(torch.equal(value, expected[key]) for key, value in plain.state_dict().items())


@pytest.mark.parametrize("dtype", FORMATS)
@pytest.mark.parametrize("chunk", [1, 7, 100, 128, 1 << 18])
def test_parts_cover_every_number_once(monkeypatch: pytest.MonkeyPatch, chunk: int, dtype: torch.dtype) -> None:
    """Whatever the size of a chunk: marks set through the parts fill masters, gradients and copies, none twice."""
    monkeypatch.setattr(flat, "CHUNK", chunk)
    parameters = flattened("small", dtype)
    parts = list(parameters.parts())
    copied = parameters.matmul_params if dtype == torch.bfloat16 else 0
    assert len(parts) == -(-copied // chunk) + 1
    for memory in (parameters.master, parameters.gradient, parameters.low, parameters.low_gradient):
        if memory is not None:
            memory.zero_()
    following = 0
    for part in parts:
        assert part.start == following
        assert len(part.master) == len(part.gradient)
        assert (part.copy is None) == (part.gradient.dtype == torch.float32)
        assert part.copy is None or len(part.copy) == len(part.master) <= chunk
        for memory in (part.master, part.gradient, part.copy):
            if memory is not None:
                memory += 1
        following += len(part.master)
    assert following == len(parameters.master)
    assert (parameters.master == 1).all()
    for parameter in named(parameters).values():
        assert parameter.grad is not None
        assert (parameter == 1).all()
        assert (parameter.grad == 1).all()


def test_parts_of_a_network_without_batch_norm_end_with_an_empty_one() -> None:
    parameters = FlatParameters(swap_layers(nn.Linear(3, 2)), torch.bfloat16)
    sizes = [(part.start, len(part.master), part.copy is None) for part in parameters.parts()]
    assert sizes == [(0, 8, False), (8, 0, True)]


@pytest.mark.parametrize("dtype", FORMATS)
def test_changed_masters_move_the_network(dtype: torch.dtype) -> None:
    """At once where masters multiply, after `refresh` or through the part's copy where copies do; outputs follow."""
    parameters = flattened("small", dtype)
    model = parameters.model.eval()
    images = torch.rand(2, 3, 4, 4).to(dtype, memory_format=torch.channels_last)
    outputs = model(images)
    with torch.no_grad():
        for view in parameters.views.values():
            view.copy_(torch.rand_like(view))
    stale = [key for key, value in named(parameters).items() if not torch.equal(value, parameters.views[key].to(dtype))]
    assert bool(stale) == (dtype == torch.bfloat16)
    parameters.refresh()
    for key, parameter in named(parameters).items():
        assert torch.equal(parameter, parameters.views[key].to(parameter.dtype))
    assert not torch.equal(model(images), outputs)
    plain = small().eval()
    plain.load_state_dict(parameters.state_dict())
    expected = plain(images.float())
    tolerance = 1e-5 if dtype == torch.float32 else 0.02
    assert (model(images).float() - expected).abs().max() <= tolerance * expected.abs().max()


def backward(parameters: FlatParameters, seed: int) -> dict[str, Tensor]:
    """A forward and backward pass on drawn images; the gradients, copied."""
    generator = torch.Generator().manual_seed(seed)
    sample = named(parameters)
    side = 4 if isinstance(parameters.model, nn.Sequential) else 32
    images = torch.rand(4, 3, side, side, generator=generator)
    dtype = parameters.low.dtype if parameters.low is not None else torch.float32
    torch.manual_seed(seed)  # of dropout
    logits, others = split_outputs(parameters.model(images.to(dtype, memory_format=torch.channels_last)))
    loss = sum((output.float() ** 2).mean() for output in (logits, *others))
    assert isinstance(loss, Tensor)
    loss.backward()
    found = {}
    for key, parameter in sample.items():
        assert parameter.grad is not None
        found[key] = parameter.grad.clone()
    return found


@pytest.mark.parametrize(("name", "dtype"), CASES)
def test_gradients_stay_in_place_and_are_those_of_the_last_step(name: str, dtype: torch.dtype) -> None:
    """A backward pass writes where the optimizer reads, every parameter of it; a second one leaves nothing of it."""
    parameters = flattened(name, dtype)
    places = {key: value.grad.data_ptr() for key, value in named(parameters).items() if value.grad is not None}
    first = backward(parameters, 1)
    low = parameters.low_gradient
    whole = parameters.gradient if low is None else torch.cat([low, parameters.gradient.to(dtype)])
    assert sum(int(value.count_nonzero()) for value in first.values()) == int(whole.count_nonzero()) > 0
    assert all(value.any() for value in first.values())
    parameters.clear_accumulated()
    second = backward(parameters, 2)
    assert {key: value.grad.data_ptr() for key, value in named(parameters).items() if value.grad is not None} == places
    parameters.clear_accumulated()
    again = backward(parameters, 2)
    assert all(torch.equal(again[key], value) for key, value in second.items())
    assert any(not torch.equal(first[key], value) for key, value in second.items())


def test_only_batch_norms_gradients_need_clearing() -> None:
    """Those of products are overwritten; PyTorch adds to the others, so a forgotten clearing would be seen."""
    parameters = flattened("small", torch.float32)
    once, twice = backward(parameters, 1), backward(parameters, 1)
    norms = {name for name, module in parameters.model.named_modules() if isinstance(module, nn.BatchNorm2d)}
    for key in once:
        grown = 2 if key.rpartition(".")[0] in norms else 1
        torch.testing.assert_close(twice[key], grown * once[key], rtol=1e-4, atol=1e-6)
    parameters.clear_accumulated()
    cleared = parameters.gradient[parameters.matmul_params - parameters.copied :]
    assert len(cleared) == 2 * (3 + 4 + 5)
    assert not cleared.any()
