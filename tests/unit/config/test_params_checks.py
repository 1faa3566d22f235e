"""What only the whole of params.yaml can tell: names exist, sizes fit, a study asks one question."""

from typing import Any

import pytest

from stages.config.loading import load_params
from stages.config.params import Params
from stages.config.schema import DATASETS
from stages.config.settings import family_settings
from stages.engine.networks import families
from stages.paper.reading import read_paper
from tests.unit.config.bad_values import UNKNOWN
from tests.unit.config.conftest import REPOSITORY, Edited, Place

KNOWN = "one of " + ", ".join(families())

# Budgets


@pytest.mark.parametrize("key", [UNKNOWN, "family", "optimizer", "stem", "epochs"])
def test_an_override_of_what_a_cell_does_not_have_is_refused(file: Edited, key: str) -> None:
    file["budgets.quick.train.mnist.vgg.overrides"][key] = "resnet"
    file.refuses(
        f"params.yaml: budgets.quick.train.mnist.vgg.overrides.{key}: 'resnet' is not allowed; allowed: one of the ",
        "depth",
    )


def test_an_override_inside_a_list_is_named_by_its_place(file: Edited) -> None:
    file["budgets.quick.train.mnist.vgg.overrides"]["hidden_layers"] = [64, -1]
    file.refuses("params.yaml: budgets.quick.train.mnist.vgg.overrides.hidden_layers.1: -1 is not allowed")


@pytest.mark.parametrize("family", ["vgg", "googlenet"])
def test_an_input_that_the_network_cannot_take_is_refused(file: Edited, family: str) -> None:
    smallest = family_settings(family).SMALLEST_INPUT
    share = file["budgets.quick.train.mnist"].setdefault(family, {})
    share["overrides"] = {"input_size": smallest - 1}
    file.refuses(
        f"params.yaml: budgets.quick.train.mnist.{family}.overrides.input_size: {smallest - 1} is not allowed; "
        f"allowed: {smallest} or more"
    )
    share["overrides"] = {"input_size": smallest}
    file.load()


@pytest.mark.parametrize(
    ("place", "value", "limit"),
    [
        (("train", "mnist", "vgg", "images"), 50001, 50000),
        (("train", "cifar10", "default", "images"), 45001, 45000),
        (("train", "cifar10", "googlenet", "validation_images"), 5001, 5000),
        (("train", "mnist", "default", "sample_images"), 50001, 50000),
        (("test_images", "cifar10"), 10001, 10000),
        (("augmented_images", "cifar10"), 45001, 45000),
    ],
)
def test_more_images_than_the_split_has_are_refused(file: Edited, place: Place, value: int, limit: int) -> None:
    if place[0] == "train":
        file["budgets.paper.train"][place[1]].setdefault(place[2], {})
    file.put(("budgets", "paper", *place), value)
    key = ".".join(("budgets", "paper", *place))
    file.refuses(f"params.yaml: {key}: {value} is not allowed; allowed: at most the {limit} there are")
    file.put(("budgets", "paper", *place), limit)
    file.load()


def test_what_a_family_does_not_say_is_named_in_the_default(file: Edited) -> None:
    file["budgets.quick.train.mnist.default"]["epochs"] = 0
    file.refuses("params.yaml: budgets.quick.train.mnist.default.epochs: 0 is not allowed")
    del file["budgets.quick.train.mnist.default"]["epochs"]
    file.refuses("params.yaml: budgets.quick.train.mnist.default.epochs is missing")
    file["budgets.quick.train.mnist.default"].update(epochs=1, images=100)
    file["budgets.quick.train.mnist.default"]["sample_images"] = 1801
    file.refuses("params.yaml: budgets.quick.train.mnist.default.sample_images: 1801 is not", "at most the 1800 there")


@pytest.mark.parametrize(
    ("images", "family", "batches"),
    [
        (1, "vgg", "mnist/vgg16 takes 1 images in batches of 64"),
        (129, "resnet", "mnist/resnet18 takes 129 images in batches of 128"),
        (385, "vgg", "mnist/vgg16 takes 385 images in batches of 64"),
    ],
)
def test_a_last_batch_of_one_image_is_refused(file: Edited, images: int, family: str, batches: str) -> None:
    file["budgets.paper.train.mnist"][family] = {"images": images, "sample_images": 1}
    file.refuses(f"params.yaml: budgets.paper.train.mnist.{family}.images: {images} is not allowed; ", batches)


def test_an_appended_copy_needs_its_copies(file: Edited) -> None:
    file["budgets.quick.augmented_images"]["mnist"] = 1799
    file.refuses(
        "params.yaml: budgets.quick.train.mnist.vgg.images: 1800 is not allowed; "
        "allowed: at most the 1799 of augmented_images, for mnist/vgg16-augmented"
    )
    for share in file["budgets.quick.train.mnist"].values():
        share["images"] = 1799
    file.load()


def test_images_that_are_transformed_anew_need_no_copies(file: Edited) -> None:
    for cell in file["cells.mnist"].values():
        if "augment" in cell:
            cell["augment"] = "fresh"
    file["budgets.quick.augmented_images"]["mnist"] = 1
    file.load()


def test_appended_copies_count_in_the_last_batch(file: Edited) -> None:
    share: dict[str, Any] = {"images": 13, "sample_images": 13}
    file["budgets.paper.train.mnist"]["resnet"] = share
    share["overrides"] = {"batch_size": 24}
    file.load()
    share["overrides"] = {"batch_size": 25}
    file.refuses(
        "params.yaml: budgets.paper.train.mnist.resnet.images: 13 is not allowed",
        "mnist/resnet18-augmented takes 26 images in batches of 25",
    )


def test_all_images_that_leave_one_are_refused(file: Edited) -> None:
    file["datasets.mnist"]["train_images"] = 50049
    file.refuses(
        "params.yaml: budgets.paper.train.mnist.default.images: 'all' is not allowed",
        "mnist/vgg16 takes 50049 images in batches of 64",
    )


# Tables and figures


@pytest.mark.parametrize(
    ("place", "value", "named"),
    [
        (("V", "rows", 1, "cell"), "resnet34", "a resnet cell of cells.cifar10: resnet18"),
        (("V", "rows", 1, "cell"), "vgg16", "a resnet cell of cells.cifar10: resnet18"),
        (("V", "rows", 1, "cell"), "resnet18-adam-64", "a resnet cell of cells.cifar10: resnet18"),
        (("V", "rows", 1, "cell"), "resnet18", "a cell for one row; tables.V, row 'ResNet18' has it"),
        (("V", "rows", 1, "as_logged"), "resnet18-sgd", "one of the resnet cells of alternatives.cifar10: resnet18-lr"),
        (("V", "rows", 1, "as_logged"), "vgg16-fresh", "one of the resnet cells of alternatives.cifar10: resnet18-lr"),
        (("III", "rows", 1, "as_logged"), "none-such", "one of the googlenet cells of alternatives.mnist: none"),
    ],
)
def test_a_row_has_a_cell_of_its_table(file: Edited, place: Place, value: str, named: str) -> None:
    row = file.look_up(("tables", *place[:-1]))["row"]
    file.put(("tables", *place), value)
    end = ", as_logged" if place[-1] == "as_logged" else ""
    file.refuses(f"params.yaml: tables.{place[0]}, row {row!r}{end}: {value!r} is not allowed; allowed: {named}")


def test_a_row_s_second_cell_is_an_alternative_that_may_be_planned(file: Edited) -> None:
    file["tables.V.rows"][1]["as_logged"] = "resnet18-lr1e-2-sgd"
    del file["studies.resnet18-lr1e-2-optimizer"]["alternatives"][0]
    assert file.load().tables["V"].rows[1].as_logged == "resnet18-lr1e-2-sgd"
    file["tables.V.rows"][1]["as_logged"] = None
    file.refuses("params.yaml: study_cells.cifar10: 'resnet18-lr1e-2-sgd' is not allowed; allowed: once each, the ")


def test_a_cell_without_a_row_is_refused(file: Edited) -> None:
    file["cells.mnist"]["vgg16-again"] = file["cells.mnist.vgg16"]
    file.refuses("params.yaml: cells.mnist.vgg16-again: 'vgg16-again' is not allowed; allowed: a cell that a row of")


def test_a_label_for_two_rows_is_refused(file: Edited) -> None:
    file["tables.I.rows"][1]["row"] = "VGG16"
    file.refuses("params.yaml: tables.I, row 'VGG16': 'VGG16' is not allowed; allowed: every row label once")


def test_a_figure_of_no_cell_is_refused(file: Edited) -> None:
    file.data["figures"][2]["cell"] = "vgg13"
    file.refuses("params.yaml: figures.2.cell: 'vgg13' is not allowed; allowed: one of cells.mnist: vgg16, vgg11, ")


# Studies


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"optimizer": "rmsprop"}, "nothing"),
        ({"stem": "3x3"}, "momentum, optimizer, stem"),
        ({"optimizer": "rmsprop", "stem": "3x3", "batch_size": 32}, "batch_size, stem"),
        ({"optimizer": "rmsprop", "lr": 0.5, "precision": "float32"}, "lr, precision"),
    ],
)
def test_an_alternative_differs_from_its_base_in_one_thing(file: Edited, changes: dict[str, Any], named: str) -> None:
    file["alternatives.cifar10.resnet18-lr1e-2-sgd"].update(changes)
    message = file.refuses("params.yaml: alternatives.cifar10.resnet18-lr1e-2-sgd: ", "one changed setting beside")
    assert set(named.split(", ")) <= set(message.partition("'")[2].partition("'")[0].split(", "))


@pytest.mark.parametrize(
    "changes",
    [
        {"lr": 0.5},
        {"lr": 0.5, "momentum": 0.5, "weight_decay": 0.1},
        {"optimizer": "rmsprop", "lr": 0.5},
        {"optimizer": "rmsprop", "input_size": 64, "stem": "3x3"},
        {"optimizer": "rmsprop", "precision": "float32"},
        {"optimizer": "rmsprop", "augment": "fresh", "epochs": 1},
    ],
)
def test_settings_that_mean_something_together_are_one_thing(file: Edited, changes: dict[str, Any]) -> None:
    file["alternatives.cifar10.resnet18-lr1e-2-sgd"].update(changes)
    file.load()


def test_a_study_may_hold_two_table_cells_against_each_other(file: Edited) -> None:
    file["studies.resnet18-plain-optimizer"]["alternatives"] = ["resnet18-sgd"]
    file.load()
    file["studies.resnet18-plain-optimizer"]["alternatives"] = ["vgg16"]
    file.refuses("params.yaml: cells.cifar10.vgg16: 'batch_norm, batch_size, ", "beside resnet18 (study resnet18-plain")


@pytest.mark.parametrize("of", ["study", "row"])
def test_a_study_cell_that_the_budget_makes_equal_to_its_base_is_refused(file: Edited, of: str) -> None:
    file.data["study_cells"]["cifar10"] = ["resnet18-adam-64"]
    if of == "row":
        file["studies.resnet18-stem"]["alternatives"].remove("resnet18-adam-64")
        file["tables.V.rows"][4]["as_logged"] = "resnet18-adam-64"
    named = "the base of study resnet18-stem" if of == "study" else "the row's own cell resnet18-adam"
    file.refuses(
        "params.yaml: study_cells.cifar10: 'resnet18-adam-64' is not allowed; "
        f"allowed: a cell that budget quick leaves different from {named}"
    )
    file.data["budget"] = "paper"
    file.load()


@pytest.mark.parametrize(
    ("place", "value", "allowed"),
    [
        (("studies", "vgg16-head", "base"), "vgg15", "one of vgg16, "),
        (("studies", "vgg16-head", "assumption"), "A99", "one of A1, "),
        (("studies", "vgg16-head", "alternatives"), ["vgg15"], "once each, some of vgg16, "),
        (("studies", "vgg16-head", "alternatives"), ["vgg16-adam"], "once each, some of vgg16, "),
        (("studies", "vgg16-head", "alternatives"), ["vgg16-adam-lr1e-4"] * 2, "once each, some of vgg16, "),
        (
            ("studies", "vgg16-head", "printed", "row"),
            "VGG16 with luck",
            "the row of cifar10/vgg16-adam: VGG16 with ADAM",
        ),
        (("studies", "vgg16-head", "printed", "row"), "VGG16", "the row of cifar10/vgg16-adam: VGG16 with ADAM"),
        (("study_cells", "cifar10"), ["vgg15"], "once each, the alternatives of a study or a row: vgg16-lr1e-2-sgd, "),
        (("study_cells", "cifar10"), ["vgg16"], "once each, the alternatives of a study or a row: vgg16-lr1e-2-sgd, "),
        (("study_cells", "cifar10"), ["resnet18-adam-96"] * 2, "once each, the alternatives of a study or a row: "),
        (("more_seeds", "mnist", "cells"), ["vgg15"], "once each, the planned cells of mnist: vgg16, "),
        (("more_seeds", "mnist", "cells"), ["vgg16-adam-64"], "once each, the planned cells of mnist: vgg16, "),
        (("more_seeds", "mnist", "cells"), ["vgg16", "vgg16"], "once each, the planned cells of mnist: vgg16, "),
        (("more_seeds", "mnist", "seeds"), [0], "once each, seeds that `seeds` does not have"),
        (("more_seeds", "mnist", "seeds"), [7, 7], "once each, seeds that `seeds` does not have"),
        (("seeds",), [0, 1, 0], "every seed once"),
        (("budget",), "free", "one of quick, paper"),
        (("datasets", "mnist", "classes"), ["a", "b", "a"], "every class once"),
        (("claims", "classes", "excepted", "cifar10"), ["unicorn"], "once each, some of airplane, automobile, "),
        (("claims", "classes", "excepted", "mnist"), ["1", "1"], "once each, some of 0, 1, "),
        (("claims", "classes", "excepted", "mnist"), list("0123456789"), "once each, some of 0, 1, "),
        (("claims", "overfitting", "families"), ["mlp"], KNOWN),
        (("claims", "overfitting", "families"), ["vgg", "vgg"], "every family once"),
        (("claims", "cost", "cheapest"), "mlp", KNOWN),
        (("tables", "I", "family"), "mlp", KNOWN),
        (("assumptions", 0, "applies", "families"), ["mlp"], KNOWN),
    ],
)
def test_names_that_do_not_exist_are_refused(file: Edited, place: Place, value: Any, allowed: str) -> None:
    file.put(place, value)
    whole = place in (("seeds",), ("datasets", "mnist", "classes")) or allowed == "every family once"
    named = value[0] if isinstance(value, list) and not whole else value
    file.refuses(f"params.yaml: {'.'.join(map(str, place))}: {named!r} is not allowed; allowed: {allowed}")


def test_a_study_is_held_against_its_base_s_own_table(file: Edited) -> None:
    file["studies.vgg16-head.printed"]["table"] = "I"  # of MNIST, with the same label
    file.refuses(
        "params.yaml: studies.vgg16-head.printed.row: 'VGG16 with ADAM' is not allowed; "
        "allowed: the row of cifar10/vgg16-adam: none in this table"
    )


def test_a_study_of_a_table_that_is_not_there_is_refused(file: Edited) -> None:
    del file.data["tables"]["IV"]
    for section in ("alternatives", "cells"):
        for name in [name for name in file[section]["cifar10"] if name.startswith("vgg")]:
            del file[section]["cifar10"][name]
    file.data["figures"], file.data["study_cells"]["cifar10"] = [], []
    file.data["studies"] = {"resnet18-stem": file["studies.resnet18-stem"]}
    file["studies.resnet18-stem.printed"]["table"] = "IV"
    file.refuses(
        "params.yaml: studies.resnet18-stem.printed.table: 'IV' is not allowed; allowed: one of I, II, III, V, VI"
    )


def test_a_study_cell_of_no_study_is_refused(file: Edited) -> None:
    del file.data["studies"]["resnet18-lr1e-2-optimizer"]
    file.refuses("params.yaml: study_cells.cifar10: 'resnet18-lr1e-2-sgd' is not allowed; allowed: once each, the ")


def test_an_alternative_named_like_a_cell_is_refused(file: Edited) -> None:
    file["alternatives.mnist"]["vgg16"] = file["cells.mnist.vgg16"]
    file.refuses("params.yaml: alternatives.mnist.vgg16: 'vgg16' is not allowed; allowed: a name that cells.mnist does")


@pytest.mark.parametrize("near", [0.5, 0.4])
def test_near_reaches_further_than_close(file: Edited, near: float) -> None:
    file["verdicts.near"]["mnist"] = near
    file.refuses(
        f"params.yaml: verdicts.near.mnist: {near} is not allowed; allowed: more than the 0.5 of verdicts.close"
    )


# Assumptions


@pytest.mark.parametrize(
    ("key", "value", "named"),
    [
        ("decides", ["depht"], "decides: 'depht' is not allowed; allowed: one of the settings that vgg, "),
        ("decides", ["stem"], "decides: 'stem' is not allowed; allowed: one of the settings that vgg, "),
        ("settings", {"stem": "3x3"}, "applies.settings.stem: '3x3' is not allowed; allowed: one of the settings"),
        (
            "settings",
            {"augment": "yes"},
            "applies.settings.augment: 'yes' is not allowed; allowed: 'none', 'append' or",
        ),
        ("settings", {"lr": 7.0}, "applies.settings.lr: 7.0 is not allowed; allowed: less than"),
        (
            "settings",
            {"optimizer": "lion"},
            "applies.settings.optimizer: 'lion' is not allowed; allowed: one of rmsprop",
        ),
        ("settings", {"optimizer": ["sgd"]}, "applies.settings.optimizer: ['sgd'] is not allowed; allowed: one of rms"),
    ],
)
def test_an_assumption_of_what_no_cell_has_is_refused(file: Edited, key: str, value: Any, named: str) -> None:
    assumption = file.data["assumptions"][0]
    (assumption["applies"] if key == "settings" else assumption)[key] = value
    file.refuses(f"params.yaml: assumptions.0.{named}")


@pytest.mark.parametrize("settings", [{"optimizer": "sgd"}, {"momentum": 0.9}, {"lr": 0.01, "optimizer": "adam"}])
def test_an_assumption_may_be_of_one_optimizer(file: Edited, settings: dict[str, Any]) -> None:
    file.data["assumptions"][0]["applies"]["settings"] = settings
    file.load()


def test_an_assumption_stands_once(file: Edited) -> None:
    file.data["assumptions"][6]["id"] = "A3"
    file.refuses("params.yaml: assumptions.2.id: 'A3' is not allowed; allowed: every id once")


def test_every_number_rests_on_an_optimizer_or_a_learning_rate_that_is_assumed(params: Params) -> None:
    """The paper prints one of the two in no row; which, each row's label says."""
    for table in params.tables.values():
        for row in table.rows:
            cell = params.find(f"{table.dataset}/{row.cell}")[1]
            found = {one.id for one in params.assumptions if one.applies.to(table.dataset, cell, row.row)}
            assert len(found & {"A1", "A2"}) == 1, row.row
            assert ("A6" in found) == (cell.augment == "append")
            assert ("A8" in found) == (table.dataset == "mnist")
            of_family = {"vgg": {"A4", "A9"}, "resnet": {"A10"}, "googlenet": {"A11", "A12"}}
            assert found & set().union(*of_family.values()) == of_family[cell.family]


# The shipped file


def test_every_printed_number_has_a_cell_of_its_own(params: Params) -> None:
    assert sum(len(params.cells.of(dataset)) for dataset in DATASETS) == 34
    rows = {(table.dataset, row.cell) for table in params.tables.values() for row in table.rows}
    assert len(rows) == sum(len(table.rows) for table in params.tables.values()) == 34
    assert rows == {(key.dataset, key.name) for key in params.cell_keys() if key.section == "cells"}


def test_the_file_here_is_allowed_and_has_every_printed_number() -> None:
    """With whatever the user of this clone has added to it."""
    params = load_params(REPOSITORY / "params.yaml")
    rows = {(number, row.row) for number, table in params.tables.items() for row in table.rows}
    assert {(line.table, line.row) for line in read_paper(REPOSITORY / "data" / "paper").rows} <= rows


def test_every_cell_resolves_under_every_budget(params: Params) -> None:
    for budget in params.budgets:
        for key in params.cell_keys(planned=False):
            found, run = params.resolved[str(key)], params.run(str(key), budget, seed=3)
            share = params.share(budget, key.dataset, run.cell.family)
            assert (run.dataset, run.seed, run.images) == (key.dataset, 3, share.images)
            assert run.cell.model_dump() == {**found.cell.model_dump(), **share.overrides}
            assert run.epochs == min(share.epochs, found.epochs or 10)


def test_the_paper_budget_replaces_nothing(params: Params) -> None:
    for key in params.cell_keys(planned=False):
        assert params.settings(str(key), "paper").cell == params.find(str(key))[1]


def test_every_alternative_belongs_to_a_study_or_a_row(params: Params) -> None:
    for dataset in DATASETS:
        asked = {name for study in params.studies.values() if study.dataset == dataset for name in study.alternatives}
        tables = [table for table in params.tables.values() if table.dataset == dataset]
        logged = {row.as_logged for table in tables for row in table.rows if row.as_logged}
        assert asked - set(params.cells.of(dataset)) | logged == set(params.alternatives.of(dataset))


def test_every_setting_of_a_cell_is_in_the_ledger_or_the_text(params: Params) -> None:
    """What the paper leaves open has a line that names it; the rest is what it says, or PyTorch's defaults (A14)."""
    said = {"family", "depth", "momentum", "alpha", "beta1", "beta2", "eps", "auxiliary_weight"}
    decided = {name for assumption in params.assumptions for name in assumption.decides}
    named = {name for found in params.resolved.values() for name in type(found.cell).model_fields}
    assert named - decided == said


# Tables that the paper does not have


def with_other_table(file: Edited, **table: Any) -> None:
    """Table S1 of two rows, one of an alternative; the other's cell stands in Table I too."""
    rows = [{"row": "One", "cell": "vgg16"}, {"row": "Two", "cell": "vgg11-momentum"}]
    file["tables"]["S1"] = {"caption": "Ours", "dataset": "mnist", "rows": rows} | table
    file["more_cells"]["mnist"] = ["vgg11-momentum"]


def test_a_table_that_the_paper_does_not_have_mixes_families_and_sections(file: Edited) -> None:
    with_other_table(file)
    file["tables.S1"]["rows"] += [{"row": "Three", "cell": "resnet18"}, {"row": "Four", "cell": "googlenet-adam"}]
    params = file.load()
    assert params.shown_tables[-1] == "S1"
    assert params.stage("train", params.find("mnist/vgg11-momentum")[0], "quick", 0) == (
        "train-supplement-mnist@quick-vgg11-momentum-0"
    )
    assert [str(training.key) for training in params.trainings() if training.group == "supplement"] == [
        "mnist/vgg11-momentum"
    ]


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (("tables", "S1", "family"), "vgg", "tables.S1.family: 'vgg' is not allowed; allowed: no family"),
        (("tables", "S1", "rows", 0, "as_logged"), "vgg11-momentum", "row 'One', as_logged: 'vgg11-momentum' is not"),
        (
            ("tables", "S1", "rows", 0, "cell"),
            "vgg15",
            "row 'One': 'vgg15' is not allowed; allowed: once each, cells or",
        ),
        (("tables", "S1", "rows", 0, "cell"), "vgg11-momentum", "'vgg11-momentum' is not allowed; allowed: once each"),
        (("tables", "S1", "rows", 0, "row"), "Two", "row 'Two': 'Two' is not allowed; allowed: every row label once"),
        (("more_cells", "mnist"), ["vgg16"], "more_cells.mnist: 'vgg16' is not allowed; allowed: once each and not in"),
        (("more_cells", "mnist"), ["vgg11-momentum"] * 2, "more_cells.mnist: 'vgg11-momentum' is not allowed"),
        (("study_cells", "mnist"), ["vgg11-momentum"], "more_cells.mnist: 'vgg11-momentum' is not allowed"),
        (
            ("tables", "VII"),
            {"caption": "", "dataset": "mnist", "rows": [{"row": "x", "cell": "vgg16"}]},
            "VI, or S and",
        ),
        (("tables", "I", "family"), "", "tables.I.family is missing; allowed: one of "),
    ],
)
def test_a_mistake_in_such_a_table_is_refused(file: Edited, place: Place, value: Any, message: str) -> None:
    with_other_table(file)
    file.put(place, value)
    file.refuses(message)


def test_a_cell_of_its_own_needs_no_table_of_the_paper(file: Edited) -> None:
    file["cells.mnist"]["mine"] = {"network": "vgg11", "optimizer": "adam"}
    file.refuses("params.yaml: cells.mnist.mine: 'mine' is not allowed; allowed: a cell that a row of tables names")
    with_other_table(file, rows=[{"row": "Mine", "cell": "mine"}, {"row": "Two", "cell": "vgg11-momentum"}])
    assert "mnist/mine" in file.load().resolved


# Sizes that are said for all families


@pytest.mark.parametrize("budget", ["quick", "paper"])
def test_a_default_input_size_is_raised_to_what_a_family_takes(file: Edited, budget: str) -> None:
    """So a new family needs no entry in `inputs` and in the budgets; what is said for a family is taken as it is."""
    file["networks"]["alexnet"] = {"family": "alexnet", "layout": "alexnet", "groups": 2, "hidden_layers": [16]}
    file["networks.alexnet"].update(dropout=0.5, init="pytorch")
    file["alternatives.mnist"]["alexnet"] = {"network": "alexnet", "optimizer": "adam"}
    smallest = family_settings("alexnet").SMALLEST_INPUT
    assert file["inputs.mnist.default"]["input_size"] < smallest
    assert file.load().settings("mnist/alexnet", budget).cell.input_size == smallest
    assert file.load().settings("mnist/resnet18", budget).cell.input_size == 32
    file["inputs.mnist"]["alexnet"] = {"input_size": 32}
    file.refuses(f"params.yaml: inputs.mnist.alexnet.input_size: 32 is not allowed; allowed: {smallest} or more")
