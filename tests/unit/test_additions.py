"""A user's own row, cell, study and seeds, as docs/changing.md has them: allowed, and nothing that fails a test."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from stages.config.params import load_params
from stages.config.reading import read_yaml
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
