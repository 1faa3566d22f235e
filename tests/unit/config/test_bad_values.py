"""Every bad value anywhere in params.yaml is one line that names its key, the value and what is allowed."""

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any

import pytest

from stages.config.params import Params
from stages.config.schema import DATASETS, BudgetShare
from stages.config.settings import OPTIMIZERS, cell_type, family_settings
from stages.core.errors import shown
from tests.unit.config.bad_values import UNKNOWN, bad_values, field_values, model_values
from tests.unit.config.conftest import Edited, Place

REFERENCES = {"network", "optimizer", "base", "epochs", "precision"}
Cases = Iterator[tuple[Place, Any]]


def below(place: Place, cases: Cases) -> Cases:
    return (((*place, *inner), bad) for inner, bad in cases)


def schema_cases(file: Edited, section: str) -> Cases:
    """Of a section whose types stand in `Params`."""
    field = Params.model_fields[section]
    yield from below((section,), bad_values(field.annotation, tuple(field.metadata), file[section]))


def entry_cases(file: Edited) -> Cases:
    """Of networks and optimizers, each with the type that it names."""
    for name, entry in file["networks"].items():
        yield from below(("networks", name), model_values(family_settings(entry["family"]), entry))
    for name, entry in file["optimizers"].items():
        yield from below(("optimizers", name), model_values(OPTIMIZERS[entry["optimizer"]], entry))


def input_cases(file: Edited) -> Cases:
    """Of `inputs`, which the cells of a family take."""
    cell = cell_type("vgg", "sgd")
    for dataset in DATASETS:
        for name, section in file["inputs"][dataset].items():
            for key, value in section.items():
                yield from below(("inputs", dataset, name), field_values(cell, key, value))


def share_cases(file: Edited) -> Cases:
    """Of what budgets give families, wherever it is written."""
    for budget, settings in file["budgets"].items():
        for dataset, shares in settings["train"].items():
            for name, share in shares.items():
                place = ("budgets", budget, "train", dataset, name)
                yield place, {**share, UNKNOWN: 1}
                for key, value in share.items():
                    yield from below(place, field_values(BudgetShare, key, value))


def cell_cases(file: Edited, params: Params) -> Cases:
    """Of what a cell sets itself: each setting of one cell, and one alternative, of each family and optimizer."""
    seen = set()
    for found in params.resolved.values():
        kind = (type(found.cell).__name__, found.key.section)
        if kind in seen:
            continue
        seen.add(kind)
        place = tuple(found.key)
        not_mappings: list[Any] = [None, "word", 3, []]
        yield from ((place, bad) for bad in not_mappings)
        yield (*place, UNKNOWN), 1
        for name in type(found.cell).model_fields.keys() - {"family", "optimizer"}:
            cases = field_values(type(found.cell), name, getattr(found.cell, name))
            yield from below(place, (case for case in cases if len(case[0]) == 1))


def expected(place: Place, before: Any, bad: Any) -> str:
    """What the line must name: the dotted key and the value; the missing key; or the unknown key and its value."""
    if isinstance(bad, dict) and isinstance(before, dict):
        if missing := before.keys() - bad.keys():
            return "params.yaml: " + ".".join(map(str, (*place, *missing))) + " is missing"
        if added := bad.keys() - before.keys():
            allowed = "1 is not allowed; allowed: one of the keys " if added == {UNKNOWN} else ""  # else: no text
            return f"params.yaml: {'.'.join(map(str, (*place, *added)))}: {allowed}"
    return f"params.yaml: {'.'.join(map(str, place))}: {shown(bad)} is not allowed; allowed: "


def refuse_all(file: Edited, cases: Cases, at_least: int) -> None:
    found = list(cases)
    assert len(found) >= at_least
    refuse_each(file, found)
    file.load()  # whole again, so each refusal was of its own bad value


def refuse_each(file: Edited, cases: Iterable[tuple[Place, Any]]) -> None:
    for place, bad in cases:
        try:
            before = file.look_up(place)
        except KeyError:
            before = None  # a setting that the cell does not set itself
        undo = file.put(place, bad)
        file.refuses(expected(place, before, bad))
        undo()


@pytest.mark.parametrize("section", list(Params.model_fields))
def test_of_a_typed_section(section: str, file: Edited) -> None:
    refuse_all(file, schema_cases(file, section), 3)


def test_of_networks_and_optimizers(file: Edited) -> None:
    refuse_all(file, entry_cases(file), 300)


def test_of_inputs(file: Edited) -> None:
    refuse_all(file, input_cases(file), 50)


def test_of_the_shares_of_budgets(file: Edited) -> None:
    refuse_all(file, share_cases(file), 150)


def test_of_cells_and_alternatives(file: Edited, params: Params) -> None:
    found = list(cell_cases(file, params))
    assert len(found) >= 1000
    for cell, cases in groupby(found, lambda case: case[0][:3]):
        with file.alone(*cell):
            refuse_each(file, cases)
    file.load()  # whole again, so each refusal was of its own bad value


OF_EVERY_CELL = ("init", "lr", "weight_decay", "batch_size", "input_size", "augment")


@pytest.mark.parametrize("section", ["default", "googlenet", "resnet", "vgg"])
def test_of_overrides(file: Edited, params: Params, section: str) -> None:
    place = ("budgets", "paper", "train", "cifar10", section)
    family = "vgg" if section == "default" else section
    file.data["budgets"]["paper"]["train"]["cifar10"].setdefault(section, {})["overrides"] = {}
    cell = next(found.cell for found in params.resolved.values() if found.cell.family == family)
    own = () if section == "default" else family_settings(family).model_fields.keys() - {"family"}
    for name in {*OF_EVERY_CELL, *own}:
        for inner, bad in field_values(type(cell), name, getattr(cell, name)):
            if len(inner) == 1:
                undo = file.put((*place, "overrides"), {name: bad})
                file.refuses(f"params.yaml: {'.'.join(place)}.overrides.{name}: {shown(bad)} is not allowed; allowed: ")
                undo()
    file.load()


def leaves(tree: Any, place: Place = ()) -> Iterator[Place]:
    entries = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    inner = [leaf for key, value in entries for leaf in leaves(value, (*place, key))]
    yield from inner or ([place] if not isinstance(tree, dict | list) else [])


def test_every_leaf_of_the_file_has_bad_values(file: Edited) -> None:
    """The tests above reach the whole file, but for what other tests have: references, overrides, applies.settings."""
    made = {place for section in Params.model_fields for place, _ in schema_cases(file, section)}
    for cases in (entry_cases(file), input_cases(file), share_cases(file)):
        made |= {place for place, _ in cases}
    elsewhere = {leaf for leaf in leaves(file.data) if {"overrides", "settings"} & set(leaf)}
    of_cells = {leaf for leaf in leaves(file.data) if leaf[0] in ("cells", "alternatives")}
    nullable = {leaf for leaf in leaves(file.data) if leaf[-1] in ("log", "report") and file.look_up(leaf) is None}
    assert set(leaves(file.data)) - elsewhere - of_cells - nullable <= made
    assert len(made) > 1000


def test_missing_and_unknown_sections_are_refused(file: Edited) -> None:
    required = [name for name in file.data if name != "more_cells"]  # which files of older commits do not have
    for name in required:
        section = file.data.pop(name)
        file.refuses(f"params.yaml: {name} is missing")
        file.data[name] = section
    file.data[UNKNOWN] = {"a": 1}
    file.refuses(f"params.yaml: {UNKNOWN}: {{'a': 1}} is not allowed; allowed: one of the keys budget, seeds,")


@pytest.mark.parametrize("key", ["Bad Name", "", "-x", "a..b", "a/b", "a\nb", 7, True, None, 1.5])
def test_names_that_could_be_no_path_are_refused(file: Edited, key: Any) -> None:
    file["cells.mnist"][key] = file["cells.mnist.vgg16"]
    file.refuses("params.yaml: cells.mnist", f"{key!r} is not allowed; allowed: ", "tring")


def test_the_first_mistake_is_told_and_all_others_are_named(file: Edited) -> None:
    file.data["budget"], file["datasets.mnist"]["channels"], file["budgets.paper"]["threads"] = 3, 2, 0
    assert file.refuses() == (
        "params.yaml: budget: 3 is not allowed; allowed: a valid string "
        "(also wrong: budgets.paper.threads, datasets.mnist.channels)"
    )
    names = ("train_images", "validation_images", "test_images", "split_seed")
    for name in names:
        file["datasets.mnist"][name] = None
    rest = ", ".join(f"datasets.mnist.{name}" for name in ("channels", *names))
    assert file.refuses().endswith(f" (also wrong: budgets.paper.threads, {rest})")


def test_of_a_cell_the_next_mistakes_are_named_too(file: Edited) -> None:
    file["cells.mnist.vgg16"].update({"lr": 2, "dropout": "much"})
    file.refuses("params.yaml: cells.mnist.vgg16.lr: 2 is not allowed; allowed: ", "(also wrong: dropout)")


def test_a_union_names_all_that_it_takes(file: Edited) -> None:
    file["budgets.quick.train.mnist.vgg"]["images"] = "some"
    file.refuses("budgets.quick.train.mnist.vgg.images: 'some' is not allowed; allowed: a valid integer or 'all'")


def test_a_value_that_cannot_be_printed_is_refused_in_one_line(file: Edited) -> None:
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]
    for value, found in ((10**5000, "(int too large to print)"), (deep, "(list too large to print)")):
        undo = file.put(("datasets", "mnist", "title"), value)
        file.refuses(f"params.yaml: datasets.mnist.title: {found} is not allowed; allowed: a valid string")
        undo()
    file["datasets.mnist"]["title"] = ["long"] * 100
    assert len(file.refuses("params.yaml: datasets.mnist.title: ['long', ", "...")) < 300


def test_a_misspelt_key_names_the_near_one_and_an_empty_list_what_it_lacks(file: Edited) -> None:
    file.data["seed"] = file.data.pop("seeds")
    file.refuses("params.yaml: seed: [0] is not allowed; allowed: one of the keys ")
    file.refuses("(did you mean seeds?)")
    del file.data["seed"]
    file.data["seeds"] = []
    file.refuses("params.yaml: seeds: [] is not allowed; allowed: at least one entry")
