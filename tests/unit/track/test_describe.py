"""Where runs are placed, and what MLflow is told of them."""

from collections.abc import Callable
from typing import Any

from stages.config.params import Params
from stages.track.describe import description, parameters, placement


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
    for name, study in params.studies.items():
        for alternative in study.alternatives:
            expected = (f"Study {name}", alternative, {"study": name})
            assert placement(params, study.dataset, alternative) == expected
    assert placement(params, "mnist", "mine") == ("Other cells on mnist", "mine", {})


def test_an_alternatives_description(params: Params, record: Callable[..., dict[str, Any]]) -> None:
    told = description(record("cifar10/resnet18-lr1e-2-sgd"), params)
    assert told["experiment"] == "Study resnet18-lr1e-2-optimizer"
    assert told["tags"]["dvc_stage"] == "train-study-cifar10@quick-resnet18-lr1e-2-sgd-3"
    assert told["start_time"] == 1767323045678


def test_parameters_are_flat_and_printed() -> None:
    assert parameters({"a": 1, "b": {"c": [], "d": {"e": None}}}) == {"a": "1", "b.c": "[]", "b.d.e": "None"}
