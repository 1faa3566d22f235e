"""The run record is read only with the cell, the settings and the weights that were asked for."""

import json
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from stages.config.params import load_params
from stages.core.errors import CorruptFileError, MissingFileError
from stages.evaluate.trained import checked_record

CELL, BUDGET = "mnist/vgg16", "quick"
RUN = load_params(Path(__file__).resolve().parents[3] / "params.yaml").run(CELL, BUDGET, 0)


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    def written(**changed: Any) -> Path:
        (tmp_path / "weights.safetensors").write_bytes(b"weights")
        record = {"cell": CELL, "budget": BUDGET, "seed": 0, "stage": "train-mnist@quick-vgg16-0"}
        record |= {"config": RUN.model_dump(), "sha256": {"weights.safetensors": sha256(b"weights").hexdigest()}}
        (tmp_path / "run.json").write_text(json.dumps(record | changed))
        return tmp_path

    return written


def test_the_run_that_was_asked_for(write: Callable[..., Path]) -> None:
    assert checked_record(write(), CELL, BUDGET, RUN)["cell"] == CELL


@pytest.mark.parametrize("changed", [{"cell": "mnist/vgg11"}, {"budget": "paper"}, {"seed": 1}])
def test_another_run_is_refused(write: Callable[..., Path], changed: dict[str, Any]) -> None:
    with pytest.raises(CorruptFileError, match=r"run\.json: the run of .*; expected mnist/vgg16, budget quick, seed 0"):
        checked_record(write(**changed), CELL, BUDGET, RUN)


def test_other_settings_are_refused(write: Callable[..., Path]) -> None:
    config = RUN.model_dump() | {"epochs": RUN.epochs + 1}
    with pytest.raises(CorruptFileError, match=r"other settings; .* \(dvc repro -f train-mnist@quick-vgg16-0\)"):
        checked_record(write(config=config), CELL, BUDGET, RUN)


def test_other_weights_are_refused(write: Callable[..., Path]) -> None:
    folder = write()
    (folder / "weights.safetensors").write_bytes(b"others")
    with pytest.raises(CorruptFileError, match=r"weights\.safetensors: sha256 .* as run\.json says"):
        checked_record(folder, CELL, BUDGET, RUN)
    (folder / "weights.safetensors").unlink()
    with pytest.raises(MissingFileError, match=r"weights\.safetensors is missing.*train-mnist@quick-vgg16-0"):
        checked_record(folder, CELL, BUDGET, RUN)
    (folder / "run.json").unlink()
    with pytest.raises(MissingFileError, match=r"run\.json is missing.*dvc repro, stage train of mnist/vgg16"):
        checked_record(folder, CELL, BUDGET, RUN)
