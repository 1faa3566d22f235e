"""A user's own row, cell, study, seeds and family, as docs/changing.md has them: allowed, and nothing fails a test."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from stages.config.loading import load_params
from stages.config.reading import read_yaml
from stages.config.settings import OPTIMIZERS
from tests.shipped import ROOT, shipped, without_additions


def documented(pattern: str, folder: Path) -> Any:
    """A piece of YAML that docs/changing.md prints."""
    text = " ".join((ROOT / "docs/changing.md").read_text(encoding="utf-8").split())
    (found,) = re.findall(pattern, text)
    (folder / "piece.yaml").write_text(found, encoding="utf-8")
    return read_yaml(folder / "piece.yaml")


@pytest.fixture
def added(tmp_path: Path) -> dict[str, Any]:
    """The shipped file with a user's additions, which rest on each other."""
    data = shipped()
    cell = documented(r"`(vgg16-lr5e-3: \{[^}]*\})`", tmp_path)
    data["cells"]["cifar10"] |= cell
    data["tables"]["IV"]["rows"] += documented(r"`(- \{row: VGG16 with lr=0.005[^}]*\})`", tmp_path)
    (mine,) = cell
    data["alternatives"]["cifar10"]["on-mine"] = {"base": mine, "dropout": 0.25}
    data["tables"]["IV"]["rows"][-1]["as_logged"] = "on-mine"
    data["alternatives"]["cifar10"]["beside"] = {"base": "vgg16-lr1e-2", "dropout": 0.25}
    data["studies"]["mine"] = data["studies"]["vgg16-lr1e-2-optimizer"] | {"alternatives": ["beside"]}
    data |= {"budget": "paper", "seeds": [0, 1, 2], "study_cells": {"mnist": [], "cifar10": ["beside", "on-mine"]}}
    data["more_seeds"]["cifar10"] = {"cells": [mine, "resnet18-adam"], "seeds": [7]}
    return data


def test_additions_are_allowed_and_planned(added: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text(json.dumps(added))
    params = load_params(tmp_path / "params.yaml")
    planned = {(str(training.key), training.seed) for training in params.trainings()}
    assert {(f"cifar10/{cell}", seed) for cell in ("vgg16-lr5e-3", "beside", "on-mine") for seed in (0, 1, 2)} < planned
    assert ("cifar10/vgg16-lr5e-3", 7) in planned
    assert len(planned) == 3 * (34 + 3) + 2


def test_tests_do_without_additions(added: dict[str, Any]) -> None:
    assert without_additions(added) == shipped()


# A family, in a clone of its own


@pytest.fixture
def clone(tmp_path: Path, forked: str) -> Path:
    """The sources without LeNet-5, the shipped params.yaml, which has none either, and its specs."""
    ignored = shutil.ignore_patterns("__pycache__", "lenet.py")
    shutil.copytree(ROOT / "stages", tmp_path / "stages", ignore=ignored)
    (tmp_path / "params.yaml").write_text(json.dumps(shipped()))
    resolved(tmp_path, forked)
    return tmp_path


def in_clone(clone: Path, *command: str) -> str:
    done = subprocess.run(command, cwd=clone, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def resolved(clone: Path, forked: str) -> str:
    return in_clone(clone, forked, "-m", "stages.resolve", "--out", "specs").strip()


def add_as_documented(clone: Path) -> None:
    """What docs/changing.md says of LeNet-5: its module, its entry, a cell and a table."""
    shutil.copy(ROOT / "stages/engine/networks/lenet.py", clone / "stages/engine/networks")
    text = (ROOT / "docs/changing.md").read_text(encoding="utf-8").split("## Another family")[1]
    (clone / "piece.yaml").write_text(text.split("```yaml\n")[1].split("```")[0])
    raw = json.loads((clone / "params.yaml").read_text())
    for section, added in read_yaml(clone / "piece.yaml").items():
        for name, entry in added.items():
            raw[section][name] = raw[section][name] | entry if section == "cells" else entry
    (clone / "params.yaml").write_text(json.dumps(raw))


# The estimate of a cell without any rate, and a training and test of noise.
TRAINED = """
import sys
from pathlib import Path
import numpy as np
import torch
from stages.config.loading import load_params
from stages.config.settings import Run
from stages.engine.images import Labelled, Standardise
from stages.engine.loop import Trainer, train
from stages.engine.numerics import set_up
from stages.engine.prediction import predict
from stages.engine.splits import Splits
from stages.records.eta import Eta

params = load_params()
training = next(one for one in params.trainings() if one.key.name == "lenet5-adam")
eta = Eta(params, "quick")
assert eta.weight(training) > 0 and eta.seconds(training) is None
small = {"images": 40, "validation_images": 8, "sample_images": 8, "epochs": 1, "precision": "float32"}
run = Run.model_validate(params.run(str(training.key), "quick", 0).model_dump() | small)
noise = np.random.default_rng(0)
images = Labelled(torch.from_numpy(noise.integers(0, 256, (40, 1, 28, 28), np.uint8)), torch.arange(40) % 10)
numerics = set_up("float32", 1, "cpu")
model = run.cell.build(channels=1, classes=10, input_size=run.cell.input_size)
trainer = Trainer(model, run, Standardise.of({"mean": [0.5], "std": [0.3]}, 32, numerics), numerics)
epochs = []
outcome = train(trainer, Splits(images, images.first(8), images.first(8)), [], epochs.append, lambda images: None)
print(training.stage("train", "quick"), outcome, len(epochs), params.shown_tables[-1])
"""


def test_a_family_is_a_module_and_an_entry_and_stales_no_other_cell(clone: Path, forked: str) -> None:
    every = {path: path.read_bytes() for path in (clone / "specs").rglob("*.json")}
    add_as_documented(clone)
    assert (
        resolved(clone, forked) == f"resolve@quick: {len(every) + 1} specs (rows and alternatives), 1 of them changed"
    )
    assert {path: path.read_bytes() for path in every} == every
    (added,) = set((clone / "specs").rglob("*.json")) - every.keys()
    spec = json.loads(added.read_text())
    assert (spec["cell"], spec["settings"]["cell"]["family"]) == ("mnist/lenet5-adam", "lenet")
    assert "stages/engine/networks/lenet.py" in spec["modules"]["train"]
    said = in_clone(clone, forked, "-c", TRAINED).splitlines()[-1]
    assert said == "train-mnist@quick-lenet5-adam-0 finished 1 S2"


def test_the_shipped_file_takes_the_documented_lines_too(tmp_path: Path) -> None:
    """With LeNet-5 in it already."""
    shutil.copytree(ROOT / "stages/engine/networks", tmp_path / "stages/engine/networks")
    (tmp_path / "params.yaml").write_text(json.dumps(read_yaml(ROOT / "params.yaml")))
    add_as_documented(tmp_path)
    assert "mnist/lenet5-adam" in load_params(tmp_path / "params.yaml").resolved


def test_the_networks_of_section_two_stand_in_table_s1() -> None:
    """As the file ships: both parts have the same rows, one optimizer and as many epochs, and none runs by itself."""
    params = load_params(ROOT / "params.yaml")
    parts = [params.tables[number] for number in ("S1a", "S1b")]
    assert [table.dataset for table in parts] == ["mnist", "cifar10"]
    assert [row.row for row in parts[0].rows] == [row.row for row in parts[1].rows]
    for table in parts:
        settings = [params.settings(f"{table.dataset}/{row.cell}", "paper") for row in table.rows]
        assert len({one.cell.family for one in settings}) == 7
        assert {one.epochs for one in settings} == {10}
        of_optimizer = [OPTIMIZERS["sgd"].model_fields.keys() & one.cell.model_dump().keys() for one in settings]
        assert len({tuple(getattr(one.cell, name) for name in sorted(of_optimizer[0])) for one in settings}) == 1
    assert not {row.cell for table in parts for row in table.rows} & {*params.cells.mnist, *params.cells.cifar10}
