"""The picture of the printed curves and ours: which logs and which alternative it shows, and that it is whole."""

from io import BytesIO
from typing import Any

import numpy as np
import pytest
from PIL import Image

from stages.report.gallery import _printed, gallery
from stages.report.printed_curves import NAME, Panel, printed_panels

STEM, INPUT, FLOAT32 = "resnet18-adam-3x3-stem", "resnet18-adam-64", "resnet18-adam-float32"


def plan(project: Any, *cells: str, budget: str = "quick") -> Any:
    def choose(raw: dict[str, Any]) -> None:
        raw["study_cells"]["cifar10"] = list(cells)
        raw["budget"] = budget
        raw["budgets"]["quick"]["train"]["cifar10"]["resnet"] = {"overrides": {}}  # 64 and 32 stay apart

    project.edit(choose)
    return project.fill()


def the_panel(project: Any, log: str = "17") -> Panel:
    (panel,) = (panel for panel in printed_panels(project.evidence()) if panel.log == log)
    return panel


def follow(project: Any, cell: str) -> None:
    """Let a cell's validation curve be the printed one of Fig. 17, to the nearest of the validation images."""
    history = project.read(cell)["history"]
    for epoch, printed in zip(history, [65.60, 73.76], strict=True):
        epoch["validation_accuracy"] = printed / 100
    project.change(cell, history=history)


def test_a_panel_for_each_log_that_a_study_is_held_against(filled: Any) -> None:
    panels = printed_panels(filled.evidence())
    assert [(panel.log, panel.table, panel.row) for panel in panels] == [
        ("9", "IV", "VGG16 with ADAM"), ("13", "VI", "GoogLeNet with SGD"), ("15", "II", "ResNet18 with Adam"),
        ("17", "V", "ResNet18 with Adam"),
    ]  # fmt: skip
    assert the_panel(filled).printed[:2] == [65.60, 73.76]
    assert the_panel(filled).base.key.name == "resnet18-adam"
    assert the_panel(filled).alternative is None


@pytest.mark.parametrize("cell", [STEM, INPUT])
def test_the_alternative_that_follows_the_printed_curve_is_shown(project: Any, cell: str) -> None:
    plan(project, STEM, INPUT)
    follow(project, f"cifar10/{cell}")
    panel = the_panel(project)
    assert panel.alternative
    assert panel.alternative.key.name == cell
    assert panel.differs == {STEM: "stem 3x3 instead of 7x7", INPUT: "input_size 64 instead of 32"}[cell]


def test_another_number_format_is_no_other_setting(project: Any) -> None:
    plan(project, FLOAT32)
    follow(project, f"cifar10/{FLOAT32}")
    assert the_panel(project).alternative is None


def test_a_log_without_a_result_has_no_panel_and_no_log_no_picture(filled: Any) -> None:
    filled.keep("cifar10/resnet18-adam", "mnist/vgg16")
    assert [panel.log for panel in printed_panels(filled.evidence())] == ["17"]
    filled.keep("mnist/vgg16")
    assert NAME not in gallery(filled.evidence())


def test_the_same_bytes_again_and_nothing_cut_off(project: Any) -> None:
    evidence = plan(project, STEM).evidence()
    first, again = (_printed(evidence, "")[NAME] for _ in range(2))
    assert set(first) == {".png", ".pdf", ".svg"}
    assert first == again
    shown = np.asarray(Image.open(BytesIO(first[".png"])).convert("L"))
    for edge in (shown[0], shown[-1], shown[:, 0], shown[:, -1]):
        assert (edge == 255).all()
