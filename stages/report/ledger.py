"""The ledger: every number of a budget with all that it comes from, as JSON by number and as CSV by number and seed.

Everything in it stands in the results (`stages.records`); nothing is looked up elsewhere, and nothing is guessed. The
CSV's columns are the JSON's keys, joined by `_`: `training_stage`. A number that has not run has no seeds: `n` is 0,
and its line of the CSV holds nothing of a training.

`level` is how far back the committed files alone follow the number (`stages.report.levels`): `recounted` from logits
and true labels, or `consistent`; `python -m stages.audit verify` goes further where weights and data are.

Hashes. `result_md5`, `data_md5`, `run_md5` and `spec_md5` are DVC's, as in dvc.lock. `code_sha256` is the fingerprint
of the code that trains (tests) the cell, `settings_sha256` that of the canonical JSON (keys sorted, no spaces) of the
training's settings, `binding` is the record's; those of weights, history, logits and labels are of the files.
"""

from collections.abc import Sequence
from typing import Any, Literal

from stages.core.files import digest, json_text
from stages.records.evaluation import Evaluation
from stages.records.lineage import StepName, lineage
from stages.records.provenance import Environment, Provenance
from stages.records.run import NumericsRecord, Span
from stages.report.evidence import Evidence
from stages.report.formats import EXACT, csv_text
from stages.report.levels import committed_level
from stages.report.markdown import plain
from stages.report.rows import TableRow, all_rows

_LAST = "as_logged"  # its columns stand last in the CSV


def ledger_json(budget: str, numbers: Sequence[dict[str, Any]]) -> str:
    """The ledger's entries as JSON: each with its `seeds`; accuracies in percent, differences in points."""
    return json_text({"schema": 2, "budget": budget, "numbers": numbers})


def ledger_csv(numbers: Sequence[dict[str, Any]]) -> str:
    """The ledger's entries as CSV: a line for each number and seed, with what the seeds share repeated."""
    lines = []
    for number in numbers:
        shared = {key: value for key, value in number.items() if key not in ("seeds", _LAST)}
        last = {_LAST: number[_LAST]} if number[_LAST] else {}
        lines += [_flat({**shared, **seed, **last}) for seed in number["seeds"] or [{}]]
    columns = list(dict.fromkeys(column for line in lines for column in line))
    columns.sort(key=lambda column: column.startswith(_LAST))  # stable: the rest stays in its order
    return csv_text(columns, lines)


def ledger(evidence: Evidence) -> list[dict[str, Any]]:
    """The ledger's entries: the rows of the tables in their order, then the planned alternatives of the studies.

    A row with an as-logged cell names it, with its number, under `as_logged`; if it is planned, it has an entry too.
    """
    return [_number(evidence, row) for row in all_rows(evidence)]


def _number(evidence: Evidence, row: TableRow) -> dict[str, Any]:
    logged = row.as_logged
    return {
        "table": row.table,
        "row": row.row,
        "cell": str(row.key),
        "budget": evidence.budget_name,
        "paper": row.paper,
        **row.statistics(),
        "seeds": [_seed(result) for result in row.results.results],
        "as_logged": logged and {"cell": str(logged.key), "differs": plain(logged.differs), **logged.statistics()},
    }


def _seed(result: Evaluation) -> dict[str, Any]:
    run, artifacts = result.run, lineage(result)

    def at(step: StepName, name: str) -> dict[str, Any]:
        artifact = artifacts.of(step, name)
        return {"path": artifact.path, "md5": artifact.hash}

    def sha256(step: StepName, name: str) -> str | None:
        return artifacts.of(step, name, "sha256").hash

    def made(step: Literal["training", "evaluation"], of: Provenance) -> dict[str, Any]:
        git = {"commit": of.git.commit, "dirty": of.git.dirty, "changed": of.git.changed}
        return {"run_by": of.run_by, **git, "spec": at(step, "spec"), "code_sha256": sha256(step, "code")}

    return {
        "seed": result.seed,
        "value": round(result.percent, EXACT),
        "correct": result.correct,
        "test_images": result.test_images,
        "level": committed_level(result),
        "ended_as": result.outcome,
        "mlflow_run": result.mlflow_run,
        "result": {**at("number", "result"), "binding": result.binding},
        "training": {
            "stage": run.stage,
            "settings_sha256": digest(run.config.model_dump(mode="json")),
            **made("training", run.provenance),
            **_ran(run.provenance.environment, run.numerics, run.times),
            "machines": len(run.machines),
            "data": at("arrays", "training arrays"),
            "run": at("weights", "run"),
            "weights_sha256": sha256("weights", "weights"),
            "history_sha256": sha256("weights", "history"),
            "binding": run.binding,
        },
        "evaluation": {
            "stage": result.stage,
            **made("evaluation", result.provenance),
            **_ran(result.provenance.environment, result.numerics, result.times),
            "data": at("arrays", "test arrays"),
            "logits_sha256": sha256("predictions", "logits"),
            "labels_sha256": sha256("predictions", "labels"),
        },
    }


def _ran(machine: Environment, numerics: NumericsRecord, times: Span) -> dict[str, Any]:
    return {
        "device": numerics.device,
        "precision": numerics.precision,
        "threads": numerics.threads,
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
