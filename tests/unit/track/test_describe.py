"""Where runs are placed, and what MLflow holds of them."""

from collections.abc import Callable

from stages.config.params import Params
from stages.track.describe import TrainingStart, description, parameters, placement, run_metrics
from tests.unit.report.conftest import trained


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


def test_parameters_are_flat_and_those_that_the_run_has(params: Params) -> None:
    found = parameters(params.run("mnist/vgg16-sgd", "quick", 3))
    assert found.items() >= {"seed": "3", "cell.lr": "0.001", "cell.hidden_layers": "[]", "images": "1800"}.items()
    assert {"cell.momentum", "cell.depth"} <= found.keys()
    assert not {"cell.alpha", "cell.beta1", "cell.stem"} & found.keys()  # of other optimizers and families


def test_the_size_of_the_network_is_a_metric(params: Params) -> None:
    run, _ = trained(params, "quick", params.find("mnist/vgg16")[0], 0)
    found = run_metrics(run)
    assert found["network.parameters"] == run.network.parameters
    assert found["network.multiply_adds"] == run.network.multiply_adds
