"""The run record is read only with the cell, the settings, the code and the weights that were asked for."""

from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from stages.core.errors import CorruptFileError, MissingFileError
from stages.core.files import json_text
from stages.evaluate.trained import check_trained_on, checked_run
from stages.records.run import RunHashes, TrainingRun
from stages.records.spec import Spec
from tests.shipped import shipped_params
from tests.unit.report.conftest import spec as made_spec
from tests.unit.report.conftest import trained

CELL, BUDGET = "mnist/vgg16", "quick"
PARAMS = shipped_params()
KEY = PARAMS.find(CELL)[0]


@pytest.fixture(scope="module")
def spec() -> Spec:
    return made_spec(PARAMS, BUDGET, KEY)


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Writes a run folder whose record differs from the one that was asked for in some fields."""

    def written(**changed: Any) -> Path:
        run, history = trained(PARAMS, BUDGET, KEY, 0)
        (tmp_path / "weights.safetensors").write_bytes(b"weights")
        (tmp_path / "history.json").write_text(json_text([epoch.model_dump(mode="json") for epoch in history]))
        hashes = RunHashes.model_validate(
            {"weights.safetensors": sha256(b"weights").hexdigest(), "history.json": run.sha256.history}
        )
        fields = {name: getattr(run, name) for name in type(run).model_fields if name not in ("version", "binding")}
        TrainingRun.bound(**fields | {"sha256": hashes} | changed).write(tmp_path / "run.json")
        return tmp_path

    return written


def test_the_run_that_was_asked_for(write: Callable[..., Path], spec: Spec) -> None:
    assert checked_run(write(), spec, 0).cell == CELL


@pytest.mark.parametrize("changed", [{"cell": "mnist/vgg11"}, {"budget": "paper"}])
def test_another_run_is_refused(write: Callable[..., Path], spec: Spec, changed: dict[str, Any]) -> None:
    with pytest.raises(CorruptFileError, match=r"run\.json: the run of .*; expected mnist/vgg16, budget quick, seed 0"):
        checked_run(write(**changed), spec, 0)


def test_another_seed_is_refused(write: Callable[..., Path], spec: Spec) -> None:
    with pytest.raises(CorruptFileError, match=r"the run of mnist/vgg16, budget quick, seed 0; expected .* seed 1"):
        checked_run(write(), spec, 1)


def test_other_settings_are_refused(write: Callable[..., Path], spec: Spec) -> None:
    config = spec.settings.model_copy(update={"epochs": spec.settings.epochs + 1}).seeded(0)
    with pytest.raises(CorruptFileError, match=r"other settings; .* \(dvc repro -f train-mnist@quick-vgg16-0\)"):
        checked_run(write(config=config), spec, 0)


def test_other_code_is_refused(write: Callable[..., Path], spec: Spec) -> None:
    code = spec.code.model_copy(update={"train": "0" * 64})
    with pytest.raises(CorruptFileError, match=r"other code; .* \(dvc repro -f train-mnist@quick-vgg16-0\)"):
        checked_run(write(), spec.model_copy(update={"code": code}), 0)


def test_other_weights_are_refused(write: Callable[..., Path], spec: Spec) -> None:
    folder = write()
    (folder / "weights.safetensors").write_bytes(b"others")
    with pytest.raises(CorruptFileError, match=r"weights\.safetensors: sha256 .* as run\.json says"):
        checked_run(folder, spec, 0)
    (folder / "weights.safetensors").unlink()
    with pytest.raises(MissingFileError, match=r"weights\.safetensors is missing.*train-mnist@quick-vgg16-0"):
        checked_run(folder, spec, 0)
    (folder / "run.json").unlink()
    with pytest.raises(MissingFileError, match=r"run\.json is missing.*dvc repro, stage train of mnist/vgg16"):
        checked_run(folder, spec, 0)


def test_arrays_that_the_run_was_not_trained_on_are_refused() -> None:
    """Other statistics than the training's would standardise the test images otherwise."""
    run, _ = trained(PARAMS, BUDGET, KEY, 0)
    check_trained_on(run.data, run, Path("dataset.json"))
    other = run.data.model_copy(update={"mean": [0.125]})
    said = rf"dataset\.json: mean \[0\.125\]; expected \[.*\], as its run has it \(dvc repro -f {run.stage}\)"
    with pytest.raises(CorruptFileError, match=said):
        check_trained_on(other, run, Path("dataset.json"))


def test_another_data_set_is_refused_before_the_training(spec: Spec) -> None:
    run, _ = trained(PARAMS, BUDGET, PARAMS.find("cifar10/vgg16")[0], 0)
    with pytest.raises(CorruptFileError, match=r"d\.json: dataset cifar10; expected mnist, as the cell has it"):
        spec.check_data(run.data, Path("d.json"))
