"""params.yaml: the shipped file resolves, and every mistake is one line that names key, value and what is allowed.

The bad values are made from the constraints themselves: `bad_values` walks the types of `stages.config.params` beside
the shipped file, so a new parameter is covered on the day it is added.
"""

import os
import subprocess
import sys
import types
import typing
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

import annotated_types
import pytest
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from stages.config import params as module
from stages.config.params import CellKey, Params, difference, load_params, read_yaml
from stages.config.settings import DATASETS, FAMILIES, SMALLEST_INPUT, GoogLeNetCell, ResNetCell, VggCell
from stages.core.errors import MissingFileError, ParamError, StageError

REPOSITORY = Path(__file__).resolve().parents[3]
FILE = REPOSITORY / "params.yaml"
CELLS: dict[str, type[BaseModel]] = {"vgg": VggCell, "resnet": ResNetCell, "googlenet": GoogLeNetCell}
UNKNOWN = "no_such_key"
LINE = next(i for i, line in enumerate(FILE.read_text().splitlines(), 1) if line.startswith("budget:"))
Place = tuple[Any, ...]


def unshared(tree: Any) -> Any:
    """A copy in which no two places are one object, as YAML's aliases and merges make them."""
    if isinstance(tree, dict):
        return {key: unshared(value) for key, value in tree.items()}
    return [unshared(item) for item in tree] if isinstance(tree, list) else tree


@pytest.fixture
def raw(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The shipped file as plain data; `load_params` reads what the test makes of it."""
    data = unshared(read_yaml(FILE))
    monkeypatch.setattr(module, "read_yaml", lambda path: data)
    return data


@pytest.fixture(scope="module")
def params() -> Params:
    return load_params(FILE)


def refusal() -> str:
    """The message with which the file is refused: always one line."""
    with pytest.raises(StageError) as caught:
        load_params()
    message = caught.value.message
    assert "\n" not in message
    assert "Traceback" not in message
    return message


def refuses(*parts: str) -> None:
    message = refusal()
    for part in parts:
        assert part in message, message


# The shipped file


def test_there_are_34_cells_and_every_printed_number_has_one(params: Params) -> None:
    assert sum(len(params.cells.of(dataset)) for dataset in DATASETS) == 34
    rows = {(table.dataset, row.cell) for table in params.tables.values() for row in table.rows}
    assert len(rows) == sum(len(table.rows) for table in params.tables.values()) == 34
    assert rows == {(key.dataset, key.name) for key in params.cell_keys() if key.section == "cells"}


def test_every_cell_resolves_under_every_budget(params: Params) -> None:
    for budget, settings in params.budgets.items():
        for key in params.cell_keys(planned=False):
            run = params.run(str(key), budget, seed=3)
            share = settings.train.of(key.dataset).of(run.cell.family)
            _, cell = params.find(str(key))
            assert (run.dataset, run.seed, run.training) == (key.dataset, 3, params.training)
            assert (run.images, run.epochs) == (share.images, share.epochs)
            assert run.cell.model_dump() == {**cell.model_dump(), **share.overrides}
            assert set(run.cell.architecture()) <= set(type(cell).model_fields)


def test_the_paper_budget_overrides_nothing(params: Params) -> None:
    for key in params.cell_keys(planned=False):
        assert params.run(str(key), "paper", 0).cell == params.find(str(key))[1]


def test_every_alternative_belongs_to_a_study(params: Params) -> None:
    for dataset in DATASETS:
        asked = {name for study in params.studies.values() if study.dataset == dataset for name in study.alternatives}
        assert asked == set(params.alternatives.of(dataset))


def test_planned_cells_are_the_tables_then_the_chosen_study_cells(params: Params) -> None:
    planned, every = params.cell_keys(), params.cell_keys(planned=False)
    chosen = [CellKey("alternatives", dataset, name) for dataset in DATASETS for name in params.study_cells.of(dataset)]
    assert planned == every[:34] + chosen
    assert {key.stage_suffix for key in planned[:34]} == set(DATASETS)
    assert {key.stage_suffix for key in chosen} <= {f"study-{dataset}" for dataset in DATASETS}


def test_unknown_names_are_answered_with_the_known_ones(params: Params) -> None:
    with pytest.raises(ParamError, match=r"cell: 'mnist/vgg17' is not allowed; allowed: one of mnist/vgg16, .*cifar10"):
        params.find("mnist/vgg17")
    with pytest.raises(ParamError, match=r"budget: 'free' is not allowed; allowed: one of quick, paper"):
        params.run("mnist/vgg16", "free", 0)


# Mistakes made from the constraints


def bad_values(annotation: Any, metadata: tuple[Any, ...], value: Any) -> Iterator[tuple[Place, Any]]:
    """Places at and below `value`, each with something that its type refuses there."""
    while get_origin(annotation) is Annotated:
        annotation, *more = get_args(annotation)
        metadata = (*metadata, *more)
    constraints = [c for m in metadata for c in (m.metadata if isinstance(m, FieldInfo) else [m])]
    if get_origin(annotation) in (types.UnionType, typing.Union):
        yield from union_values(get_args(annotation), value)
    elif isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield from model_values(annotation, value)
    elif get_origin(annotation) is list:
        yield from at_top(None, "word", 3, {}, *length_values(constraints, value))
        (item,) = get_args(annotation)
        for i, entry in enumerate(value):
            yield from (((i, *place), bad) for place, bad in bad_values(item, (), entry))
    elif get_origin(annotation) is dict:
        yield from at_top(None, "word", [])
        for key, entry in value.items():
            yield from (((key, *place), bad) for place, bad in bad_values(get_args(annotation)[1], (), entry))
    elif annotation is not Any:
        yield from at_top(*scalar_values(annotation, constraints))


def at_top(*values: Any) -> list[tuple[Place, Any]]:
    return [((), value) for value in values]


def union_values(members: tuple[Any, ...], value: Any) -> Iterator[tuple[Place, Any]]:
    """A union of cells goes by its family; any other one takes literals or null beside its first member."""
    if isinstance(value, dict):
        yield from at_top(None, "word", [])
        yield from ((("family",), bad) for bad in ["no_such_family", 3, None])
        yield from bad_values(CELLS[value["family"]], (), value)
        return
    taken = [entry for member in members[1:] for entry in get_args(member) or (None,)]
    for place, bad in bad_values(members[0], (), value):
        if bad not in taken:
            yield place, bad


def model_values(model: type[BaseModel], value: dict[str, Any]) -> Iterator[tuple[Place, Any]]:
    unknown_number: dict[Any, Any] = {**value, 7: 1}
    yield from at_top(None, "word", 3, [], {**value, UNKNOWN: 1}, unknown_number)
    for name, field in model.model_fields.items():
        yield (), {key: entry for key, entry in value.items() if key != name}
        for place, bad in bad_values(field.annotation, tuple(field.metadata), value[name]):
            yield (name, *place), bad


def length_values(constraints: list[Any], value: list[Any]) -> Iterator[list[Any]]:
    for constraint in constraints:
        if isinstance(constraint, annotated_types.MinLen):
            yield value[: constraint.min_length - 1]
        if isinstance(constraint, annotated_types.MaxLen):
            yield (value or [1]) * (constraint.max_length + 1)


def scalar_values(annotation: Any, constraints: list[Any]) -> Iterator[Any]:
    if get_origin(annotation) is Literal:
        yield from ("no such word", 10**6, None, [], 2.5, {})
        return
    yield from {
        int: ("word", 1.5, None, True, [], {}),
        float: ("word", None, True, [], {}, float("nan"), float("inf"), float("-inf")),
        str: (7, None, True, [], {}),
        bool: ("yes", 1, 0.0, None, []),
    }[annotation]
    for constraint in constraints:
        match constraint:
            case annotated_types.Ge(ge=bound):
                yield bound - 1  # type: ignore[operator]
            case annotated_types.Le(le=bound):
                yield bound + 1  # type: ignore[operator]
            case annotated_types.Gt(gt=bound):
                yield bound
            case annotated_types.Lt(lt=bound):
                yield bound
            case _ if getattr(constraint, "pattern", None):
                yield "Not A Name"


def put(tree: Any, place: Place, value: Any) -> Callable[[], None]:
    """Set a place in a tree; returns what undoes it."""
    for part in place[:-1]:
        tree = tree[part]
    before = tree[place[-1]]
    tree[place[-1]] = value

    def undo() -> None:
        tree[place[-1]] = before

    return undo


def expected_parts(place: Place, before: Any, bad: Any) -> list[str]:
    """What the line must name: the dotted key and the value; the missing key; or the unknown key and its value."""
    if isinstance(bad, dict) and isinstance(before, dict):
        if missing := before.keys() - bad.keys():
            return [": " + ".".join(map(str, (*place, *missing))) + " is missing"]
        if added := bad.keys() - before.keys():
            return [": " + ".".join(map(str, (*place, *added))) + ": 1 is not allowed; allowed: one of the keys "]
    return [": " + ".".join(map(str, place)) + f": {bad!r} is not allowed; allowed: "]


def look_up(tree: Any, place: Place) -> Any:
    for part in place:
        tree = tree[part]
    return tree


@pytest.mark.parametrize("section", list(Params.model_fields))
def test_every_bad_value_is_refused_by_name(section: str, raw: Any) -> None:
    field = Params.model_fields[section]
    found = list(bad_values(field.annotation, tuple(field.metadata), raw[section]))
    assert len(found) >= 3
    for below, bad in found:
        place = (section, *below)
        parts = expected_parts(place, look_up(raw, place), bad)
        undo = put(raw, place, bad)
        refuses("params.yaml: ", *parts)
        undo()
    load_params()  # whole again, so each refusal above was of its own bad value


def leaves(tree: Any, place: Place = ()) -> Iterator[Place]:
    entries = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    below = [leaf for key, value in entries for leaf in leaves(value, (*place, key))]
    yield from below or ([place] if not isinstance(tree, (dict, list)) else [])


def test_every_leaf_of_the_file_has_bad_values(raw: Any) -> None:
    """What the walk above reaches is the whole file, but for the building blocks that YAML merges into the cells."""
    made = {
        (name, *place)
        for name, field in Params.model_fields.items()
        for place, _ in bad_values(field.annotation, tuple(field.metadata), raw[name])
    }
    free = {leaf for leaf in leaves(raw) if leaf[0] == "architectures" or {"overrides", "settings"} & set(leaf)}
    nullable = {leaf for leaf in leaves(raw) if leaf[0] in ("figures", "studies") and look_up(raw, leaf) is None}
    assert set(leaves(raw)) - free - nullable <= made
    assert len(made - {()}) > 600


def test_missing_and_unknown_sections_are_refused(raw: Any) -> None:
    for name in list(raw):
        section = raw.pop(name)
        refuses(f"params.yaml: {name} is missing")
        raw[name] = section
    raw[UNKNOWN] = {"a": 1}
    refuses(f"params.yaml: {UNKNOWN}: {{'a': 1}} is not allowed; allowed: one of the keys budget, seeds,")


@pytest.mark.parametrize("key", ["Bad Name", "", "-x", "a..b", 7, True, None, 1.5])
def test_names_that_could_be_no_path_are_refused(raw: Any, key: Any) -> None:
    raw["cells"]["mnist"][key] = raw["cells"]["mnist"]["vgg16"]
    refuses("params.yaml: cells.mnist", f"{key!r} is not allowed; allowed: ", "tring")


def test_several_mistakes_are_counted(raw: Any) -> None:
    raw["budget"], raw["training"]["weight_decay"], raw["budgets"]["paper"]["threads"] = 3, "much", 0
    refuses("params.yaml: budget: 3 is not allowed; allowed: a valid string (and 2 more findings)")


def test_a_union_names_all_that_it_takes(raw: Any) -> None:
    raw["budgets"]["quick"]["train"]["mnist"]["vgg"]["images"] = "some"
    refuses("budgets.quick.train.mnist.vgg.images: 'some' is not allowed; allowed: a valid integer or 'all'")


def test_momentum_without_sgd_is_refused(raw: Any) -> None:
    raw["cells"]["mnist"]["vgg16-adam"]["momentum"] = 0.9
    refuses("cells.mnist.vgg16-adam.momentum: 0.9 is not allowed; allowed: 0 with optimizer adam")


# Overrides of a budget


def override_cases() -> Iterator[tuple[str, str, Any]]:
    for family, cell in CELLS.items():
        for name, field in cell.model_fields.items():
            if name != "family":
                for place, bad in bad_values(field.annotation, tuple(field.metadata), [] if "layers" in name else None):
                    if place == ():
                        yield family, name, bad


@pytest.mark.parametrize("family", FAMILIES)
def test_every_bad_override_is_refused_by_name(raw: Any, family: str) -> None:
    cases = [(name, bad) for of, name, bad in override_cases() if of == family]
    assert len(cases) > 40
    for name, bad in cases:
        raw["budgets"]["paper"]["train"]["cifar10"][family]["overrides"] = {name: bad}
        refuses(f"budgets.paper.train.cifar10.{family}.overrides.{name}: {bad!r} is not allowed; allowed: ")


@pytest.mark.parametrize("key", [UNKNOWN, "family", "stem"])
def test_an_override_of_what_a_family_does_not_have_is_refused(raw: Any, key: str) -> None:
    raw["budgets"]["paper"]["train"]["mnist"]["vgg"]["overrides"] = {key: "resnet"}
    refuses(
        f"budgets.paper.train.mnist.vgg.overrides.{key}: 'resnet' is not allowed; allowed: one of the keys ", "depth"
    )


def test_an_override_inside_a_list_is_named_by_its_place(raw: Any) -> None:
    raw["budgets"]["quick"]["train"]["mnist"]["vgg"]["overrides"]["hidden_layers"] = [64, -1]
    refuses("budgets.quick.train.mnist.vgg.overrides.hidden_layers.1: -1 is not allowed; allowed: greater than")


@pytest.mark.parametrize("family", ["vgg", "googlenet"])
def test_an_input_that_the_network_cannot_take_is_refused(raw: Any, family: str) -> None:
    too_small = SMALLEST_INPUT[family] - 1
    raw["budgets"]["quick"]["train"]["mnist"][family]["overrides"]["input_size"] = too_small
    refuses(f"budgets.quick.train.mnist.{family}.overrides.input_size: {too_small} is not", f"{too_small + 1}")
    raw["budgets"]["quick"]["train"]["mnist"][family]["overrides"]["input_size"] = too_small + 1
    load_params()


# What only the whole file can tell


@pytest.mark.parametrize(
    ("place", "value", "limit"),
    [
        (("train", "mnist", "vgg", "images"), 50001, 50000),
        (("train", "cifar10", "resnet", "images"), 45001, 45000),
        (("train", "cifar10", "googlenet", "validation_images"), 5001, 5000),
        (("train", "mnist", "resnet", "sample_images"), 50001, 50000),
        (("test_images", "cifar10"), 10001, 10000),
        (("augmented_images", "cifar10"), 45001, 45000),
    ],
)
def test_more_images_than_the_split_has_are_refused(raw: Any, place: Place, value: int, limit: int) -> None:
    undo = put(raw, ("budgets", "paper", *place), value)
    key = ".".join(("budgets", "paper", *place))
    refuses(f"{key}: {value} is not allowed; allowed: all, or a number from 1 to {limit}")
    undo()
    put(raw, ("budgets", "paper", *place), limit)
    load_params()


@pytest.mark.parametrize(
    ("images", "family", "batches"),
    [
        (1, "vgg", "mnist/vgg16 takes 1 images in batches of 64"),
        (129, "resnet", "mnist/resnet18 takes 129 images in batches of 128"),
        (385, "vgg", "mnist/vgg16 takes 385 images in batches of 64"),
    ],
)
def test_a_last_batch_of_one_image_is_refused(raw: Any, images: int, family: str, batches: str) -> None:
    raw["budgets"]["paper"]["train"]["mnist"][family] |= {"images": images, "sample_images": 1}
    refuses(f"budgets.paper.train.mnist.{family}.images: {images} is not allowed; allowed: ", batches)


def test_an_augmented_cell_needs_its_copies(raw: Any) -> None:
    raw["budgets"]["quick"]["augmented_images"]["mnist"] = 1799
    refuses(
        "budgets.quick.train.mnist.vgg.images: 1800 is not allowed; allowed: at most the 1799 of augmented_images, "
        "for mnist/vgg16-augmented"
    )
    for share in raw["budgets"]["quick"]["train"]["mnist"].values():
        share["images"] = 1799
    load_params()


def test_the_copies_of_an_augmented_cell_count_in_its_last_batch(raw: Any) -> None:
    share = raw["budgets"]["paper"]["train"]["mnist"]["resnet"]
    share |= {"images": 13, "sample_images": 13, "overrides": {"batch_size": 24}}
    load_params()
    share["overrides"] = {"batch_size": 25}
    refuses(
        "budgets.paper.train.mnist.resnet.images: 13 is", "mnist/resnet18-augmented takes 26 images in batches of 25"
    )


def test_all_images_that_leave_one_are_refused(raw: Any) -> None:
    raw["datasets"]["mnist"]["train_images"] = 50049
    refuses("budgets.paper.train.mnist.vgg.images: 'all' is not", "mnist/vgg16 takes 50049 images in batches of 64")


def test_a_row_without_a_cell_is_refused(raw: Any) -> None:
    raw["tables"]["V"]["rows"][1]["cell"] = "resnet34"
    refuses(
        "tables.V, row 'ResNet18 with lr=0.01': 'resnet34' is not allowed", "a resnet cell of cells.cifar10: resnet18"
    )


def test_a_row_with_a_cell_of_another_family_is_refused(raw: Any) -> None:
    raw["tables"]["V"]["rows"][1]["cell"] = "vgg16"
    refuses("tables.V, row 'ResNet18 with lr=0.01': 'vgg16' is not allowed; allowed: a resnet cell")


def test_a_cell_without_a_row_is_refused(raw: Any) -> None:
    raw["cells"]["mnist"]["vgg16-again"] = {**raw["cells"]["mnist"]["vgg16"]}
    refuses("cells.mnist.vgg16-again: 'vgg16-again' is not allowed; allowed: a cell that a row of tables names")


def test_a_cell_for_two_rows_is_refused(raw: Any) -> None:
    raw["tables"]["I"]["rows"].append({"row": "VGG16 again", "cell": "vgg16"})
    refuses("tables.I, row 'VGG16 again': 'vgg16' is not allowed", "a cell for one row; tables.I, row 'VGG16' has it")


def test_a_label_for_two_rows_is_refused(raw: Any) -> None:
    raw["tables"]["I"]["rows"][1]["row"] = "VGG16"
    refuses("tables.I, row 'VGG16': 'VGG16' is not allowed; allowed: every row label once")


def test_a_figure_of_no_cell_is_refused(raw: Any) -> None:
    raw["figures"][0]["cell"] = "vgg13"
    refuses("figures: 'vgg13' is not allowed; allowed: a cell of cells.mnist")


@pytest.mark.parametrize("changes", [{"optimizer": "rmsprop"}, {"lr": 0.1}, {"lr": 0.1, "batch_size": 32}])
def test_an_alternative_differs_from_its_base_in_one_setting(raw: Any, changes: dict[str, Any]) -> None:
    alternative = raw["alternatives"]["cifar10"]["resnet18-lr1e-2-sgd"]
    alternative |= changes
    named = "nothing" if changes == {"optimizer": "rmsprop"} else ", ".join(sorted({*changes, "optimizer"}))
    refuses(f"alternatives.cifar10.resnet18-lr1e-2-sgd: {named!r} is not allowed; allowed: one changed setting")


def test_a_study_cell_that_the_budget_makes_equal_to_its_base_is_refused(raw: Any) -> None:
    raw["study_cells"]["cifar10"] = ["resnet18-adam-64"]
    refuses("study_cells.cifar10: 'resnet18-adam-64' is not", "budget quick leaves different", "study resnet18-stem")
    raw["budget"] = "paper"
    load_params()


@pytest.mark.parametrize(
    ("place", "value", "allowed"),
    [
        (("studies", "vgg16-head", "base"), "vgg15", "one of vgg16, "),
        (("studies", "vgg16-head", "assumption"), "A99", "one of A1, "),
        (("studies", "vgg16-head", "alternatives"), ["vgg15"], "one of resnet18-lr1e-2-sgd, "),
        (("studies", "vgg16-head", "printed", "row"), "VGG16 with luck", "one of VGG16, VGG11, "),
        (("study_cells", "cifar10"), ["vgg15"], "once each, the alternatives of a study: resnet18-lr1e-2-sgd, "),
        (("study_cells", "mnist"), ["vgg15"], "once each, the alternatives of a study: none"),
        (
            ("study_cells", "cifar10"),
            ["resnet18-adam-96", "resnet18-adam-96"],
            "once each, the alternatives of a study: ",
        ),
        (("seeds",), [0, 1, 0], "every seed once"),
        (("budget",), "free", "one of quick, paper"),
        (("claims", "classes", "excepted", "cifar10"), ["unicorn"], "once each, some of airplane, automobile, "),
        (("claims", "classes", "excepted", "mnist"), ["1", "1"], "once each, some of 0, 1, "),
        (("claims", "classes", "excepted", "mnist"), list("0123456789"), "once each, some of 0, 1, "),
    ],
)
def test_names_that_do_not_exist_are_refused(raw: Any, place: Place, value: Any, allowed: str) -> None:
    put(raw, place, value)
    named = value[0] if isinstance(value, list) and place != ("seeds",) else value
    refuses(f"{'.'.join(place)}: {named!r} is not allowed; allowed: {allowed}")


def test_a_study_of_a_table_that_is_not_there_is_refused(raw: Any) -> None:
    del raw["tables"]["IV"]
    for name in [name for name in raw["cells"]["cifar10"] if name.startswith("vgg")]:
        del raw["cells"]["cifar10"][name]
    raw["figures"] = []
    raw["studies"] = {"resnet18-stem": raw["studies"]["resnet18-stem"]}
    raw["study_cells"]["cifar10"] = []
    raw["studies"]["resnet18-stem"]["printed"]["table"] = "IV"
    refuses("studies.resnet18-stem.printed.table: 'IV' is not allowed; allowed: one of I, II, III, V, VI")


def test_a_study_cell_of_no_study_is_refused(raw: Any) -> None:
    del raw["studies"]["resnet18-lr1e-2-optimizer"]
    refuses(
        "study_cells.cifar10: 'resnet18-lr1e-2-sgd' is not allowed; allowed: once each, the alternatives of a study: "
    )


def test_the_sample_of_training_images_is_not_larger_than_the_images(raw: Any) -> None:
    raw["budgets"]["quick"]["train"]["mnist"]["resnet"] |= {"images": 100, "sample_images": 101}
    refuses(
        "budgets.quick.train.mnist.resnet.sample_images: 101 is not allowed; allowed: all, or a number from 1 to 100"
    )


@pytest.mark.parametrize("near", [0.5, 0.4])
def test_near_reaches_further_than_close(raw: Any, near: float) -> None:
    raw["verdicts"]["near"]["mnist"] = near
    refuses(f"verdicts.near.mnist: {near} is not allowed; allowed: more than the 0.5 of verdicts.close.mnist")


def test_a_family_that_is_said_not_to_overfit_twice_is_refused(raw: Any) -> None:
    raw["claims"]["overfitting"]["families"] = ["vgg", "vgg"]
    refuses("claims.overfitting.families: ['vgg', 'vgg'] is not allowed; allowed: every family once")


def test_an_alternative_named_like_a_cell_is_refused(raw: Any) -> None:
    raw["alternatives"]["mnist"]["vgg16"] = raw["cells"]["mnist"]["vgg16"]
    refuses("alternatives.mnist.vgg16: 'vgg16' is not allowed; allowed: a name that cells.mnist does not have")


def test_difference_names_the_settings_of_either_family(params: Params) -> None:
    vgg, resnet = params.find("mnist/vgg16")[1], params.find("mnist/resnet18")[1]
    assert difference(vgg, vgg) == []
    assert difference(vgg, resnet) == sorted(
        ["batch_norm", "batch_size", "depth", "dropout", "family", "hidden_layers", "input_size", "stem"]
    )


# The file itself


@pytest.mark.parametrize(
    ("old", "new", "parts"),
    [
        ("budget: ", "budget: paper\nbudget: ", [f"line {LINE + 1}: ", 'key "budget"', "allowed: every key once"]),
        ("    vgg11: {<<", "    vgg16: {<<", ['key "vgg16"', "allowed: every key once"]),
        ("seeds: [0]", "seeds: [0", ["not YAML"]),
        ("seeds: [0]", "seeds: !!python/object:os.system [0]", ["not YAML"]),
        ("seeds: [0]", "seeds: *nowhere", ["not YAML"]),
        ("seeds: [0]", "---\nseeds: [0]", ["not YAML"]),
    ],
)
def test_what_is_not_yaml_is_refused(tmp_path: Path, old: str, new: str, parts: list[str]) -> None:
    text = FILE.read_text()
    assert old in text
    path = tmp_path / "params.yaml"
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(StageError) as caught:
        load_params(path)
    assert "\n" not in caught.value.message
    for part in [str(path), *parts]:
        assert part in caught.value.message


@pytest.mark.parametrize(("content", "named"), [(b"", "None"), (b"[1, 2]", "[1, 2]"), (b"word", "'word'")])
def test_a_file_without_sections_is_refused(tmp_path: Path, content: bytes, named: str) -> None:
    (tmp_path / "params.yaml").write_bytes(content)
    with pytest.raises(StageError) as caught:
        load_params(tmp_path / "params.yaml")
    assert caught.value.message == f"params.yaml: {named} is not allowed; allowed: a mapping of keys to values"


def test_a_file_that_is_no_text_or_is_not_there_is_refused(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(StageError, match="not YAML"):
        load_params(tmp_path / "params.yaml")
    with pytest.raises(MissingFileError, match="run from the top folder of the repository"):
        load_params(tmp_path / "other.yaml")


# The command


@pytest.mark.parametrize(
    ("old", "new", "arguments", "status", "named"),
    [
        ("rmsprop: {alpha: 0.99,", "rmsprop: {alpha: 1.5,", ["mnist/vgg16"], 1, "training.rmsprop.alpha: 1.5 is not"),
        ("seeds: [0]", "seeds: [0]\nseeds: [1]", ["mnist/vgg16"], 1, 'duplicate key "seeds"'),
        ("", "", ["mnist/vgg15"], 1, "cell: 'mnist/vgg15' is not allowed; allowed: one of mnist/vgg16"),
        ("", "", ["mnist/vgg16", "--seed", "-1"], 2, "-1 is not in the range"),
    ],
)
def test_the_command_says_one_line_and_no_traceback(
    tmp_path: Path, old: str, new: str, arguments: list[str], status: int, named: str
) -> None:
    (tmp_path / "params.yaml").write_text(FILE.read_text().replace(old, new, 1))
    command = [sys.executable, "-m", "stages.train", *arguments, "--data", "data", "--out", "out"]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == status, done.stderr
    lines = [line for line in done.stderr.splitlines() if line and not line.startswith(("Usage:", "Try "))]
    assert len(lines) == 1
    assert lines[0].startswith("Error: ")
    assert named in lines[0]
    assert [file.name for file in tmp_path.iterdir()] == ["params.yaml"]  # refused before anything was begun


# Assumptions


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        ({"decides": ["depht"]}, ("assumptions.0.decides: 'depht' is not allowed; allowed: one of the settings", "lr")),
        ({"decides": ["stem"]}, ("assumptions.0.decides: 'stem' is not", "that vgg, resnet, googlenet have")),
        ({"settings": {"stem": "3x3"}}, ("assumptions.0.applies.settings.stem: '3x3' is not allowed",)),
        ({"settings": {"augment": "yes"}}, ("assumptions.0.applies.settings.augment: 'yes' is not allowed",)),
        ({"settings": {"lr": 7.0}}, ("assumptions.0.applies.settings.lr: 7.0 is not allowed; allowed: less than",)),
    ],
)
def test_an_assumption_of_what_no_cell_has_is_refused(raw: Any, change: dict[str, Any], parts: tuple[str, ...]) -> None:
    assumption = raw["assumptions"][0]
    (assumption["applies"] if "settings" in change else assumption).update(change)
    refuses(*parts)


def test_an_assumption_stands_once(raw: Any) -> None:
    raw["assumptions"][1]["id"] = "A3"
    refuses("assumptions.1.id: 'A3' is not allowed; allowed: every id once")


def test_every_number_rests_on_an_optimizer_or_a_learning_rate_that_is_assumed(params: Params) -> None:
    """The paper prints one of the two in no row; which, each row's label says."""
    for table in params.tables.values():
        for row in table.rows:
            cell = params.find(f"{table.dataset}/{row.cell}")[1]
            found = {one.id for one in params.assumptions if one.applies.to(table.dataset, cell, row.row)}
            assert len(found & {"A1", "A2"}) == 1, row.row
            assert ("A6" in found) == cell.augment
            assert ("A8" in found) == (table.dataset == "mnist")
