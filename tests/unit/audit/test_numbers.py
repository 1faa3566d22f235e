"""Which numbers there are, and which of them words mean."""

import pytest

from stages.audit import verify
from stages.audit.numbers import Number, chance, chosen, drawn, found_with, planned
from stages.config.params import CellKey, Params
from stages.core.errors import ParamError
from stages.report.rows import planned_rows
from tests.shipped import shipped_params


@pytest.fixture(scope="module")
def params() -> Params:
    return shipped_params().model_copy(update={"seeds": [0, 1]})


def test_the_planned_numbers_are_the_tables_rows_and_the_studies_by_seed(params: Params) -> None:
    numbers = planned(params)
    rows = sum(len(table.rows) for table in params.tables.values())
    assert rows == 34
    assert len(numbers) == len(set(numbers)) == 2 * (rows + 1)
    assert numbers[-1] == Number(
        "resnet18-lr1e-2-optimizer", "resnet18-lr1e-2-sgd", CellKey("alternatives", "cifar10", "resnet18-lr1e-2-sgd"), 1
    )


def test_numbers_are_chosen_by_table_row_cell_and_seed(params: Params) -> None:
    numbers = planned(params)
    assert len(chosen(numbers, "iv", None, None)) == 16
    (one,) = chosen(numbers, "IV", "vgg16 with adam", 1)
    assert (one.table, str(one.key), one.seed) == ("IV", "cifar10/vgg16-adam", 1)
    assert chosen(numbers, "cifar10/vgg16-adam", None, 1) == [one]


@pytest.mark.parametrize(
    ("where", "row", "seed", "said"),
    [
        ("X", None, None, "TABLE or CELL: 'X' is not allowed; allowed: one of I, II, III"),
        ("III", "VGG16", None, "ROW of III: 'VGG16' is not allowed; allowed: one of GoogLeNet with adam"),
        (None, None, 7, "--seed: 7 is not allowed; allowed: one of 0, 1"),
    ],
)
def test_what_is_not_planned_is_refused(
    params: Params, where: str | None, row: str | None, seed: int | None, said: str
) -> None:
    with pytest.raises(ParamError) as refused:
        chosen(planned(params), where, row, seed)
    assert refused.value.message.startswith(said)


def test_an_alternative_of_two_studies_stands_in_both_and_is_one_number(params: Params) -> None:
    of_cifar10 = {name: study for name, study in params.studies.items() if study.dataset == "cifar10"}
    (name,) = (name for name, study in of_cifar10.items() if "resnet18-lr1e-2-sgd" in study.alternatives)
    twice = params.model_copy(update={"studies": params.studies | {"another": params.studies[name]}})
    assert [row.table for row in planned_rows(twice)][-2:] == [name, "another"]
    assert planned(twice) == planned(params)


@pytest.mark.parametrize(
    ("where", "row", "cells"),
    [
        ("4", "VGG16  with ADAM", ["cifar10/vgg16-adam"]),
        ("IV", "vgg16-adam", ["cifar10/vgg16-adam"]),
        ("vgg16-adam", None, ["mnist/vgg16-adam", "cifar10/vgg16-adam"]),
        ("ResNet18 with Adam", None, ["mnist/resnet18-adam", "cifar10/resnet18-adam"]),
        ("resnet18-lr1e-2-optimizer", None, ["cifar10/resnet18-lr1e-2-sgd"]),
    ],
)
def test_words_mean_for_verify_what_they_mean_for_explain(
    params: Params, where: str, row: str | None, cells: list[str]
) -> None:
    assert [str(number.key) for number in chosen(planned(params), where, row, 0)] == cells


def test_a_lot_is_drawn_the_same_by_anyone_and_says_what_it_finds() -> None:
    numbers = planned(shipped_params())
    lot = drawn(numbers, 3, 7)
    assert lot == drawn(list(reversed(numbers)), 3, 7)
    assert lot != drawn(numbers, 3, 8)
    assert len(set(drawn(numbers, 100, 7))) == len(numbers)
    assert found_with(35, 35, 1) == 1.0
    assert found_with(10, 1, 3) == pytest.approx(0.3)
    assert found_with(4, 2, 2) == pytest.approx(5 / 6)
    assert chance(35, 3, 7) == (
        "trained again: 3 of 35 numbers, drawn with --draw 7; so many find 1 forged with 9 %, "
        "4 forged with 31 %, 18 forged with 90 %"
    )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--retrain"], "--retrain: 'nothing' is not allowed; allowed: a cell, or --sample N"),
        (["--draw", "3"], "--draw: 3 is not allowed; allowed: with --sample alone"),
        (["--retrain", "mnist/vgg16", "--sample", "2"], "--sample: 2 is not allowed; allowed: without a CELL"),
    ],
)
def test_a_lot_that_cannot_be_drawn_is_refused_in_one_line(words: list[str], said: str) -> None:
    with pytest.raises(ParamError) as refused:
        verify.main.main(words, standalone_mode=False)
    assert said in str(refused.value)
