"""What a cell is: network, optimizer, inputs and its own settings; an alternative is its base but for what it says."""

from typing import Any

import pytest

from stages.config.cells import GROUPS, CellKey, changed_settings, is_one_change
from stages.config.params import Params, Training, resolve_count
from stages.config.schema import DATASETS
from stages.core.errors import ParamError
from stages.engine.networks import families
from tests.unit.config.conftest import Edited


def settings(file: Edited, cell: str) -> dict[str, Any]:
    return file.load().find(cell)[1].model_dump()


def add(file: Edited, name: str, **alternative: Any) -> None:
    file["alternatives.mnist"][name] = alternative


# The later win


def test_a_cell_is_network_optimizer_inputs_and_its_own(file: Edited) -> None:
    assert settings(file, "cifar10/googlenet-augmented") == {
        **file["networks.googlenet"],
        **file["optimizers.sgd-momentum"],
        **file["inputs.cifar10.default"],
        **file["inputs.cifar10.googlenet"],
        "lr": 0.01,
        "augment": "append",
    }


def test_each_layer_wins_over_the_one_before_it(file: Edited) -> None:
    for place, value in (
        ("networks.resnet18", "pytorch"),
        ("inputs.mnist.default", "xavier"),
        ("inputs.mnist.resnet", "torchvision"),
        ("cells.mnist.resnet18", "pytorch"),
    ):
        file.data["inputs"]["mnist"].setdefault("resnet", {})
        file[place]["init"] = value
        assert settings(file, "mnist/resnet18")["init"] == value


def test_the_order_of_the_file_is_that_of_the_cells(file: Edited) -> None:
    names = {dataset: [*file["cells"][dataset]] for dataset in DATASETS}
    keys = file.load().cell_keys(planned=False)
    assert keys[:34] == [CellKey("cells", dataset, name) for dataset in DATASETS for name in names[dataset]]


# Alternatives


def test_an_alternative_is_its_base_but_for_what_it_says(file: Edited) -> None:
    base, other = settings(file, "cifar10/resnet18-adam"), settings(file, "cifar10/resnet18-adam-64")
    assert other == {**base, "input_size": 64}


def test_bases_form_chains_in_any_order_of_the_file(file: Edited) -> None:
    add(file, "third", base="second", lr=0.5)
    add(file, "second", base="first", dropout=0.25, epochs=4, precision="float32")
    add(file, "first", base="vgg16-adam", dropout=0.75, lr=0.25)
    assert settings(file, "mnist/third") == {**settings(file, "mnist/vgg16-adam"), "lr": 0.5, "dropout": 0.25}
    third = file.load().resolved["mnist/third"]
    assert (third.base, third.epochs, third.precision) == ("second", 4, "float32")


def test_an_alternative_may_have_no_base(file: Edited) -> None:
    add(file, "free", network="vgg11", optimizer="adam")
    assert settings(file, "mnist/free")["depth"] == 11


def test_a_change_in_a_base_reaches_its_alternatives_alone(file: Edited) -> None:
    before = {name: found.cell for name, found in file.load().resolved.items()}
    file["cells.cifar10.resnet18-adam"]["stem"] = "3x3"
    file["studies.resnet18-stem"]["alternatives"].remove("resnet18-adam-3x3-stem")
    after = {name: found.cell for name, found in file.load().resolved.items()}
    changed = {name for name in after if after[name] != before[name]}
    assert changed == {f"cifar10/resnet18-adam{end}" for end in ("", "-64", "-96", "-float32")}
    assert {after[name].model_dump()["stem"] for name in changed} == {"3x3"}


def test_what_a_base_sets_for_its_optimizer_does_not_reach_another_one(file: Edited) -> None:
    file["cells.cifar10.resnet18-lr1e-2"]["alpha"] = 0.5
    assert settings(file, "cifar10/resnet18-lr1e-2")["alpha"] == 0.5
    found = settings(file, "cifar10/resnet18-lr1e-2-sgd")
    assert "alpha" not in found
    assert (found["optimizer"], found["lr"]) == ("sgd", 0.01)


def test_what_a_base_sets_for_its_network_does_not_reach_another_one(file: Edited) -> None:
    file["cells.mnist.vgg16-adam"]["hidden_layers"] = [8]
    add(file, "other", base="vgg16-adam", network="resnet18")
    assert settings(file, "mnist/other") == {**settings(file, "mnist/resnet18-adam")}


def test_what_an_alternative_sets_for_another_optimizer_is_refused(file: Edited) -> None:
    add(file, "other", base="vgg16-adam", momentum=0.5)
    file.refuses("params.yaml: alternatives.mnist.other.momentum: 0.5 is not allowed; allowed: one of the keys ")


def test_a_circle_of_bases_is_refused(file: Edited) -> None:
    add(file, "one", base="two")
    add(file, "two", base="one")
    file.refuses("params.yaml: alternatives.mnist.two.base: 'one' is not allowed; allowed: one of vgg16, ")
    add(file, "one", base="one")
    file.refuses("params.yaml: alternatives.mnist.one.base: 'one' is not allowed; allowed: one of vgg16, ")


@pytest.mark.parametrize("bad", ["vgg15", "googlenet-sgd", None, 7, ["vgg16"], {"a": 1}])
def test_a_base_of_the_same_data_set_is_needed(file: Edited, bad: Any) -> None:
    add(file, "other", base=bad)
    file.refuses(f"params.yaml: alternatives.mnist.other.base: {bad!r} is not allowed; allowed: one of vgg16, ")


def test_a_table_s_cell_has_no_base(file: Edited) -> None:
    file["cells.mnist.vgg11"]["base"] = "vgg16"
    file.refuses("params.yaml: cells.mnist.vgg11.base: 'vgg16' is not allowed; allowed: no base for a table's cell")


@pytest.mark.parametrize("key", ["network", "optimizer"])
@pytest.mark.parametrize("bad", ["none-such", None, 7, ["vgg16"], {"a": 1}])
def test_references_name_what_there_is(file: Edited, key: str, bad: Any) -> None:
    file["cells.mnist.vgg16-adam"][key] = bad
    known = "vgg16, vgg11, " if key == "network" else "rmsprop, sgd, "
    file.refuses(f"params.yaml: cells.mnist.vgg16-adam.{key}: {bad!r} is not allowed; allowed: one of {known}")
    del file["cells.mnist.vgg16-adam"][key]
    file.refuses(f"params.yaml: cells.mnist.vgg16-adam.{key} is missing; allowed: one of {known}")


@pytest.mark.parametrize(
    ("section", "entry", "key"), [("networks", "vgg16", "family"), ("optimizers", "sgd", "optimizer")]
)
@pytest.mark.parametrize("bad", ["none-such", None, ["vgg"], {}])
def test_networks_and_optimizers_name_their_kind(file: Edited, section: str, entry: str, key: str, bad: Any) -> None:
    file[section][entry][key] = bad
    file.refuses(f"params.yaml: {section}.{entry}.{key}: {bad!r} is not allowed; allowed: one of ")


# Places of mistakes


@pytest.mark.parametrize("place", ["networks.resnet18", "inputs.mnist.default", "inputs.mnist.resnet"])
def test_a_wrong_setting_is_named_where_it_stands(file: Edited, place: str) -> None:
    file.data["inputs"]["mnist"]["resnet"] = {}
    file[place]["depth"] = 19
    file.refuses(f"params.yaml: {place}.depth: 19 is not allowed; allowed: 18")


def test_an_input_that_no_setting_is_named_where_it_stands(file: Edited) -> None:
    file["inputs.cifar10.vgg"]["stem"] = "3x3"
    file.refuses("params.yaml: inputs.cifar10.vgg.stem: '3x3' is not allowed; allowed: one of the keys ", "depth")


def test_a_missing_input_is_named_with_a_cell_that_needs_it(file: Edited) -> None:
    del file["inputs.mnist.default"]["augment"]
    file.refuses("params.yaml: cells.mnist.vgg16.augment is missing")


@pytest.mark.parametrize("section", ["inputs.mnist", "budgets.paper.train.mnist"])
def test_families_are_named_in_inputs_and_budgets(file: Edited, section: str) -> None:
    file[section]["mlp"] = {}
    known = ", ".join(["default", *families()])
    file.refuses(f"params.yaml: {section}.mlp: 'mlp' is not allowed; allowed: one of {known}")


@pytest.mark.parametrize("place", ["inputs.mnist.default", "inputs.mnist.vgg", "cells.mnist.vgg16"])
@pytest.mark.parametrize("value", ["vgg", "resnet", ["vgg"], None])
def test_a_family_is_a_network_s(file: Edited, place: str, value: Any) -> None:
    file[place]["family"] = value
    file.refuses(f"params.yaml: {place}.family: {value!r} is not allowed; allowed: no such key here; a cell's network")


def test_an_optimizer_is_a_cell_s(file: Edited) -> None:
    file["inputs.mnist.vgg"]["optimizer"] = "sgd"
    file.refuses("params.yaml: inputs.mnist.vgg.optimizer: 'sgd' is not allowed; allowed: no such key here; a cell's")


# Epochs and precision


def test_an_alternative_trains_for_its_epochs_and_no_more_than_its_budget(file: Edited) -> None:
    params = file.load()
    assert params.settings("cifar10/resnet18-adam", "paper").epochs == 10
    assert params.settings("cifar10/resnet18-adam-64", "paper").epochs == 3
    assert params.settings("cifar10/resnet18-adam-64", "quick").epochs == 2


def test_an_alternative_has_its_precision_whatever_the_budget(file: Edited) -> None:
    params = file.load()
    for budget, of_budget in (("quick", "auto"), ("paper", "bfloat16")):
        assert params.settings("mnist/resnet18-adam", budget).precision == of_budget
        assert params.settings("mnist/resnet18-adam-float32", budget).precision == "float32"


WRONG: dict[str, list[Any]] = {
    "epochs": [0, -1, 10001, 1.5, True, "3", None, []],
    "precision": ["float16", 32, None, True, [], {}],
}


@pytest.mark.parametrize(("key", "bad"), [(key, bad) for key, values in WRONG.items() for bad in values])
def test_wrong_epochs_and_precision_are_refused_where_they_stand(file: Edited, key: str, bad: Any) -> None:
    add(file, "child", base="parent")
    add(file, "parent", **{"base": "vgg16-adam", key: bad})
    file.refuses(f"params.yaml: alternatives.mnist.parent.{key}: ", " is not allowed; allowed: ")


@pytest.mark.parametrize(("key", "value"), [("epochs", 3), ("precision", "float32")])
def test_a_table_s_cell_takes_both_from_its_budget(file: Edited, key: str, value: Any) -> None:
    file["cells.mnist.vgg11"][key] = value
    file.refuses(f"params.yaml: cells.mnist.vgg11.{key}: {value!r} is not allowed; allowed: no such key in a table's")


# One change


def test_one_change_is_one_setting_or_several_of_one_group() -> None:
    assert not is_one_change([])
    assert is_one_change(["dropout"])
    for group in GROUPS:
        assert is_one_change(group)
        assert not is_one_change([*group, "dropout"])
    assert is_one_change(["optimizer", "lr", "momentum", "alpha", "eps"])
    assert not is_one_change(["lr", "stem"])
    assert not is_one_change(["init", "stem"])


def test_changed_settings_are_those_of_either_cell(params: Params) -> None:
    vgg, resnet = (params.find(f"mnist/{name}")[1].model_dump() for name in ("vgg16", "resnet18-sgd"))
    assert changed_settings(vgg, vgg) == []
    of_optimizers, of_networks = ["alpha", "eps", "momentum", "optimizer"], ["batch_norm", "dropout", "hidden_layers"]
    assert changed_settings(vgg, resnet) == sorted(
        ["batch_size", "depth", "family", "stem", *of_optimizers, *of_networks]
    )


# Plans


def test_planned_trainings_are_tables_studies_and_further_seeds(file: Edited) -> None:
    file.data["seeds"] = [1, 0]
    file.data["study_cells"] = {"mnist": ["resnet18-adam-float32"], "cifar10": []}
    file.data["more_seeds"]["mnist"] = {"cells": ["resnet18", "resnet18-adam-float32"], "seeds": [7]}
    params = file.load()
    table, study = params.find("mnist/resnet18")[0], params.find("mnist/resnet18-adam-float32")[0]
    trainings = params.trainings()
    assert len(trainings) == len(set(trainings)) == 35 * 2 + 2
    assert trainings[0] == Training(CellKey("cells", "mnist", "vgg16"), 1, "tables")
    assert [training for training in trainings if training.key == study] == [
        Training(study, 1, "study"),
        Training(study, 0, "study"),
        Training(study, 7, "more"),
    ]
    assert params.seeds_of(table) == params.seeds_of(study) == [0, 1, 7]
    assert params.seeds_of(params.find("mnist/vgg16-adam-64")[0]) == []
    for training in trainings:
        name = params.stage("train", training.key, "quick", training.seed)
        assert name == training.stage("train", "quick")
    assert params.stage("train", table, "paper", 0) == "train-mnist@paper-resnet18-0"
    assert params.stage("evaluate", table, "paper", 7) == "evaluate-more-mnist@paper-resnet18-7"
    assert params.stage("evaluate", study, "quick", 0) == "evaluate-study-mnist@quick-resnet18-adam-float32-0"


def test_a_run_is_the_settings_with_a_seed(params: Params) -> None:
    run = params.run("mnist/vgg16", "paper", 3)
    assert run.model_dump() == {**params.settings("mnist/vgg16", "paper").model_dump(), "seed": 3}


def test_all_is_the_whole_split() -> None:
    assert (resolve_count("all", 7), resolve_count(3, 7)) == (7, 3)


def test_unknown_names_are_answered_with_the_known_ones(params: Params) -> None:
    with pytest.raises(
        ParamError, match=r"^cell: 'mnist/vgg17' is not allowed; allowed: one of mnist/vgg16, .*cifar10"
    ):
        params.find("mnist/vgg17")
    with pytest.raises(ParamError, match=r"^budget: 'free' is not allowed; allowed: one of quick, paper"):
        params.run("mnist/vgg16", "free", 0)
