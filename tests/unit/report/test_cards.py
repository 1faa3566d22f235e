"""Model cards: metadata that a hub reads, the number with its conditions, and how to load the network."""

import io
from typing import Any

from ruamel.yaml import YAML

from stages.report.cards import card_files


def metadata(card: str) -> dict[str, Any]:
    _, front, _ = card.split("---\n", 2)
    return YAML(typ="safe").load(io.StringIO(front))


def test_every_cell_with_a_result_has_a_card(filled: Any) -> None:
    filled.remove("mnist/vgg16")
    planned = {str(key).replace("/", "-") + ".md" for key in filled.params.cell_keys()}
    assert set(card_files(filled.evidence())) == planned - {"mnist-vgg16.md"}


def test_the_metadata_are_a_model_index(filled: Any) -> None:
    card = card_files(filled.evidence())["cifar10-vgg16-adam.md"]
    found = metadata(card)
    [model] = found["model-index"]
    [result] = model["results"]
    correct = filled.read("cifar10/vgg16-adam")["correct"]
    assert model["name"] == "cifar10/vgg16-adam (quick)"
    assert result["task"]["type"] == "image-classification"
    assert result["dataset"] == {"type": "cifar10", "name": "CIFAR10", "split": "test"}
    assert result["metrics"][0] == {"type": "accuracy", "name": "test accuracy (%)", "value": correct / 10}
    assert found["license"] == "mit"


def test_a_card_says_its_conditions_its_origin_and_how_to_load_it(filled: Any) -> None:
    card = card_files(filled.evidence())["cifar10-vgg16-adam.md"]
    run = filled.read("cifar10/vgg16-adam")["run"]
    assert "**Not trained under the paper's conditions" in card
    assert 'load("cifar10/vgg16-adam", budget="quick", seed=0)' in card
    assert run["sha256"]["weights.safetensors"] in card
    assert run["provenance"]["git"]["commit"] in card
    assert "| the paper's number | 82.3 (difference " in card
    assert "\n\n\n" not in card
