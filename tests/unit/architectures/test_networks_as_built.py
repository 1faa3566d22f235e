"""Tables and drawings of the networks: they count what the engine counts, and the committed ones are today's."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import TextToPath

from stages.architectures.build import built_networks
from stages.architectures.describe import blocks, layers
from stages.architectures.groups import groups_of_cells
from stages.architectures.pages import _place, architecture_files
from stages.architectures.trace import Call, trace
from stages.config.loading import load_params
from stages.core.errors import StageError
from stages.records.architecture import Block, Networks
from tests.shipped import shipped_params
from tests.unit.engine.settings import FAMILIES, cell_of

ROOT = Path(__file__).parents[3]
SVG = "{http://www.w3.org/2000/svg}"
DATA = {"channels": 3, "classes": list("0123456789")}


@pytest.fixture(scope="module")
def files() -> Mapping[str, str]:
    return architecture_files(built_networks(shipped_params(), "quick"))


def built(family: str) -> tuple[Any, Call]:
    import torch

    from stages.engine.network import network_of

    with torch.device("meta"):
        model = network_of(cell_of(family), DATA)
    return model, trace(model, 3, 32)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_layers_add_up_to_what_the_engine_counts(family: str) -> None:
    from stages.engine.network import multiply_adds, parameter_count

    model, root = built(family)
    lines = layers(root)
    by_layer = {line.name: line.parameters for line in lines}
    assert sum(by_layer.values()) == parameter_count(model)
    assert sum(line.multiply_adds for line in lines if not line.training_only) == multiply_adds(model, 3, 32)
    assert sum(box.parameters for box in blocks(root)) == parameter_count(model)
    assert sum(box.multiply_adds for box in blocks(root)) == multiply_adds(model, 3, 32)
    assert lines[-1].output_shape == "10"
    assert model.training


def test_a_batch_norm_of_other_channels_than_its_input_is_refused_and_left_as_it_was() -> None:
    import torch
    from torch import nn

    with torch.device("meta"):
        model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(16))
    with pytest.raises(StageError, match=r"^1: a batch norm of 16 channels, whose input has 8$"):
        trace(model, 3, 32)
    assert "forward" not in vars(model[1])


def test_heads_that_only_training_runs_are_marked() -> None:
    _, root = built("googlenet")
    assert {box.title for box in blocks(root) if box.training_only} == {"aux1: AuxiliaryHead", "aux2: AuxiliaryHead"}
    inception = next(box for box in blocks(root) if box.title == "inception3a: Inception")
    assert inception.layers[1] == "branch2: conv 1x1, 96 > conv 3x3, 128"


def test_a_drawing_has_every_box_inside_the_picture(files: Mapping[str, str]) -> None:
    drawings = {name: ElementTree.fromstring(text) for name, text in files.items() if name.endswith(".svg")}  # noqa: S314
    assert len(drawings) == 16
    for drawing in drawings.values():
        width, height = (int(drawing.attrib[name]) for name in ("width", "height"))
        found = [rect.attrib for rect in drawing if rect.tag.endswith("rect") and "x" in rect.attrib]
        assert found
        for box in ({key: int(rect[key]) for key in ("x", "y", "width", "height")} for rect in found):
            assert box["x"] + box["width"] <= width
            assert box["y"] + box["height"] <= height


def text_width(text: str, size: float) -> float:
    """Pixels that a text takes in the typeface of the drawings, by its own table of widths."""
    typeface = FontProperties(family="DejaVu Sans Mono", size=size)
    return float(TextToPath().get_text_width_height_descent(text, typeface, ismath=False)[0])


def check_texts(svg: str) -> None:
    """Every text is within the drawing, and every line of a box within the box."""
    drawing, lines = ElementTree.fromstring(svg), 0  # noqa: S314
    size, box = float(drawing.attrib["font-size"]), dict.fromkeys(("x", "y", "width", "height"), 0.0)
    for part in drawing:
        if part.tag == f"{SVG}rect" and "x" in part.attrib:
            box = {key: float(part.attrib[key]) for key in box}
        elif part.tag == f"{SVG}text" and "x" in part.attrib:
            width = text_width(part.text or "", float(part.attrib.get("font-size", size)))
            assert float(part.attrib["x"]) + width < float(drawing.attrib["width"]), part.text
        elif part.tag == f"{SVG}text":
            y = float(part.attrib["y"])
            for line in part:
                x, y = float(line.attrib["x"]), y + float(line.attrib["dy"])
                assert box["x"] < x < x + text_width(line.text or "", size) < box["x"] + box["width"], line.text
                assert box["y"] < y - size < y < box["y"] + box["height"], line.text
                lines += 1
    assert lines > 20


def test_no_text_runs_out_of_its_box(files: Mapping[str, str]) -> None:
    """Of every network in params.yaml; those beside the paper's are drawn on CIFAR10 alone."""
    drawings = {name: text for name, text in files.items() if name.endswith(".svg")}
    params = load_params(ROOT / "params.yaml")
    others = [one for one in groups_of_cells(params, "quick") if one.name.startswith("cifar10")]
    cells = [one.cells[0] for one in others if f"{one.name}.svg" not in drawings]
    for name, text in architecture_files(built_networks(params, "quick", cells)).items():
        if name.endswith(".svg"):
            drawings[name] = text
    for svg in drawings.values():
        check_texts(svg)


def test_a_line_too_long_for_its_box_is_broken_between_layers_or_within_a_word() -> None:
    branch = "2: conv 1x1, 192 > conv 7x1, 192 > conv 1x7, 224"
    block = Block(title="name" * 20, layers=[branch], output_shape="1 x 1", parameters=10**12, multiply_adds=10**18)
    (placed,), _, _ = _place([block])
    assert placed.layers == ["2: conv 1x1, 192 > conv 7x1, 192", "\N{NO-BREAK SPACE}\N{NO-BREAK SPACE}> conv 1x7, 224"]
    assert "".join(placed.title).replace("\N{NO-BREAK SPACE}", "") == "name" * 20
    assert max(map(len, placed.title)) <= 40


def read(file: Path) -> list[str]:
    return without_cells(file.read_text(encoding="utf-8"))


def without_cells(text: str) -> list[str]:
    """A page less the line that lists the cells: a user's own may build a shipped network."""
    return [line for line in text.splitlines() if "Cells at budget" not in line]


def test_the_committed_pages_are_those_of_todays_networks(files: Mapping[str, str]) -> None:
    """Where this fails: dvc repro architectures@quick, and the same for paper."""
    folder, lists = ROOT / "reports/quick/architectures", {"index.md", "networks.json"}  # of a user's own networks too
    assert lists < files.keys() <= {path.name for path in folder.iterdir()}
    assert [name for name in files.keys() - lists if read(folder / name) != without_cells(files[name])] == []
    for budget in ("quick", "paper"):
        folder = ROOT / "reports" / budget / "architectures"
        found = Networks.read(folder / "networks.json", "stage architectures").networks
        cells = {cell: one.cells for one in found for cell in one.cells}
        assert all(set(one.cells) <= set(cells[one.cells[0]]) for one in groups_of_cells(shipped_params(), budget))
        index = (folder / "index.md").read_text(encoding="utf-8")
        assert re.findall(r"\]\(([^)]+)\.md\)", index) == [one.name for one in found]
        pages = {f"{one.name}{end}" for one in found for end in (".md", ".svg")}
        assert {path.name for path in folder.iterdir()} == pages | lists
