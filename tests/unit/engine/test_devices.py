"""What can be held against a device that is not here: where every tensor of a training is, and what is said.

PyTorch's `meta` device has shapes and no numbers. A training runs on it from its first step to its history, and a mode
below sees every operation. That shows that nothing is made on, left on or read from another device than the
training's, and that what is chosen by device (products on the processor, chunks in its cache) is not chosen elsewhere.
It cannot show numbers, speed, memory, determinism, or that a GPU has each kernel in each format. FakeTensorMode would
name the device `cuda`, but autograd's backward pass asks the driver for it, so it ends at the loss.
"""

from collections.abc import Iterable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from stages.core.errors import ParamError
from stages.engine import flat
from stages.engine.images import Labelled, Standardise
from stages.engine.loop import EpochResult, Trainer, train
from stages.engine.numerics import Numerics, find_device, find_format, multiplies_bfloat16, set_up
from stages.engine.optimizers import Optimizer
from stages.engine.prediction import predict
from stages.engine.splits import Splits
from tests.unit.engine.settings import FAMILIES, OPTIMIZERS
from tests.unit.engine.test_loop import CLASSES, STATISTICS, shrunk

pytestmark = pytest.mark.usefixtures("torch_settings")

ELSEWHERE = torch.device("meta")
aten = torch.ops.aten
# Of what torch.use_deterministic_algorithms documents as refused on CUDA, the operations near to those used here.
REFUSED = {
    "_adaptive_avg_pool2d_backward",
    "_upsample_bilinear2d_aa_backward",
    "adaptive_max_pool2d_backward",
    "cumsum",
    "nll_loss2d_forward",
    "put_",
    "reflection_pad2d_backward",
    "replication_pad2d_backward",
    "scatter_reduce",
    "upsample_bilinear2d_backward",
}


class Watch(TorchDispatchMode):
    """Notes each operation under the devices and formats of its tensors; stands in for what `meta` does not have."""

    def __init__(self) -> None:
        super().__init__()
        self.devices: dict[frozenset[str], set[str]] = {}
        self.formats: dict[str, set[torch.dtype]] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result: Any = None
        if func in (aten.item.default, aten._local_scalar_dense.default):
            result = 0.0
        elif func is aten._fused_sgd_.default:
            assert len({tuple(tensor.shape for tensor in tensors) for tensors in args[:3] if tensors}) == 1
        else:
            result = func(*args, **(kwargs or {}))
        tensors = [leaf for leaf in tree_leaves((args, kwargs, result)) if isinstance(leaf, Tensor)]
        name = func.overloadpacket.__name__
        if tensors:
            self.devices.setdefault(frozenset(tensor.device.type for tensor in tensors), set()).add(name)
            self.formats.setdefault(name, set()).update(tensor.dtype for tensor in tensors)
        return result


def labelled(count: int, device: torch.device = ELSEWHERE) -> Labelled:
    images = torch.zeros(count, 1, 28, 28, dtype=torch.uint8, device=device)
    return Labelled(images, torch.zeros(count, dtype=torch.int64, device=device))


def trainer_on(device: torch.device, family: str, precision: str = "bfloat16", **settings: Any) -> Trainer:
    run = shrunk(family, precision=precision, **settings)
    numerics = Numerics(device, getattr(torch, precision), 1)
    size = run.cell.input_size
    with device:
        model = run.cell.build(channels=1, classes=CLASSES, input_size=size)
    return Trainer(model, run, Standardise.of(STATISTICS, size, numerics), numerics)


def on_devices(tensors: Iterable[Tensor]) -> set[str]:
    return {tensor.device.type for tensor in tensors}


@pytest.mark.parametrize("family", FAMILIES)
def test_a_training_stays_on_its_device(family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A step of each optimizer, and an epoch with its evaluations; only the order of the images comes over."""
    monkeypatch.setattr(Trainer, "parameters_sha256", lambda trainer: "")  # both read the numbers, which meta has not
    monkeypatch.setattr(Trainer, "is_finite", lambda trainer: True)
    with Watch() as watch:
        trainer = trainer_on(ELSEWHERE, family)
        epochs: list[EpochResult] = []
        splits = Splits(labelled(4), labelled(3), labelled(2))
        assert train(trainer, splits, [], epochs.append, lambda images: None) == "finished"
        for changes in OPTIMIZERS.values():
            cell = shrunk(family, **changes).cell
            optimizer = Optimizer(cell, trainer.parameters)
            optimizer.step()
            assert on_devices(optimizer.state.values()) == {"meta"}
    assert len(epochs) == 1
    transfers = watch.devices.pop(frozenset({"cpu", "meta"}))
    assert transfers <= {"_to_copy"}
    assert watch.devices.pop(frozenset({"cpu"})) <= {"randperm", "empty", "lift_fresh", "_to_copy", "detach"}
    assert watch.devices.keys() == {frozenset({"meta"})}
    assert not REFUSED & watch.formats.keys()
    assert {"_fused_sgd_", "_fused_adam_", "convolution_backward", "index"} <= watch.devices[frozenset({"meta"})]
    assert on_devices(trainer.state().values()) == on_devices(trainer.parameters.state_dict().values()) == {"meta"}
    gradients = [parameter.grad for parameter in trainer.model.parameters()]
    assert on_devices(gradient for gradient in gradients if gradient is not None) == {"meta"}


def test_what_is_made_on_the_processor_would_be_seen() -> None:
    with Watch() as watch:
        labelled(3).images * torch.tensor(2.0)  # a number that the device waits for
        labelled(3).images[torch.arange(2)]
    assert watch.devices[frozenset({"cpu", "meta"})] == {"mul", "index"}


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_products_and_chunks_are_for_the_processor(monkeypatch: pytest.MonkeyPatch, precision: str) -> None:
    """Elsewhere the library convolves, in the training's format, and an update is one over all numbers."""
    monkeypatch.setattr(flat, "CHUNK", 1 << 16)
    found = {}
    for device in (ELSEWHERE, torch.device("cpu")):
        trainer, images = trainer_on(device, "resnet", precision), labelled(2, device)
        with Watch() as watch:
            trainer.step(*images)
        found[device.type] = watch.formats
        windows = {"as_strided"} & watch.formats.keys()
        assert windows == ({"as_strided"} if device.type == "cpu" else set())
        dtype = getattr(torch, precision)
        emulated = device.type == "cpu" and trainer.numerics.precision.startswith("emulated")
        multiplied = torch.float32 if emulated else dtype
        assert watch.formats["convolution"] == watch.formats["convolution_backward"] == {multiplied}
        assert watch.formats["native_batch_norm_backward"] <= {dtype, torch.float32}
        assert watch.formats["_log_softmax"] == {torch.float32}
        rounded = precision == "bfloat16"
        parts = [len(part.master) for part, _ in trainer.optimizer.updates]
        assert (len(parts) > 2) == (rounded and device.type == "cpu")
        assert sum(parts) == len(trainer.parameters.master)


def test_a_network_predicts_on_its_device() -> None:
    """As `evaluate` has it: plain layers, in float32."""
    run, numerics = shrunk("resnet"), Numerics(ELSEWHERE, torch.float32, 1)
    with ELSEWHERE:
        model = run.cell.build(channels=1, classes=CLASSES, input_size=32)
    assert on_devices(model.state_dict().values()) == {"meta"}
    with Watch() as watch:
        found = predict(model, labelled(3), Standardise.of(STATISTICS, 32, numerics))
    assert (found.logits.device.type, found.logits.dtype, found.logits.shape) == ("meta", torch.float32, (3, CLASSES))
    assert watch.devices[frozenset({"meta"})] >= {"conv2d", "linear"}
    assert watch.devices.keys() <= {frozenset({"meta"}), frozenset({"cpu"}), frozenset({"cpu", "meta"})}
    assert watch.devices.get(frozenset({"cpu", "meta"}), set()) <= {"_to_copy"}
    assert watch.formats["conv2d"] == {torch.float32}


# What is chosen, and what is said


def machine(monkeypatch: pytest.MonkeyPatch, cuda: bool, mps: bool) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)


@pytest.mark.parametrize(
    ("cuda", "mps", "wanted", "found"),
    [
        (False, False, "auto", "cpu"),
        (True, False, "auto", "cuda"),
        (False, True, "auto", "cpu"),  # not measured there, so never chosen unasked
        (True, True, "cpu", "cpu"),
        (True, True, "mps", "mps"),
        (True, False, "cuda", "cuda"),
    ],
)
def test_a_device_is_chosen(monkeypatch: pytest.MonkeyPatch, cuda: bool, mps: bool, wanted: Any, found: str) -> None:
    machine(monkeypatch, cuda, mps)
    assert find_device(wanted) == torch.device(found)


@pytest.mark.parametrize(
    ("cuda", "mps", "wanted", "allowed"),
    [
        (False, False, "cuda", "auto, cpu"),
        (False, True, "cuda", "auto, cpu, mps"),
        (False, False, "mps", "auto, cpu"),
        (True, False, "mps", "auto, cpu, cuda"),
    ],
)
def test_a_device_that_is_not_there_is_refused(
    monkeypatch: pytest.MonkeyPatch, cuda: bool, mps: bool, wanted: Any, allowed: str
) -> None:
    machine(monkeypatch, cuda, mps)
    with pytest.raises(ParamError) as raised:
        set_up("auto", 1, wanted)
    assert str(raised.value) == f"device: {wanted!r} is not allowed; allowed: {allowed}"


@pytest.mark.parametrize("native", [True, False])
def test_falling_back_to_float32_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], native: bool
) -> None:
    machine(monkeypatch, cuda=False, mps=False)
    monkeypatch.setattr("stages.engine.numerics.multiplies_bfloat16", lambda device: native)
    found = set_up("auto", 1)
    said = capsys.readouterr().err
    assert found == Numerics(torch.device("cpu"), torch.bfloat16 if native else torch.float32, 1)
    assert said.count("\n") == (0 if native else 1)
    assert all((word in said) != native for word in ("processor", "bfloat16", "float32", "other bits"))


@pytest.mark.parametrize("native", [True, False])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_named_format_is_taken_and_emulation_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], precision: Any, native: bool
) -> None:
    machine(monkeypatch, cuda=False, mps=False)
    monkeypatch.setattr("stages.engine.numerics.multiplies_bfloat16", lambda device: native)
    emulated = precision == "bfloat16" and not native
    found = set_up(precision, 1)
    assert found.precision == found.describe()["precision"] == (f"emulated {precision}" if emulated else precision)
    said = "this processor has no native bfloat16: it is emulated, as slow as float32 and with other bits\n"
    assert capsys.readouterr().err.endswith(said if emulated else "")
    assert (found.dtype == torch.bfloat16) == (precision == "bfloat16")


@pytest.mark.parametrize("precision", ["bfloat16", "auto"])
def test_a_device_without_bfloat16_is_named(capsys: pytest.CaptureFixture[str], precision: Any) -> None:
    """A device that is asked for it by name refuses; `auto` falls back and says so."""
    if precision == "auto":
        assert find_format(precision, torch.device("mps")) == torch.float32
        assert "this mps device has no native bfloat16" in capsys.readouterr().err
    else:
        with pytest.raises(ParamError, match="this mps device has no native bfloat16"):
            find_format(precision, torch.device("mps"))


@pytest.mark.parametrize("native", [True, False])
def test_a_gpu_is_asked_whether_it_multiplies_bfloat16_itself(monkeypatch: pytest.MonkeyPatch, native: bool) -> None:
    """PyTorch counts emulation as support unless it is told not to."""
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: including_emulation or native)
    multiplies_bfloat16.cache_clear()
    try:
        assert multiplies_bfloat16("cuda") is native
        assert multiplies_bfloat16("mps") is False
    finally:
        multiplies_bfloat16.cache_clear()
