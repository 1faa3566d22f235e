"""The level that committed files alone give a number, and where it is shown."""

import json

import numpy as np
import pytest

from stages.config.cells import CellKey
from stages.records.evaluation import Evaluation, logits_path
from stages.report.levels import committed_level
from tests.unit.report.conftest import Project, npy

KEY = CellKey("cells", "mnist", "vgg16")


def level(project: Project) -> str:
    return committed_level(Evaluation.read(project.path(str(KEY)), "evaluate"))


def test_a_number_whose_logits_and_labels_give_it_is_recounted(project: Project) -> None:
    project.put(KEY, 0, "quick")
    assert level(project) == "recounted"
    logits = logits_path(project.path(str(KEY)))
    honest = logits.read_bytes()
    logits.write_bytes(npy(np.load(logits) + 1))  # the same predictions, other bytes than the record has
    assert level(project) == "consistent"
    logits.unlink()
    assert level(project) == "consistent"
    logits.write_bytes(honest)
    (project.folder / "data/labels/mnist.npy").unlink()
    assert level(project) == "consistent"


def test_labels_that_are_not_the_true_ones_recount_nothing(project: Project) -> None:
    project.put(KEY, 0, "quick")
    labels = project.read(str(KEY))["labels"]
    project.change(str(KEY), labels=labels[1:] + labels[0])
    assert level(project) == "consistent"


@pytest.mark.parametrize("name", ["ledger.json", "ledger.csv", "index.html"])
def test_the_level_is_in_ledger_and_book(finished: Project, name: str) -> None:
    if name == "ledger.json":
        numbers = json.loads(finished.text(name))["numbers"]
        assert {seed["level"] for number in numbers for seed in number["seeds"]} == {"recounted"}
    elif name == "ledger.csv":
        head, *lines = (line.split(",") for line in finished.text(name).splitlines())
        assert "level" in head
        assert all("recounted" in line for line in lines)
    else:
        assert "<h3>Level: recounted. To have it checked:</h3>" in finished.text(name)
        assert "; recounted: counted again from committed predictions" in finished.text(name)
