"""The networks as they are built in the book: read from stage `architectures`, or refused in one line."""

from pathlib import Path

import pytest

from stages.book.networks import read_networks
from stages.core.errors import CorruptFileError, MissingFileError
from stages.records.architecture import Networks

ROOT = Path(__file__).parents[3]
NETWORK = {
    "name": "mnist-a",
    "title": "t",
    "input": "1 x 2 x 2",
    "cells": ["mnist/a"],
    "parameters": 6,
    "multiply_adds": 5,
    "layers": [
        {
            "name": "fc",
            "type": "linear 1",
            "output_shape": "1",
            "parameters": 6,
            "multiply_adds": 5,
            "training_only": False,
        }
    ],
    "blocks": [
        {
            "title": "fc",
            "layers": ["linear 1"],
            "output_shape": "1",
            "parameters": 6,
            "multiply_adds": 5,
            "training_only": False,
        }
    ],
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Networks.model_validate({"budget": "quick", "networks": [NETWORK]}).write("networks.json")
    (tmp_path / "mnist-a.svg").write_text("<svg/>")
    return tmp_path


def test_a_page_has_layers_and_drawing(folder: Path) -> None:
    (page,) = read_networks(folder, "quick")
    assert (page.network.cells, [layer.name for layer in page.network.layers]) == (["mnist/a"], ["fc"])
    assert page.drawing == "PHN2Zy8+"
    assert read_networks(folder / "none", "quick") == read_networks(None, "quick") == []


def test_what_is_not_there_or_not_whole_is_one_line(folder: Path) -> None:
    (folder / "networks.json").write_text((folder / "networks.json").read_text().replace('"type": "linear 1",', ""))
    with pytest.raises(CorruptFileError, match=r"networks.json: no networks.0.layers.0.type"):
        read_networks(folder, "quick")
    Networks.model_validate({"budget": "quick", "networks": [NETWORK]}).write(folder / "networks.json")
    (folder / "mnist-a.svg").unlink()
    with pytest.raises(MissingFileError, match=r"mnist-a.svg is missing; it is made by: dvc repro architectures@quick"):
        read_networks(folder, "quick")
    (folder / "networks.json").write_text('{"budget": "quick"}')
    with pytest.raises(CorruptFileError, match=r"networks.json: no networks"):
        read_networks(folder, "quick")


@pytest.mark.parametrize("budget", ["quick", "paper"])
def test_the_committed_networks_are_read(budget: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    pages = read_networks(Path("reports", budget, "architectures"), budget)
    cells = [cell for page in pages for cell in page.network.cells]
    assert len(cells) == len(set(cells)) > 30
    for page in pages:  # no layer is lost on the way, but those that run in training alone are in no sum
        layers = {layer.name: layer.parameters for layer in page.network.layers}
        assert sum(layers.values()) == page.network.parameters
