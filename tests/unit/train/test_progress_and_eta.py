"""The line after each epoch: where this training is, and what all the planned ones still need."""

from pathlib import Path

import pytest

from stages.config.params import Params, load_params
from stages.core.files import write_json
from stages.train.progress import Outlook

REPOSITORY = Path(__file__).resolve().parents[3]
METRICS = {"train_loss": 1.23456, "train_accuracy": 0.5, "validation_accuracy": 0.25}


@pytest.fixture(scope="module")
def params() -> Params:
    return load_params(REPOSITORY / "params.yaml")


def outlook(params: Params, runs: Path) -> Outlook:
    key, _ = params.find("mnist/vgg16")
    return Outlook(params, "paper", key, params.run(str(key), "paper", 0), runs / "mnist" / "vgg16" / "s0", images=800)


def pixels(params: Params, cell: str) -> int:
    """What a training of the paper's budget goes through: images, copies included, times epochs times pixels."""
    run = params.run(cell, "paper", 0)
    assert run.images == "all"
    images = params.datasets.of(run.dataset).train_images * (2 if run.cell.augment else 1)
    return images * run.epochs * run.cell.input_size**2


def finish(runs: Path, cell: str, seconds: float, seed: int = 0) -> None:
    config = load_params(REPOSITORY / "params.yaml").run(cell, "paper", seed).model_dump()
    write_json(runs / cell / f"s{seed}" / "run.json", {"times": {"seconds": seconds}, "config": config})


def others(params: Params, *known: str) -> list[str]:
    return [str(key) for key in params.cell_keys() if str(key) not in known]


def test_nothing_is_promised_before_a_training_has_finished(params: Params, tmp_path: Path) -> None:
    fresh = outlook(params, tmp_path)
    assert (fresh.number, fresh.total, fresh.others) == (1, len(params.cell_keys()), None)


def test_a_family_s_time_is_that_of_its_finished_runs_by_pixels(params: Params, tmp_path: Path) -> None:
    rates = {"vgg": 3e-5, "resnet": 1e-5, "googlenet": 2e-5}
    finished = {"vgg": "cifar10/vgg11", "resnet": "mnist/resnet18", "googlenet": "mnist/googlenet-augmented"}
    for family, cell in finished.items():
        finish(tmp_path, cell, rates[family] * pixels(params, cell))
    found = outlook(params, tmp_path)
    waiting = others(params, "mnist/vgg16", *finished.values())
    expected = sum(rates[params.find(cell)[1].family] * pixels(params, cell) for cell in waiting)
    assert found.number == 4
    assert found.others == pytest.approx(expected)


def test_a_family_without_a_finished_run_is_scaled_from_the_others(params: Params, tmp_path: Path) -> None:
    finish(tmp_path, "mnist/resnet18", 1e-5 * pixels(params, "mnist/resnet18"))
    finish(tmp_path, "mnist/resnet18-sgd", 3e-5 * pixels(params, "mnist/resnet18-sgd"))
    waiting = others(params, "mnist/vgg16", "mnist/resnet18", "mnist/resnet18-sgd")
    cost = {"vgg": 4.5, "resnet": 1.0, "googlenet": 1.2}  # of a pixel, beside ResNet's 2e-5 seconds
    expected = 2e-5 * sum(cost[params.find(cell)[1].family] * pixels(params, cell) for cell in waiting)
    assert outlook(params, tmp_path).others == pytest.approx(expected)


@pytest.mark.parametrize(
    "content", ["", "{", '"text"', "{}", '{"times": {}}', '{"times": {"seconds": 1}, "config": {}}']
)
def test_a_record_that_is_no_finished_run_of_these_settings_does_not_count(
    params: Params, tmp_path: Path, content: str
) -> None:
    broken = tmp_path / "mnist" / "vgg11" / "s0" / "run.json"
    broken.parent.mkdir(parents=True)
    broken.write_text(content)
    assert outlook(params, tmp_path).number == 1


def test_the_last_training_waits_for_no_other(params: Params, tmp_path: Path) -> None:
    for cell in others(params, "mnist/vgg16"):
        finish(tmp_path, cell, 10.0)
    finish(tmp_path, "mnist/vgg16", 10.0)  # its own record is of an earlier run
    last = outlook(params, tmp_path)
    assert (last.number, last.others) == (last.total, 0.0)


def test_every_seed_is_a_training(params: Params, tmp_path: Path) -> None:
    two = params.model_copy(update={"seeds": [0, 1]})
    finish(tmp_path, "mnist/vgg16", 10.0, seed=1)
    found = outlook(two, tmp_path)
    assert (found.number, found.total) == (2, 2 * len(params.cell_keys()))


def test_an_epoch_is_one_line(params: Params, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    key, _ = params.find("mnist/vgg16")
    run = params.run(str(key), "quick", 0).model_copy(update={"epochs": 2})
    first = Outlook(params, "quick", key, run, tmp_path, images=800)
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
