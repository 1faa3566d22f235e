"""The parts that the ablation takes out of the engine are out of it then; a checkpoint is written as in training."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from benchmarks import ours, sections
from benchmarks.families import PARTS
from benchmarks.ours import TAKE_OUT, run_without, saving
from stages.engine import flat, layers, numerics
from stages.engine.checkpoints import Checkpoint
from stages.engine.flat import FlatParameters
from stages.engine.layers import swap_layers
from tests.unit.benchmarks.test_bench_precision import small

pytestmark = pytest.mark.usefixtures("torch_settings")


@pytest.fixture(autouse=True)
def put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is taken out here is back for the next test."""
    for module, name in ((layers, "PRODUCT_PIXELS"), (layers, "WEIGHT_GRADIENT_PIXELS"), (flat, "CHUNK")):
        monkeypatch.setattr(module, name, getattr(module, name))
    monkeypatch.setattr(layers, "LAYERS", dict(layers.LAYERS))
    monkeypatch.setattr(numerics, "keep_pages", numerics.keep_pages)


def convolved_by_library(monkeypatch: pytest.MonkeyPatch) -> bool:
    calls: list[Any] = []
    convolve = torch.nn.functional.conv2d

    def watched(*given: Any) -> torch.Tensor:
        calls.append(given)
        return convolve(*given)

    monkeypatch.setattr(torch.nn.functional, "conv2d", watched)
    swap_layers(nn.Conv2d(4, 4, 3, padding=1))(torch.ones(1, 4, 4, 4))
    return bool(calls)


def parts_of_an_update() -> int:
    model = swap_layers(nn.Linear(1024, 1024))
    return len(list(FlatParameters(model, torch.bfloat16).parts()))


def test_there_is_something_to_take_out_for_every_part() -> None:
    assert list(TAKE_OUT) == list(PARTS)


def test_products(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not convolved_by_library(monkeypatch)
    TAKE_OUT["products"]()
    assert convolved_by_library(monkeypatch)


def test_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[bool] = []
    monkeypatch.setattr(numerics, "keep_pages", lambda: kept.append(True))
    numerics.set_up("float32", 1, "cpu")
    assert kept == [True]
    TAKE_OUT["pages"]()
    numerics.set_up("float32", 1, "cpu")
    assert kept == [True]


def test_chunks() -> None:
    assert parts_of_an_update() == 3  # two of what is multiplied, one of what is not
    TAKE_OUT["chunks"]()
    assert parts_of_an_update() == 2


def test_dropout() -> None:
    assert type(swap_layers(nn.Dropout(0.5))) is layers.Dropout
    TAKE_OUT["dropout"]()
    assert type(swap_layers(nn.Dropout(0.5))) is nn.Dropout


def test_bfloat16() -> None:
    assert {part: run_without(part, "vgg16").precision for part in PARTS} == {
        part: "float32" if part == "bfloat16" else "auto" for part in PARTS
    }


def test_parts_that_a_family_or_a_format_has_not_are_left_out() -> None:
    assert sections.parts_of("vgg16", torch.bfloat16) == list(PARTS)
    assert "dropout" not in sections.parts_of("resnet18", torch.bfloat16)
    assert sections.parts_of("googlenet", torch.float32) == ["products", "pages", "dropout"]


def test_a_checkpoint_is_saved_after_each_piece(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    saved: list[int] = []
    save = Checkpoint.save

    def watched(self: Checkpoint, trainer: Any, epochs: Any, machines: Any) -> None:
        save(self, trainer, epochs, machines)
        saved.append(self.path.stat().st_size)

    monkeypatch.setattr(ours, "SCRATCH", tmp_path / "bench")
    monkeypatch.setattr(ours, "ready", small)
    monkeypatch.setattr(Checkpoint, "save", watched)
    found = saving("resnet18", 1, repetitions=2, seconds=0.01)
    assert [len(values) for values in found.values()] == [2, 2]
    assert all(value > 0 for values in found.values() for value in values)
    trained = small(run_without("products", "resnet18"), 1).trainer
    numbers = trained.parameters.master.numel()
    assert all(size > 3 * 4 * numbers for size in saved)  # the masters and both of Adam's moments
    assert len(saved) == 2
    assert list((tmp_path / "bench").iterdir()) == []
