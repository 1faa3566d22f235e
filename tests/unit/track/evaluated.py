"""Run records and results as the stages write them, from one that is committed, with times and seeds of one's own."""

import base64
import copy
import hashlib
import json
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from stages.core.files import json_text

ROOT = Path(__file__).parents[3]
_START = datetime(2026, 1, 2, 3, 4, 5, 678000, UTC)


@cache
def _committed(cell: str) -> str:
    dataset, name = cell.split("/")
    return (ROOT / f"reports/quick/cells/{dataset}/{name}-s0.json").read_text()


def result(cell: str = "mnist/vgg16", seed: int = 0, later: float = 0.0, run_id: str | None = None) -> dict[str, Any]:
    """A result of a training that started `later` seconds after all others of its seed, with that MLflow run."""
    made: dict[str, Any] = copy.deepcopy(json.loads(_committed(cell)))
    start = _START + timedelta(seconds=later + 1000 * seed)

    def moment(seconds: float) -> str:
        return (start + timedelta(seconds=seconds)).isoformat(timespec="milliseconds")

    record = made["run"]
    made["seed"] = record["seed"] = record["config"]["seed"] = seed
    record["stage"] = made["stages"]["train"] = f"{record['stage'].rpartition('-')[0]}-{seed}"
    made["stages"]["evaluate"] = f"{made['stages']['evaluate'].rpartition('-')[0]}-{seed}"
    record["run_by"] = "dvc"
    record["data"] = {"dataset": "mnist", "title": "MNIST", "sha256": {"train_images": "ab" * 32}}
    record["times"] |= {"started": moment(0), "ended": moment(31.022), "seconds": 31.022}
    for number, epoch in enumerate(record["times"]["epochs"], 1):
        epoch["ended"] = moment(10.123 * number)
    record["mlflow"] = {"run_id": run_id, "experiment": "as it was"} if run_id else None
    made["history"][1]["validation_loss"] = None  # was not finite
    made["evaluated"]["times"] = {"started": moment(32), "ended": moment(33.456), "seconds": 1.456}
    surest = {"test_image": 20, "label": 1, "predicted": 2, "probability": 0.75}
    made["most_confused"] = [surest | {"png": base64.b64encode(bytes(range(256)) * 4).decode()}] * 8
    return sealed(made)


def sealed(made: dict[str, Any]) -> dict[str, Any]:
    """With the hashes of the run record and history that it holds, as `train` and `evaluate` took them."""
    made["run"]["sha256"]["history.json"] = hashlib.sha256(json_text(made["history"]).encode()).hexdigest()
    folder = next(path for path in made["evaluated"]["deps"] if path.startswith("data/runs/"))
    files = made["evaluated"]["deps"].pop(folder)["files"]
    for name, content in (("run.json", made["run"]), ("history.json", made["history"])):
        files[name] = hashlib.md5(json_text(content).encode(), usedforsecurity=False).hexdigest()
    made["evaluated"]["deps"][folder] = {"md5": "0f.dir", "files": files}
    return made


def put_result(made: dict[str, Any], folder: Path) -> Path:
    """Write a result where `evaluate` puts it, under a working folder."""
    file = folder / f"reports/{made['budget']}/cells/{made['cell']}-s{made['seed']}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(json_text(made).encode())
    return file


def put_run(made: dict[str, Any], folder: Path) -> Path:
    """Write run.json and history.json where `train` puts them; the folder."""
    run = folder / f"data/runs/{made['budget']}/{made['cell']}/s{made['seed']}"
    run.mkdir(parents=True, exist_ok=True)
    (run / "run.json").write_bytes(json_text(made["run"]).encode())
    (run / "history.json").write_bytes(json_text(made["history"]).encode())
    return run
