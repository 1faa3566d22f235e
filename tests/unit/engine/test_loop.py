"""The engine against a plain PyTorch loop, against itself, and on what can go wrong.

Networks are small ones of each family: VGG11 for VGG16, a few random images, a few steps.
"""

import copy
import json
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save
from torch import Tensor, nn

from stages.config.settings import Run
from stages.engine.augmentation import augment
from stages.engine.images import Labelled, Standardise
from stages.engine.loop import EpochResult, Trainer, total_loss, train
from stages.engine.numerics import Numerics, set_up
from stages.engine.optimizers import Optimizer
from stages.engine.prediction import accuracy, finite, predict
from stages.engine.seeding import derive
from stages.engine.splits import Splits
from tests.unit.engine.settings import DEFAULT_OPTIMIZER, FAMILIES, IMAGES, OPTIMIZERS, cell_of, numerics_of, run_of
from tests.unit.engine.test_augmentation import AUGMENTATION

pytestmark = pytest.mark.usefixtures("torch_settings")

CLASSES = 3
STATISTICS = {"mean": [0.4], "std": [0.3]}


class Trained(NamedTuple):
    """What the engine ends with: the trainer, the history and the outcome."""

    trainer: Trainer
    history: list[dict[str, Any]]
    outcome: str


def shrunk(family: str, *, seed: int = 0, epochs: int = 1, precision: str = "float32", **cell: Any) -> Run:
    return run_of(cell_of(family, **cell), seed=seed, epochs=epochs, precision=precision)


def random_images(count: int, seed: int = 0) -> Labelled:
    random = np.random.default_rng(seed)
    images = random.integers(0, 256, (count, 1, 28, 28), np.uint8)
    return Labelled(torch.from_numpy(images), torch.from_numpy(random.integers(0, CLASSES, count)))


def random_splits(count: int = IMAGES) -> Splits:
    images = random_images(count)
    return Splits(images, images.first(3), random_images(2, seed=1))


def new_model(run: Run, start: nn.Module | None = None) -> nn.Module:
    """A network with the weights of the run's seed, or a copy of `start`, which takes no time to initialise."""
    if start:
        return copy.deepcopy(start)
    torch.manual_seed(derive(run.seed, "weights"))
    return run.cell.build(channels=1, classes=CLASSES, input_size=run.cell.input_size)


def engine(
    run: Run,
    splits: Splits,
    statistics: dict[str, Any] = STATISTICS,
    double: bool = False,
    threads: int = 1,
    start: nn.Module | None = None,
) -> Trained:
    """Train the run's network from the weights of its seed, or a copy of `start`."""
    numerics = numerics_of(run, threads)
    if double:
        numerics = numerics._replace(dtype=torch.float64)
    epochs: list[EpochResult] = []
    model = new_model(run, start)
    if double:
        model = model.double()
    trainer = Trainer(model, run, Standardise.of(statistics, run.cell.input_size, numerics), numerics)
    outcome = train(trainer, splits, [], epochs.append, lambda images: None)
    return Trained(trainer, [epoch.metrics for epoch in epochs], outcome)


# Against a plain loop


class Plain(NamedTuple):
    """What the plain loop ends with."""

    model: nn.Module
    losses: list[float]


def plain_input(images: Tensor, size: int) -> Tensor:
    batch = (images.float() / 255 - STATISTICS["mean"][0]) / STATISTICS["std"][0]
    return F.interpolate(batch, (size, size), mode="bilinear", align_corners=False, antialias=size < 28)


def plain_optimizer(run: Run, model: nn.Module) -> torch.optim.Optimizer:
    kinds: dict[str, Callable[..., torch.optim.Optimizer]] = {
        "rmsprop": torch.optim.RMSprop,
        "adam": torch.optim.Adam,
        "sgd": torch.optim.SGD,
    }
    settings = run.cell.model_dump()
    names = {"rmsprop": ("alpha", "eps"), "adam": ("eps",), "sgd": ("momentum",)}[run.cell.optimizer]
    constants = {name: settings[name] for name in ("lr", "weight_decay", *names)}
    if run.cell.optimizer == "adam":
        constants["betas"] = (settings["beta1"], settings["beta2"])
    return kinds[run.cell.optimizer](model.parameters(), foreach=False, **constants)


class PlainDropout(nn.Module):
    """Dropout by its definition (Srivastava et al. 2014, inverted), with one uniform number for each input."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, inputs: Tensor) -> Tensor:
        kept = torch.rand(inputs.shape, dtype=torch.float32) >= self.p
        return inputs * kept / (1 - self.p) if self.training else inputs


def with_plain_dropout(model: nn.Module) -> nn.Module:
    """PyTorch's own draws other numbers from the same seed than one that draws them all at once."""
    for parent in list(model.modules()):
        for name, module in parent.named_children():
            if isinstance(module, nn.Dropout):
                setattr(parent, name, PlainDropout(module.p))
    return model


def plain_loop(
    run: Run,
    splits: Splits,
    dtype: torch.dtype = torch.float32,
    layout: torch.memory_format = torch.contiguous_format,
    start: nn.Module | None = None,
) -> Plain:
    """Every image once an epoch, in the engine's order; nothing else of the engine is used."""
    model = with_plain_dropout(new_model(run, start)).to(dtype).to(memory_format=layout)
    optimizer = plain_optimizer(run, model)
    losses = []
    for epoch in range(1, run.epochs + 1):
        model.train()
        torch.manual_seed(derive(run.seed, "dropout", epoch))
        order = torch.randperm(
            len(splits.train), generator=torch.Generator().manual_seed(derive(run.seed, "order", epoch))
        )
        summed = 0.0
        for chosen in order.split(run.cell.batch_size):
            labels = splits.train.labels[chosen]
            batch = plain_input(splits.train.images[chosen], run.cell.input_size)
            outputs = model(batch.to(dtype).contiguous(memory_format=layout))
            if run.cell.family == "googlenet":
                loss = F.cross_entropy(outputs.logits, labels)
                loss = loss + 0.3 * F.cross_entropy(outputs.aux_logits1, labels)
                loss = loss + 0.3 * F.cross_entropy(outputs.aux_logits2, labels)
            else:
                loss = F.cross_entropy(outputs, labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            summed += loss.item() * len(chosen)
        losses.append(summed / len(splits.train))
    return Plain(model, losses)


def parameters(network: Trainer | nn.Module) -> list[Tensor]:
    """The trained parameters, sorted by name."""
    state = network.weights() if isinstance(network, Trainer) else dict(network.named_parameters())
    names = sorted(name for name, _ in (network.model if isinstance(network, Trainer) else network).named_parameters())
    return [state[name].detach() for name in names]


def distance(one: Trainer | nn.Module, other: Trainer | nn.Module, start: nn.Module) -> float:
    """How far two trained networks are apart, as a share of how far they went."""
    ends, others, starts = (parameters(network) for network in (one, other, start))
    apart = [(end - there).norm() for end, there in zip(ends, others, strict=True)]
    way = [(end - before).norm() for end, before in zip(ends, starts, strict=True)]
    return float(torch.stack(apart).norm() / torch.stack(way).norm())


def conditioned(family: str, **cell: Any) -> Run:
    """Batch norm over 32 numbers and more: over four, rounding alone leads a plain loop elsewhere."""
    return shrunk(family, **{"batch_size": 8, "input_size": 32 if family == "vgg" else 64} | cell)


def some_images() -> Splits:
    return random_splits(12)  # a batch of eight and one of four


def check_against_plain(run: Run) -> None:
    """The engine is the plain loop: in float64 to its rounding, in float32 as near to that as plain loops are.

    How near those are is not rounding alone: a ReLU or a pool whose input changes sides changes a gradient by far more.
    """
    splits, start = some_images(), new_model(run)
    exact = plain_loop(run, splits, torch.float64, start=start)
    trainer, history, outcome = engine(run, splits, double=True, start=start)
    assert (outcome, [line["epoch"] for line in history]) == ("finished", list(range(1, run.epochs + 1)))
    assert distance(trainer, exact.model, start) < 1e-6
    np.testing.assert_allclose([line["train_loss"] for line in history], exact.losses, rtol=1e-6)
    single = engine(run, splits, start=start)
    layouts = (torch.contiguous_format, torch.channels_last)
    plain = [plain_loop(run, splits, layout=layout, start=start) for layout in layouts]
    rounding = max(distance(loop.model, exact.model, start) for loop in plain)
    assert distance(single.trainer, exact.model, start) < 5 * rounding + 1e-4
    off = max(np.abs(np.subtract(loop.losses, exact.losses)).max() for loop in plain)
    np.testing.assert_allclose([line["train_loss"] for line in single.history], exact.losses, atol=5 * off + 1e-4)
    exact.model.eval()
    with torch.no_grad():
        for name, part in (("train_sample", splits.sample), ("validation", splits.validation)):
            logits = exact.model(plain_input(part.images, run.cell.input_size).double())
            loss = history[-1][f"{name}_loss"]
            assert loss == pytest.approx(F.cross_entropy(logits, part.labels).item(), rel=1e-5)
            hits = (logits.argmax(1) == part.labels).float().mean().item()
            assert history[-1][f"{name}_accuracy"] == pytest.approx(hits)


@pytest.mark.parametrize(
    ("family", "optimizer"),
    [
        ("resnet", "sgd"),
        *((family, one) for family, one in DEFAULT_OPTIMIZER.items() if family != "resnet"),
        *(pytest.param("resnet", one, marks=pytest.mark.slow) for one in OPTIMIZERS if one != "sgd"),
        pytest.param("vgg", "momentum", marks=pytest.mark.slow),
        pytest.param("vgg", "adam", marks=pytest.mark.slow),
        pytest.param("googlenet", "momentum", marks=pytest.mark.slow),
    ],
)
def test_an_epoch_is_that_of_a_plain_loop(family: str, optimizer: str) -> None:
    """Each optimizer with ResNet; momentum and Adam with each family, whose flat memory lies differently.

    The fast ones have each family and each optimizer once (momentum in the next test). Plain SGD uses the 3x3
    stem and input size 16, below the images' 28.
    """
    other_stem = {"stem": "3x3", "input_size": 16} if (family, optimizer) == ("resnet", "sgd") else {}
    check_against_plain(conditioned(family, **OPTIMIZERS[optimizer], **other_stem))


@pytest.mark.parametrize(
    "family", [pytest.param(one, marks=[] if one == "googlenet" else pytest.mark.slow) for one in FAMILIES]
)
def test_an_epoch_from_xavier_without_batch_norm_is_that_of_a_plain_loop(family: str) -> None:
    """ResNet keeps its batch norm; with weight decay and a dropout of the heads that is not the usual one."""
    changes = {"resnet": {}, "vgg": {"batch_norm": "none"}}.get(
        family, {"batch_norm": "none", "auxiliary_dropout": 0.2}
    )
    check_against_plain(conditioned(family, init="xavier", **OPTIMIZERS["momentum"] | {"weight_decay": 0.1}, **changes))


def test_fresh_epochs_are_those_of_a_plain_loop_on_images_transformed_by_hand() -> None:
    """EpochResult by epoch, other images with the same labels in the same order; evaluated are the plain ones."""
    plain, run = some_images(), conditioned("resnet", augment="fresh", epochs=2, **OPTIMIZERS["sgd"])
    fresh = plain._replace(fresh=AUGMENTATION)
    trainer, history, _ = engine(run, fresh)
    stepwise = Trainer(new_model(run), run, trainer.standardise, trainer.numerics)
    for number in (1, 2):
        images = augment(plain.train.images.numpy(), AUGMENTATION, epoch=number)
        given = Labelled(torch.from_numpy(images), plain.train.labels)
        assert stepwise.epoch(given, number, lambda count: None) == history[number - 1]["train_loss"]
    assert save(stepwise.weights()) == save(trainer.weights())
    found = predict(trainer.model, plain.sample, trainer.standardise)
    assert history[-1]["train_sample_accuracy"] == accuracy(found.logits, plain.sample.labels)
    expected = F.cross_entropy(torch.as_tensor(found.logits), plain.sample.labels)
    assert history[-1]["train_sample_loss"] == pytest.approx(float(expected), rel=1e-5)


@pytest.mark.slow
def test_two_epochs_are_those_of_a_plain_loop() -> None:
    check_against_plain(conditioned("resnet", epochs=2, input_size=40, **OPTIMIZERS["sgd"] | {"lr": 0.001}))


@pytest.mark.parametrize("change", [{"lr": 0.011}, {"batch_size": 5}])
def test_the_comparison_would_see_another_setting(change: dict[str, Any]) -> None:
    splits, run = random_splits(), shrunk("resnet", **OPTIMIZERS["sgd"])
    other = shrunk("resnet", **OPTIMIZERS["sgd"] | change)
    assert distance(engine(run, splits)[0], plain_loop(other, splits).model, new_model(run)) > 0.05


# Against itself


def as_bytes(trained: Trained) -> tuple[bytes, bytes]:
    return save(trained.trainer.weights()), json.dumps(trained.history).encode()


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("family", FAMILIES)
def test_a_seed_repeats_to_the_bit_and_another_one_differs(family: str, precision: str) -> None:
    splits = random_splits()
    first, again = (as_bytes(engine(shrunk(family, precision=precision), splits)) for _ in range(2))
    assert first == again
    other = as_bytes(engine(shrunk(family, precision=precision, seed=1), splits))
    assert other[0] != first[0]
    assert other[1] != first[1]


def test_what_ran_before_in_the_process_does_not_matter() -> None:
    splits, run = random_splits(), shrunk("resnet", epochs=2)
    first = as_bytes(engine(run, splits))
    torch.manual_seed(99)
    engine(shrunk("googlenet", seed=5), splits)
    assert as_bytes(engine(run, splits)) == first


def test_watching_does_not_change_a_training() -> None:
    """Callbacks may draw random numbers and evaluate; the history and the weights are the same."""
    splits, run, numerics = random_splits(), shrunk("googlenet", epochs=2), set_up("float32", 1)
    standardise = Standardise.of(STATISTICS, run.cell.input_size, numerics)
    trainer = Trainer(new_model(run), run, standardise, numerics)
    history: list[dict[str, Any]] = []
    steps: list[int] = []

    def on_epoch(epoch: EpochResult) -> None:
        torch.manual_seed(3)
        predict(trainer.model, splits.validation, standardise)
        history.append(epoch.metrics)
        assert 0 < epoch.train_seconds <= epoch.seconds

    outcome = train(trainer, splits, [], on_epoch, steps.append)
    assert as_bytes(Trained(trainer, history, outcome)) == as_bytes(engine(run, splits))
    assert steps == [4, 3] * 2


def test_bfloat16_goes_the_way_of_float32() -> None:
    """One step at bfloat16's rounding (large for a gradient of batch norms over seven images), to float32 weights."""
    splits, changes = random_splits(), {"batch_size": IMAGES, "stem": "3x3", **OPTIMIZERS["sgd"]}
    runs = [shrunk("resnet", precision=precision, **changes) for precision in ("float32", "bfloat16")]
    (exact, history, _), (rounded, rounded_history, _) = (engine(run, splits) for run in runs)
    assert {value.dtype for value in rounded.weights().values() if value.is_floating_point()} == {torch.float32}
    assert dict(rounded.model.named_parameters())["fc.weight"].dtype == torch.bfloat16
    assert 0 < distance(exact, rounded, new_model(runs[0])) < 0.7
    assert rounded_history[0]["train_loss"] == pytest.approx(history[0]["train_loss"], rel=0.02)


# What a training does, and what can go wrong


def bright_and_dark(count: int, seed: int) -> Labelled:
    """Images that a network can tell apart: class 0 is bright on the left, class 1 on the right, class 2 nowhere."""
    random = np.random.default_rng(seed)
    labels = np.arange(count) % CLASSES
    images = random.integers(0, 100, (count, 1, 28, 28))
    images[labels == 0, :, :, :14] += 150
    images[labels == 1, :, :, 14:] += 150
    return Labelled(torch.from_numpy(images.astype(np.uint8)), torch.from_numpy(labels))


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_training_learns_what_can_be_learnt(precision: str) -> None:
    images = bright_and_dark(60, 0)
    splits = Splits(images, images.first(30), bright_and_dark(30, 1))
    run = shrunk("resnet", epochs=5, precision=precision, batch_size=12, **OPTIMIZERS["sgd"])
    _, history, outcome = engine(run, splits)
    assert outcome == "finished"
    assert history[-1]["train_loss"] < history[0]["train_loss"] / 5
    assert history[-1]["train_sample_accuracy"] > 0.9
    assert history[-1]["validation_accuracy"] > 0.9
    assert history[-1]["validation_loss"] < 0.5


def test_a_training_that_diverges_stops_and_says_so() -> None:
    run = shrunk("vgg", epochs=5, batch_norm="none", **OPTIMIZERS["momentum"] | {"lr": 1.0})
    trainer, history, outcome = engine(run, random_splits(), {"mean": [0.0], "std": [1e-6]})
    assert outcome == "diverged"
    assert len(history) < 5
    assert history[-1]["train_loss"] is None
    assert all(line["train_loss"] is not None for line in history[:-1])
    assert not all(values.isfinite().all() for values in parameters(trainer))
    assert json.loads(json.dumps(history, allow_nan=False)) == history


def test_a_training_whose_last_step_makes_a_parameter_infinite_has_diverged(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its loss was taken before that step, and is finite."""

    def step(optimizer: Optimizer) -> None:
        optimizer.parameters.master[0] = torch.inf

    monkeypatch.setattr(Optimizer, "step", step)
    run = shrunk("resnet", epochs=3, batch_size=IMAGES)
    trainer, history, outcome = engine(run, random_splits())
    assert outcome == "diverged"
    assert [line["train_loss"] is None for line in history] == [False]
    assert not all(values.isfinite().all() for values in parameters(trainer))


def test_predictions_are_those_of_the_network_in_evaluation_mode() -> None:
    """Batch by batch, whatever the number of images, and without moving batch norm's statistics."""
    run, numerics = shrunk("resnet", input_size=8), Numerics(torch.device("cpu"), torch.float32, 1)
    model = new_model(run)
    images = random_images(300)  # more than one evaluation batch
    before = copy.deepcopy(model.state_dict())
    standardise = Standardise.of(STATISTICS, 8, numerics)
    found = predict(model, images, standardise)
    assert not model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    with torch.no_grad():
        expected = model(standardise(images.images))
    assert (found.logits.shape, found.logits.dtype) == ((300, CLASSES), torch.float32)
    torch.testing.assert_close(found.logits.clone(), expected, rtol=1e-4, atol=1e-5)
    assert found.loss.item() == pytest.approx(F.cross_entropy(expected, images.labels).item(), rel=1e-4)


@pytest.mark.parametrize("weight", [0.0, 0.3, 1.0])
def test_the_loss_is_the_weighted_sum_of_all_heads(weight: float) -> None:
    run = shrunk("googlenet")
    outputs = new_model(run)(plain_input(random_images(4).images, 32))
    labels = torch.tensor([0, 1, 2, 0])

    def cross_entropy(logits: Tensor) -> float:
        values = logits.detach().double().numpy()
        shares = np.exp(values) / np.exp(values).sum(1, keepdims=True)
        return float(-np.log(shares[np.arange(4), labels.numpy()]).mean())

    expected = cross_entropy(outputs.logits)
    expected += weight * (cross_entropy(outputs.aux_logits1) + cross_entropy(outputs.aux_logits2))
    assert total_loss(outputs, labels, weight).item() == pytest.approx(expected, rel=1e-5)


def test_the_loss_is_taken_in_float32() -> None:
    logits = torch.tensor([[1.0, 2.0, 3.0]]).bfloat16()
    assert total_loss(logits, torch.tensor([0]), 0.0).dtype == torch.float32


def test_accuracy_is_the_share_of_hits() -> None:
    logits = torch.tensor([[3.0, 1.0], [0.0, 1.0], [2.0, 1.0]])
    assert accuracy(logits, torch.tensor([0, 1, 1])) == pytest.approx(2 / 3)
    assert accuracy(logits, torch.tensor([0, 1, 0])) == 1.0
    assert accuracy(logits, torch.tensor([1, 0, 1])) == 0.0


@pytest.mark.parametrize(
    ("value", "kept"), [(0.5, 0.5), (0.0, 0.0), (float("nan"), None), (float("inf"), None), (-float("inf"), None)]
)
def test_what_json_has_not_becomes_nothing(value: float, kept: float | None) -> None:
    assert finite(value) == kept
