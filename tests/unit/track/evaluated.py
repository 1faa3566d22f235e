"""Run records and results as the stages write them, with times and seeds of one's own; as JSON, to be changed."""

import base64
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from stages.core.files import json_text
from stages.records.evaluation import Evaluation, logits_path
from tests.shipped import shipped_params
from tests.unit.report.conftest import _tested, agreed, npy, scored, synthetic

_START = datetime(2026, 1, 2, 3, 4, 5, 678000, UTC)


def result(cell: str = "mnist/vgg16", seed: int = 0, later: float = 0.0, run_id: str | None = None) -> dict[str, Any]:
    """A result of a training that started `later` seconds after all others of its seed, with that MLflow run."""
    made = synthetic(shipped_params(), "quick", shipped_params().find(cell)[0], seed).content()
    start = _START + timedelta(seconds=later + 1000 * seed)

    def moment(seconds: float) -> str:
        return (start + timedelta(seconds=seconds)).isoformat(timespec="milliseconds")

    record = made["run"]
    record["times"] |= {"started": moment(0), "ended": moment(31.022), "seconds": 31.022}
    for number, epoch in enumerate(record["times"]["epochs"], 1):
        epoch["ended"] = moment(10.123 * number)
    record["mlflow"] = {"run_id": run_id, "experiment": "as it was"} if run_id else None
    made["history"][1]["validation_loss"] = None  # was not finite
    made["times"] = {"started": moment(32), "ended": moment(33.456), "seconds": 1.456}
    surest = {"test_image": 20, "label": 1, "predicted": 2, "probability": 0.75}
    made["most_confused"] = [surest | {"png": base64.b64encode(bytes(range(256)) * 4).decode()}] * 8
    return sealed(made)


def sealed(made: dict[str, Any]) -> dict[str, Any]:
    """With the hashes of the run record and history that it holds, as `train` and `evaluate` took them."""
    return agreed(made).content()


def typed(made: dict[str, Any]) -> Evaluation:
    """The result as a record."""
    return Evaluation.parse(made, "result.json", "evaluate")


def put_result(made: dict[str, Any], folder: Path) -> Path:
    """Write a result and its logits where `evaluate` puts them, under a working folder."""
    run = made["run"]
    file = folder / f"reports/{run['budget']}/cells/{run['cell']}-s{run['seed']}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(json_text(made).encode())
    logits_path(file).write_bytes(
        npy(scored(*_tested(shipped_params(), "quick", shipped_params().find(run["cell"])[0], run["seed"])).logits)
    )
    return file


def put_run(made: dict[str, Any], folder: Path) -> Path:
    """Write run.json and history.json where `train` puts them; the folder."""
    record = made["run"]
    run = folder / f"data/runs/{record['budget']}/{record['cell']}/s{record['seed']}"
    run.mkdir(parents=True, exist_ok=True)
    (run / "run.json").write_bytes(json_text(record).encode())
    (run / "history.json").write_bytes(json_text(made["history"]).encode())
    return run
