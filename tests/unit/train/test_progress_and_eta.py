"""The line after each epoch: where this training is, and what all the planned ones still need."""

import json
import os
from pathlib import Path
from shutil import rmtree
from typing import Any

import pytest

from stages.config.params import Params, Training
from stages.core.files import write_text
from stages.records.eta import Eta, Machine, finished_runs, processor_family
from stages.records.run import NetworkSize, TrainingRun
from stages.train.progress import TrainingProgress
from tests.shipped import shipped_params
from tests.unit.report.conftest import epoch_time, synthetic, trained

METRICS = {"train_loss": 1.23456, "train_sample_accuracy": 0.5, "validation_accuracy": 0.25}
BUDGET = "paper"


@pytest.fixture(scope="module")
def params() -> Params:
    return shipped_params()


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory without recorded results."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def pixels(params: Params, cell: str) -> int:
    """What a training of the paper's budget goes through: images, copies included, times epochs times pixels."""
    run = params.run(cell, BUDGET, 0)
    assert run.images == "all"
    images = params.datasets.of(run.dataset).train_images * (2 if run.cell.augment == "append" else 1)
    return images * run.epochs * run.cell.input_size**2


def finished(params: Params, cell: str, seconds: float, seed: int = 0, **changes: Any) -> TrainingRun:
    """The record of a training that took so long."""
    key, _ = params.find(cell)
    run, _ = trained(params, BUDGET, key, seed)
    share = seconds / run.config.epochs
    epoch = epoch_time(share)
    times = run.times.model_copy(update={"epochs": [epoch] * run.config.epochs})
    return run.model_copy(update={"times": times, **changes})


def finish(runs: Path, run: TrainingRun) -> None:
    run.write(runs / run.cell / f"s{run.seed}" / "run.json")


def progress_of(params: Params, runs: Path) -> TrainingProgress:
    key, _ = params.find("mnist/vgg16")
    return TrainingProgress(
        params, BUDGET, key, params.run(str(key), BUDGET, 0), runs / "mnist" / "vgg16" / "s0", images=800
    )


def others(params: Params, *known: str) -> list[str]:
    return [str(key) for key in params.cell_keys() if str(key) not in known]


def test_nothing_is_promised_before_a_training_has_finished(params: Params, tmp_path: Path) -> None:
    fresh = progress_of(params, tmp_path)
    assert (fresh.number, fresh.total, fresh.others) == (1, len(params.trainings()), None)


def test_a_run_removed_while_the_others_are_read_ends_no_training(
    params: Params, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    finish(tmp_path, finished(params, "mnist/resnet18", 1.0))
    finish(tmp_path, finished(params, "mnist/vgg16", 1.0))
    scandir = os.scandir

    def removing(folder: Any = ".") -> Any:
        if Path(str(folder)).name == "vgg16":
            rmtree(tmp_path / "mnist" / "vgg16")
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", removing)
    assert [run.cell for run in finished_runs(tmp_path, tmp_path / "results")] == ["mnist/resnet18"]


def test_a_family_s_time_is_that_of_its_finished_runs_by_pixels(params: Params, tmp_path: Path) -> None:
    rates = {"vgg": 3e-5, "resnet": 1e-5, "googlenet": 2e-5}
    known = {"vgg": "cifar10/vgg11", "resnet": "mnist/resnet18", "googlenet": "mnist/googlenet-augmented"}
    for family, cell in known.items():
        finish(tmp_path, finished(params, cell, rates[family] * pixels(params, cell)))
    found = progress_of(params, tmp_path)
    waiting = others(params, "mnist/vgg16", *known.values())
    expected = sum(rates[params.find(cell)[1].family] * pixels(params, cell) for cell in waiting)
    assert found.number == 4
    assert found.others == pytest.approx(expected)


def test_a_family_without_a_finished_run_is_scaled_from_the_others(params: Params) -> None:
    known = finished(params, "mnist/resnet18", 1e-5 * pixels(params, "mnist/resnet18"))
    eta = Eta(params, BUDGET, [known])
    vgg, _ = params.find("cifar10/vgg16")
    assert eta.seconds(Training(vgg, 0)) == pytest.approx(4.5e-5 * pixels(params, "cifar10/vgg16"))


def test_the_trainings_most_like_it_decide(params: Params) -> None:
    """First the machine, then the family, then the network: VGG16's own runs say more of it than VGG19's."""
    here, there = Machine("cpu", "A processor"), Machine("cpu", "Another")
    cells = {"cifar10/vgg16-adam": 2e-5, "cifar10/vgg19": 7e-5, "cifar10/resnet18": 1e-5}
    runs = [finished(params, cell, rate * pixels(params, cell)) for cell, rate in cells.items()]
    training = Training(params.find("cifar10/vgg16")[0], 0)
    for machine in (None, here, there):
        eta = Eta(params, BUDGET, runs, machine)
        assert eta.seconds(training) == pytest.approx(2e-5 * pixels(params, "cifar10/vgg16"))
    abroad = runs[0].machines[0].model_copy(update={"processor": "Another"})
    eta = Eta(params, BUDGET, [*runs[1:], runs[0].model_copy(update={"machines": [abroad]})], here)
    assert eta.seconds(training) == pytest.approx(7e-5 * pixels(params, "cifar10/vgg16"))


def test_another_family_here_says_more_than_the_same_one_on_a_gpu(params: Params) -> None:
    here = Machine("cpu", "A processor")
    resnet = finished(params, "cifar10/resnet18", 1e-5 * pixels(params, "cifar10/resnet18"))
    vgg = finished(params, "cifar10/vgg11", 1e-7 * pixels(params, "cifar10/vgg11"))
    on_gpu = vgg.model_copy(update={"numerics": vgg.numerics.model_copy(update={"device": "cuda: A GPU"})})
    eta = Eta(params, BUDGET, [resnet, on_gpu], here)
    assert eta.seconds(Training(params.find("cifar10/vgg16")[0], 0)) == pytest.approx(
        4.5e-5 * pixels(params, "cifar10/vgg16")
    )


def test_with_the_networks_sizes_work_is_counted_in_multiply_adds_and_updates(params: Params) -> None:
    known = finished(params, "cifar10/vgg11", 100.0, network=NetworkSize(parameters=10**6, multiply_adds=10**8))
    sizes = {str(training.key): known.network for training in params.trainings()}
    sizes["cifar10/vgg16"] = NetworkSize(parameters=2 * 10**6, multiply_adds=3 * 10**8)
    eta = Eta(params, BUDGET, [known], sizes=sizes)
    batch = params.find("cifar10/vgg16")[1].batch_size
    expected = 100.0 * (3e8 + 50 * 2e6 / batch) / (1e8 + 50 * 1e6 / batch)
    assert eta.seconds(Training(params.find("cifar10/vgg16")[0], 0)) == pytest.approx(expected)


def test_a_family_that_no_table_of_costs_has_counts_like_any(params: Params) -> None:
    known = finished(params, "mnist/resnet18", 1e-5 * pixels(params, "mnist/resnet18"))
    unknown = known.config.cell.model_copy(update={"family": "densenet"})
    config = known.config.model_copy(update={"cell": unknown})
    eta = Eta(params, BUDGET, [known.model_copy(update={"config": config})])
    training = Training(params.find("mnist/resnet18-sgd")[0], 0)
    assert eta.measured == {}
    assert eta.seconds(training) == pytest.approx(1e-5 * pixels(params, "mnist/resnet18-sgd"))


def test_recorded_results_count_without_run_folders(params: Params, tmp_path: Path) -> None:
    results, runs = tmp_path / "cells", tmp_path / "runs"
    key, _ = params.find("mnist/resnet18")
    synthetic(params, BUDGET, key, 0).write(results / "mnist/resnet18-s0.json")
    assert [run.cell for run in finished_runs(runs, results)] == ["mnist/resnet18"]
    finish(runs, finished(params, "mnist/resnet18", 123.0))
    [run] = finished_runs(runs, results)
    assert sum(epoch.seconds for epoch in run.times.epochs) == pytest.approx(123.0)


def test_the_results_of_the_working_directory_count(params: Params, tmp_path: Path) -> None:
    key, _ = params.find("mnist/resnet18")
    synthetic(params, BUDGET, key, 0).write(f"reports/{BUDGET}/cells/mnist/resnet18-s0.json")
    assert progress_of(params, tmp_path).number == 2


@pytest.mark.parametrize("content", ["", "{", '"text"', "{}", "[]", '{"run": 1}', '{"run": {"cell": "mnist/vgg16"}}'])
def test_a_record_that_cannot_be_read_does_not_count(params: Params, tmp_path: Path, content: str) -> None:
    for path in (tmp_path / "mnist/vgg11/s0/run.json", Path(f"reports/{BUDGET}/cells/mnist/vgg11-s0.json")):
        write_text(path, content)
    assert progress_of(params, tmp_path).number == 1


def test_a_run_of_other_settings_gives_a_rate_and_is_not_measured(params: Params) -> None:
    run = finished(params, "mnist/resnet18", 100.0)
    other = run.model_copy(update={"config": run.config.model_copy(update={"epochs": 3})})
    eta = Eta(params, BUDGET, [other])
    assert eta.measured == {}
    assert eta.seconds(Training(params.find("mnist/resnet18")[0], 0)) == pytest.approx(100.0)


def test_the_last_training_waits_for_no_other(params: Params, tmp_path: Path) -> None:
    for cell in others(params):  # its own record is of an earlier run
        finish(tmp_path, finished(params, cell, 10.0))
    last = progress_of(params, tmp_path)
    assert (last.number, last.others) == (last.total, 0.0)


def test_every_seed_is_a_training(params: Params, tmp_path: Path) -> None:
    more = json.loads(params.model_dump_json())["more_seeds"] | {"mnist": {"cells": ["resnet18"], "seeds": [1, 2]}}
    two = Params.model_validate(params.model_dump() | {"seeds": [0, 3], "more_seeds": more})
    finish(tmp_path, finished(params, "mnist/vgg16", 10.0, seed=3))
    found = progress_of(two, tmp_path)
    assert (found.number, found.total) == (2, 2 * len(params.cell_keys()) + 2)


def test_a_processor_s_stepping_is_no_other_machine() -> None:
    assert processor_family("AMD EPYC (cpu family 25, model 1, stepping 1)") == "AMD EPYC (cpu family 25, model 1)"


def test_an_epoch_is_one_line(params: Params, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    key, _ = params.find("mnist/vgg16")
    run = params.run(str(key), "quick", 0).model_copy(update={"epochs": 2})
    first = TrainingProgress(params, "quick", key, run, tmp_path, images=800)
    first.step(800)
    first.report("train-mnist@quick-vgg16-0", METRICS | {"epoch": 1}, seconds=30.0, rate=100.0)
    assert capsys.readouterr().err == (
        f"[1/{first.total}] train-mnist@quick-vgg16-0 epoch 1/2: loss 1.235, train 50.0%, validation 25.0%, "
        "100 images/s, 30 s left\n"
    )
    first.others = 100.0
    first.report("stage", METRICS | {"epoch": 2, "train_loss": None}, seconds=50.0, rate=100.0)
    line = capsys.readouterr().err
    assert "epoch 2/2: loss not finite," in line
    assert line.endswith("100 images/s, 0 s left, 1 min 40 s for all trainings\n")
