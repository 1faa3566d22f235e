"""What is planned of a budget: by params.yaml where it chooses it, else by what dvc.lock has of its pages."""

import json
from pathlib import Path
from typing import Any

import pytest

from stages.core.errors import ParamError, StageError
from stages.records.planned import params_of
from tests.shipped import shipped

PAPER = {"seeds": [0, 1], "study_cells": {"mnist": [], "cifar10": ["vgg16-adam-linear-head"]}}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with params.yaml, which chooses quick, and the pages of paper in dvc.lock."""
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_text(json.dumps(shipped()))
    locked(PAPER)
    return tmp_path


def locked(switches: dict[str, Any]) -> None:
    entry = {"cmd": "python -m stages.aggregate_tables", "params": {"params.yaml": switches | {"tables": {}}}}
    Path("dvc.lock").write_text(json.dumps({"schema": "2.0", "stages": {"aggregate-tables@paper": entry}}))


@pytest.mark.parametrize("budget", [None, "quick"])
@pytest.mark.usefixtures("folder")
def test_the_chosen_budget_is_planned_by_the_switches(budget: str | None) -> None:
    assert params_of(budget).seeds == [0]
    assert params_of(budget).study_cells.cifar10 == ["resnet18-lr1e-2-sgd"]


@pytest.mark.usefixtures("folder")
def test_another_budget_is_planned_as_its_pages_were() -> None:
    params = params_of("paper")
    assert (params.budget, params.seeds) == ("quick", [0, 1])
    assert params.study_cells.cifar10 == ["vgg16-adam-linear-head"]  # which quick has no use for
    assert params.more_seeds.mnist.cells == []


@pytest.mark.usefixtures("folder")
def test_pages_that_are_older_than_a_switch_have_none_of_its_cells() -> None:
    """Else a cell that is an alternative of the pages' studies would be planned twice."""
    raw = shipped()
    rows = [{"row": "VGG16", "cell": "vgg16-adam-linear-head"}]
    raw["tables"]["S1"] = {"caption": "Ours", "dataset": "cifar10", "rows": rows}
    raw["more_cells"]["cifar10"] = ["vgg16-adam-linear-head"]
    Path("params.yaml").write_text(json.dumps(raw))
    assert params_of("quick").more_cells.cifar10 == ["vgg16-adam-linear-head"]
    assert params_of("paper").more_cells.cifar10 == []
    assert params_of("paper").study_cells.cifar10 == ["vgg16-adam-linear-head"]


@pytest.mark.usefixtures("folder")
def test_a_budget_without_pages_is_planned_by_the_switches() -> None:
    Path("dvc.lock").unlink()
    assert params_of("paper").study_cells.cifar10 == ["resnet18-lr1e-2-sgd"]


@pytest.mark.usefixtures("folder")
def test_what_is_not_there_any_more_is_refused() -> None:
    with pytest.raises(ParamError, match="budget: 'papers' is not allowed; allowed: one of quick, paper"):
        params_of("papers")
    locked({"study_cells": {"mnist": [], "cifar10": ["gone"]}})
    with pytest.raises(StageError, match=r"dvc.lock has a plan of paper that is none today: .*'gone' is not allowed"):
        params_of("paper")
