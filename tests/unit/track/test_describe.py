"""Where runs are placed, and what MLflow holds of them."""

from collections.abc import Callable

import pytest
import torch
from torch import nn

from stages.config.params import Params
from stages.config.settings import Cell
from stages.track import describe
from stages.track.describe import (
    TrainingStart,
    description,
    epoch_metrics,
    parameters,
    placement,
    run_metrics,
)
from tests.unit.report.conftest import synthetic, trained


def test_every_row_has_its_tables_experiment(params: Params) -> None:
    placed = {}
    for number, table in params.tables.items():
        for row in table.rows:
            experiment, name, tags = placement(params, table.dataset, row.cell)
            placed[experiment, name] = tags
            assert (experiment, name) == (f"Table {number}: {table.caption}", row.row)
            assert tags.items() >= {"table": number, "row": row.row}.items()
        colours = [placement(params, table.dataset, row.cell)[2]["mlflow.runColor"] for row in table.rows]
        assert len(set(colours)) == len(colours)  # no two rows of a table alike in MLflow's charts
    assert len(placed) == sum(len(table.rows) for table in params.tables.values())


def test_alternatives_go_to_their_study(params: Params) -> None:
    in_tables = {
        (table.dataset, cell)
        for table in params.tables.values()
        for row in table.rows
        for cell in (row.cell, row.as_logged)
    }
    for study in params.studies.values():
        for alternative in study.alternatives:
            if (study.dataset, alternative) not in in_tables:  # a table's cell stands in its table
                experiment, run_name, tags = placement(params, study.dataset, alternative)
                assert (experiment, run_name, tags) == (f"Study {tags['study']}", alternative, {"study": tags["study"]})
                assert alternative in params.studies[tags["study"]].alternatives
    assert placement(params, "mnist", "mine") == ("Other cells on mnist", "mine", {})


def test_what_a_rows_logs_suggest_stands_beside_the_row(params: Params) -> None:
    table = params.tables["V"]
    rows = [row.model_copy(update={"as_logged": "resnet18-lr1e-2-sgd"}) for row in table.rows[1:2]]
    tables = params.tables | {"V": table.model_copy(update={"rows": [*table.rows[:1], *rows]})}
    logged = params.model_copy(update={"tables": tables})
    experiment, name, tags = placement(logged, "cifar10", "resnet18-lr1e-2-sgd")
    assert (experiment, name) == (f"Table V: {table.caption}", "ResNet18 with lr=0.01, as logged")
    assert tags == {"table": "V", "row": "ResNet18 with lr=0.01", "as_logged": "true"}


def test_an_alternatives_description(params: Params, start: Callable[..., TrainingStart]) -> None:
    found = description(start("cifar10/resnet18-lr1e-2-sgd"), params)
    assert found["experiment"] == "Study resnet18-lr1e-2-optimizer"
    assert found["tags"]["dvc_stage"] == "train-study-cifar10@quick-resnet18-lr1e-2-sgd-3"
    assert found["start_time"] == 1767323045678
    assert found["dataset"]["name"] == "CIFAR10 training split"


def test_parameters_are_flat_and_those_that_the_run_uses(params: Params) -> None:
    found = parameters(params.run("mnist/vgg16-sgd", "quick", 3))
    assert found.items() >= {"seed": "3", "cell.lr": "0.001", "cell.hidden_layers": "[]", "images": "1800"}.items()
    assert {"cell.momentum", "cell.depth", "cell.batch_norm_eps"} <= found.keys()
    assert not {"cell.alpha", "cell.beta1", "cell.stem"} & found.keys()  # of other optimizers and families
    assert "cell.dropout" not in found  # follows hidden layers, and here there are none
    assert "cell.dropout" in parameters(params.run("mnist/vgg16-sgd", "paper", 3))
    without = parameters(params.run("cifar10/googlenet-sgd-no-norm", "paper", 3))
    assert not {"cell.batch_norm_eps", "cell.batch_norm_momentum"} & without.keys()
    assert {"cell.batch_norm", "cell.dropout", "cell.auxiliary_dropout"} <= without.keys()


@pytest.mark.parametrize(
    ("cell", "budget"), [("cifar10/googlenet-sgd-no-norm", "paper"), ("mnist/vgg11", "quick"), ("mnist/vgg11", "paper")]
)
def test_what_is_left_out_is_what_no_layer_has(params: Params, cell: str, budget: str) -> None:
    """A network is the same whatever such a setting is, and another one for each of the rest."""
    settings = params.run(cell, budget, 0)
    logged = {name.removeprefix("cell.") for name in parameters(settings)}
    for name in ("dropout", "batch_norm_eps", "batch_norm_momentum"):
        layers = {repr(_network(settings.cell.replaced(**{name: value}))) for value in (0.125, 0.25)}
        assert len(layers) == (2 if name in logged else 1), name


def _network(cell: Cell) -> nn.Module:
    with torch.device("meta"):
        return cell.build(channels=1, classes=10, input_size=32)


def test_accuracies_are_in_percent_as_in_the_tables_and_say_so(params: Params) -> None:
    result = synthetic(params, "quick", params.find("mnist/vgg16")[0], 0)
    tested = describe.tested_metrics(result)
    assert tested["test_accuracy_percent"] == pytest.approx(result.percent)
    epoch = result.history[0].model_copy(update={"validation_accuracy": 0.578, "train_sample_accuracy": 0.29})
    found = epoch_metrics(epoch)
    assert (found["validation_accuracy_percent"], found["train_sample_accuracy_percent"]) == (57.8, 29.0)
    named = {name for name in (*tested, *found) if "accuracy" in name}
    assert {name.rpartition("_")[2] for name in named} == {"percent"}
    assert found.keys() - named == {"train_loss", "train_sample_loss", "validation_loss"}


def test_the_size_of_the_network_is_a_metric(params: Params) -> None:
    run, _ = trained(params, "quick", params.find("mnist/vgg16")[0], 0)
    found = run_metrics(run)
    assert found["network.parameters"] == run.network.parameters
    assert found["network.multiply_adds"] == run.network.multiply_adds
