"""The ledger: every number of a budget with all that it comes from, as JSON by number and as CSV by number and seed.

Everything in it stands in the results, which are refused when any of it is absent (`stages.report.results`); nothing is
looked up elsewhere, and nothing is guessed. The CSV's columns are the JSON's keys, joined by `_`: `training_stage`.

Hashes. `result_md5`, `data_md5` and `run_md5` are DVC's, as in dvc.lock. `code_sha256` is that of the canonical JSON
(keys sorted, no spaces) of the md5 of each source dependency by its path, `parameters_sha256` that of the recorded
parameters; those of weights, history, logits and labels are of the files.
"""

import csv
import io
from typing import Any

from stages.core.files import json_text
from stages.report.evidence import Evidence
from stages.report.formats import EXACT
from stages.report.origins import Made, Span
from stages.report.outcomes import outcome
from stages.report.places import Place, places
from stages.report.results import Result


def ledger_json(evidence: Evidence) -> str:
    """The ledger as JSON: `numbers`, each with its `seeds`; accuracies in percent, differences in points."""
    return json_text({"schema": 1, "budget": evidence.budget_name, "numbers": numbers(evidence)})


def ledger_csv(evidence: Evidence) -> str:
    """The ledger as CSV: a line for each number and seed, with what the seeds share repeated."""
    lines = [
        _flat({**{key: value for key, value in number.items() if key != "seeds"}, **seed})
        for number in numbers(evidence)
        for seed in number["seeds"]
    ]
    text = io.StringIO()
    columns = list(dict.fromkeys(column for line in lines for column in line))
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return text.getvalue()


def numbers(evidence: Evidence) -> list[dict[str, Any]]:
    """The ledger's entries: the rows of the tables in their order, then the planned alternatives of the studies."""
    return [_number(evidence, place) for place in places(evidence.params)]


def _number(evidence: Evidence, place: Place) -> dict[str, Any]:
    cell, paper = evidence.cell(place.key.dataset, place.key.name), evidence.paper.accuracy(place.table, place.row)
    return {
        "table": place.table,
        "row": place.row,
        "cell": str(cell.key),
        "budget": evidence.budget_name,
        "paper": paper,
        "mean": round(cell.mean, EXACT),
        "std": None if cell.std is None else round(cell.std, EXACT),
        "n": len(cell.results),
        "difference": None if paper is None else round(cell.mean - float(paper), EXACT),
        "outcome": outcome(cell),
        "seeds": [_seed(result) for result in cell.results],
    }


def _seed(result: Result) -> dict[str, Any]:
    run, evaluated = result.run, result.evaluated
    data, arrays = run.training_arrays
    tested, test_arrays = evaluated.test_arrays
    folder, files = evaluated.run_folder
    return {
        "seed": result.seed,
        "value": round(result.percent, EXACT),
        "correct": result.correct,
        "test_images": result.test_images,
        "ended_as": result.outcome,
        "mlflow_run": result.mlflow_run,
        "result": {"path": result.file.path, "md5": result.file.md5},
        "training": {
            "stage": result.stages.train,
            "run_by": run.run_by,
            **_made(run, run.times),
            "data": {"path": data, "md5": arrays.md5},
            "run": {"path": folder, "md5": files.md5},
            "weights_sha256": run.sha256.weights,
            "history_sha256": run.sha256.history,
        },
        "evaluation": {
            "stage": result.stages.evaluate,
            **_made(evaluated, evaluated.times),
            "data": {"path": tested, "md5": test_arrays.md5},
            "logits_sha256": result.sha256.logits,
            "labels_sha256": result.sha256.labels,
        },
    }


def _made(made: Made, times: Span) -> dict[str, Any]:
    machine = made.environment
    return {
        "commit": made.git.commit,
        "dirty": made.git.dirty,
        "changed": made.git.changed,
        "parameters_sha256": made.params_sha256,
        "code_sha256": made.code_sha256,
        "device": made.device,
        "precision": made.precision,
        "threads": made.threads,
        "processor": machine.processor,
        "platform": machine.platform,
        "python": machine.python,
        "packages": machine.packages,
        "started": times.started,
        "ended": times.ended,
        "seconds": times.seconds,
    }


def _flat(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """A line of the CSV. Lists are joined with `;`; what is None is empty."""
    line: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, dict):
            line |= _flat(value, f"{prefix}{key}_")
        else:
            line[prefix + key] = ";".join(value) if isinstance(value, list) else value
    return line
