"""All that is known of one number, as plain data: what `explain --json` prints and the text is made from."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from stages.audit.difference import changes
from stages.audit.history import History
from stages.audit.pipeline import Stages
from stages.audit.questions import with_results
from stages.config.cells import changed_settings
from stages.config.params import Params
from stages.core.errors import CorruptFileError, ParamError
from stages.core.files import flatten
from stages.core.regular import is_there
from stages.records.copies import other_copies, preprocess_entry
from stages.records.dvc_lock import Lock
from stages.records.evaluation import Evaluation
from stages.records.lineage import Artifact, Lineage, lineage
from stages.records.planned import switch_of
from stages.records.provenance import Environment, Provenance
from stages.records.run import NumericsRecord, TrainingRun
from stages.records.spec import Spec
from stages.report.conditions import conditions
from stages.report.evidence import CellResults, Evidence
from stages.report.formats import fixed
from stages.report.levels import committed_level
from stages.report.results import check_result, settings_then_and_now
from stages.report.rows import TableRow, all_rows, assumptions_of, lines


def answer(evidence: Evidence, number: TableRow, seed: int | None, stages: Stages, lock: Lock) -> dict[str, Any]:
    """Everything about a number, and about one of its trainings: that of `seed`, or of the first seed with a result.

    Raises a StageError when there is no such result, or it does not say where it comes from.
    """
    params, seeds = evidence.params, evidence.params.seeds_of(number.key)
    if seed is not None and seed not in seeds:
        raise ParamError("--seed", seed, "one of the seeds of params.yaml: " + ", ".join(map(str, seeds)))
    there = [one for one in seeds if is_there(stages.result(number.key, one))]
    chosen = (there or seeds)[0] if seed is None else seed
    results = {one: _result(evidence, number, one, stages) for one in sorted({*there, chosen})}
    cell = CellResults(number.key, tuple(seeds), tuple(results[one] for one in seeds if one in results))
    evidence = replace(evidence, cells=evidence.cells | {str(number.key): cell})
    number, row = _rows(evidence, number, stages)
    result, history = results[chosen], History()
    places = stages.places(number.key, chosen)
    entry, cells = preprocess_entry(lock, places.preprocess), stages.result(number.key, chosen).parent
    copies = other_copies(result.run, places.training, entry, cells, lock)
    artifacts = lineage(result, lock, places, has_other_copies=copies is not None)
    found = {
        "number": _number(number, evidence.budget_name),
        "seed": chosen,
        "as_logged": _as_logged(params, row, number),
        "conditions": _conditions(evidence, number),
        "spec": _spec(result, history),
        "configuration": _configuration(params, number, result),
        "assumptions": _assumptions(evidence, number),
        "chain": [_artifact(artifact) for artifact in artifacts],
        "code": {
            "training": _code(result.run.provenance, history),
            "evaluation": _code(result.provenance, history),
        },
        "machine": {
            "training": _machine(result.run.provenance.environment, result.run.numerics),
            "evaluation": _machine(result.provenance.environment, result.numerics),
        },
        "machines": _machines(result.run),
        "times": {
            "training": result.run.times.model_dump(mode="json"),
            "evaluation": result.times.model_dump(mode="json"),
        },
        "mlflow": _mlflow(number, result),
        "reproduce": _reproduce(params, number, result, lock),
    }
    notes = _notes(params, number, result, artifacts, found)
    if copies:
        notes.append(copies.sentence(places.preprocess))
    return found | {"notes": [*notes, *_of_the_clone(history)]}


def _result(evidence: Evidence, number: TableRow, seed: int, stages: Stages) -> Evaluation:
    path = stages.result(number.key, seed)
    result = Evaluation.read(path, f"dvc repro {stages.evaluate(number.key, seed).name}")
    found, expected = (result.cell, result.budget, result.seed), (str(number.key), stages.budget, seed)
    if found != expected:
        raise CorruptFileError(path, f"the result of {', '.join(map(str, found))}", ", ".join(map(str, expected)))
    check_result(path, result, evidence.params)
    return result


def _rows(evidence: Evidence, number: TableRow, stages: Stages) -> tuple[TableRow, TableRow | None]:
    """The number, whose results are in the evidence, and the row that has it beside another; None where it is alone."""

    def row_of(rows: list[TableRow]) -> TableRow | None:
        place = (number.table, number.printed)
        return next((one for one in rows if one.as_logged and (one.table, one.row) == place), None)

    row = row_of(all_rows(evidence))
    beside = {one.key for one in lines([row] if row else [])} - {number.key}
    rows = all_rows(with_results(evidence, beside, stages))
    found = next(one for one in rows if (one.table, one.row) == (number.table, number.row))
    return found, row_of(rows)


def _number(number: TableRow, budget: str) -> dict[str, Any]:
    return {
        "table": number.table,
        "row": number.row,
        "cell": str(number.key),
        "budget": budget,
        "paper": number.paper,
        "ours": number.mean_text,
        "std": None if number.std is None else number.std_text,
        "n": number.n,
        "planned": len(number.results.planned),
        "difference": None if number.difference is None else number.difference_text,
        "outcome": number.outcome,
        "seeds": {
            str(result.seed): {
                "value": fixed(result.percent, number.decimals),
                "correct": result.correct,
                "test_images": result.test_images,
                "outcome": result.outcome,
                "level": committed_level(result),
            }
            for result in number.results.results
        },
    }


def _as_logged(params: Params, row: TableRow | None, number: TableRow) -> dict[str, Any] | None:
    """A row's two numbers, that of the text's setting and that of the printed logs'; None where these are one."""
    if row is None or row.as_logged is None:
        return None
    rows = {"text": row, "logged": row.as_logged}
    text, logged = (params.find(str(one.key))[1].model_dump() for one in rows.values())
    cells = {
        name: {"cell": str(one.key), "ours": one.mean_text if one.has_run else None, "outcome": one.outcome}
        for name, one in rows.items()
    }
    differs = {name: {"text": text.get(name), "logged": logged.get(name)} for name in changed_settings(text, logged)}
    return cells | {"differs": differs, "this": "logged" if number.is_as_logged else "text"}


def _conditions(evidence: Evidence, number: TableRow) -> dict[str, Any]:
    found = conditions(evidence, number.key.dataset, [number.key.name])
    own, run = _settings(evidence.params, number, evidence.budget_name)
    return {
        "budget": evidence.budget_name,
        "caption": evidence.budget.caption,
        "as_paper": found.as_paper,
        "sizes": found.sizes(),
        "overrides": {name: {"value": run[name], "instead_of": own[name]} for name in own if own[name] != run[name]},
    }


def _settings(params: Params, number: TableRow, budget: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """A cell's own settings, and those that the budget gives it."""
    cell = str(number.key)
    return params.find(cell)[1].model_dump(), params.settings(cell, budget).cell.model_dump()


def _spec(result: Evaluation, history: History) -> dict[str, Any]:
    """The file that says what the cell is, and the last commit that changed it."""
    reference = result.run.provenance.spec
    commit, date = history.last_commit(reference.path) or (None, None)
    file = Path(reference.path)
    return {
        "path": reference.path,
        "md5": reference.md5,
        "here": file.is_file(),
        "last_commit": commit,
        "date": date,
        "fingerprint": {"train": result.run.provenance.code.sha256, "evaluate": result.provenance.code.sha256},
        "scheme": result.run.provenance.code.scheme,
        "modules": {"train": len(result.run.provenance.code.modules), "evaluate": len(result.provenance.code.modules)},
    }


def _configuration(params: Params, number: TableRow, result: Evaluation) -> dict[str, Any]:
    """The settings that the training recorded, and what of them differs from the plain row's under the same budget."""
    recorded = flatten(result.run.config.model_dump(mode="json"))
    plain = flatten(params.run(str(number.base), result.budget, result.seed).model_dump(mode="json"))
    changed = {
        name: {"value": recorded.get(name), "plain": plain.get(name)} for name in changed_settings(recorded, plain)
    }
    return {"settings": recorded, "plain": str(number.base), "differs": changed}


def _assumptions(evidence: Evidence, number: TableRow) -> list[dict[str, Any]]:
    params = evidence.params
    own, run = _settings(params, number, evidence.budget_name)
    study, is_alternative = params.studies.get(number.table), number.key.section == "alternatives"
    base = params.find(str(number.base if is_alternative else number.key))[1]
    changed = changed_settings(base.model_dump(), params.find(str(number.key))[1].model_dump())
    found = []
    for assumption in assumptions_of(evidence, number):
        tried = study.assumption == assumption.id if study else bool(set(changed) & set(assumption.decides))
        found.append(
            {
                **assumption.model_dump(include={"id", "point", "assumption", "reason", "change"}),
                "settings": {name: run[name] for name in assumption.decides if name in run},
                "replaced_by_budget": [name for name in assumption.decides if own.get(name) != run.get(name)],
                "tried_otherwise": changed if tried and is_alternative else [],
                "studies": [name for name, other in params.studies.items() if other.assumption == assumption.id],
            }
        )
    return found


def _artifact(one: Artifact) -> dict[str, Any]:
    return {
        "step": one.step,
        "name": one.name,
        "path": one.path,
        "algorithm": one.algorithm,
        "hash": one.hash,
        "here": None if one.path is None else Path(one.path).exists(),
        "recorded": [{"file": said.file, "key": said.key, "hash": said.hash} for said in one.witnesses],
    }


def _code(made: Provenance, history: History) -> dict[str, Any]:
    """The commit, and whether it is here and holds the recorded sources."""
    differing = history.differing(made.git.commit, made.sources)
    return {
        "commit": made.git.commit,
        "dirty": made.git.dirty,
        "changed": made.git.changed,
        "changes": changes(made),
        "difference_is_recorded": made.git.difference is not None,
        "difference": made.git.difference,
        "fingerprint": made.code.sha256,
        "run_by": made.run_by,
        "sources": len(made.sources),
        "commit_is_here": differing is not None,
        "differs_from_commit": differing,
    }


def _machine(environment: Environment, numerics: NumericsRecord) -> dict[str, Any]:
    return environment.model_dump(mode="json") | numerics.model_dump(mode="json", exclude={"backend"})


def _machines(run: TrainingRun) -> list[dict[str, Any]]:
    """The machines of a training that was resumed on another, each with its epochs; none where it was one."""
    found = []
    for index, machine in enumerate(run.machines if len(run.machines) > 1 else []):
        epochs = [number for number, epoch in enumerate(run.times.epochs, 1) if epoch.machine == index]
        found.append({"epochs": epochs, "processor": machine.processor, "platform": machine.platform})
    return found


def _mlflow(number: TableRow, result: Evaluation) -> dict[str, Any] | None:
    if result.run.mlflow is None:
        return None
    return {"run_id": result.run.mlflow.run_id, "experiment": result.run.mlflow.experiment, "run": number.row}


def _reproduce(params: Params, number: TableRow, result: Evaluation, lock: Lock) -> dict[str, Any]:
    """The commands that make this number again: with DVC, which leaves the tables to another one, and without."""
    entries = [lock.entry(stage) for stage in (result.run.stage, result.stage)]
    needed = []
    if params.budget != result.budget:
        needed.append(f"budget: {result.budget}")
    if result.seed not in params.seeds_of(number.key):
        needed.append(f"seeds: [{result.seed}]")
    if switch := switch_of(result):
        needed.append(switch)
    return {
        **_uncommitted(number, result),
        "checkout": f"git checkout {result.run.provenance.git.commit}",
        "params": needed,
        "dvc": f"dvc repro {result.stage}",
        "tables": f"dvc repro --single-item aggregate-tables@{result.budget}",
        "plain": [" ".join(entry.cmd.split()) for entry in entries if entry],
    }


def _uncommitted(number: TableRow, result: Evaluation) -> dict[str, str | None]:
    """The commands that keep and apply what was not committed when the training ran; the spec is made anew anyway."""
    made = result.run.provenance
    if made.git.difference is None or not set(made.git.changed) - {made.spec.path}:
        return {"difference": None, "apply": None}
    asked = f"python -m stages.audit explain {number.key} --budget {result.budget} --seed {result.seed}"
    return {"difference": f"{asked} --difference training > uncommitted.patch", "apply": "git apply uncommitted.patch"}


def _notes(
    params: Params, number: TableRow, result: Evaluation, artifacts: Lineage, found: dict[str, Any]
) -> list[str]:
    """What does not hold together, or cannot be looked up here."""
    notes = []
    if changed := settings_then_and_now(result.run.config, params.run(str(number.key), result.budget, result.seed)):
        notes.append(f"trained with {changed[0]}; params.yaml says now {changed[1]}: dvc repro would train it anew")
    notes += _of_the_spec(result)
    for one in artifacts:
        name = f"{one.name} {one.path or ''}"
        notes += [f"{name}: {said} has {said.hash}, not {one.hash}" for said in one.disagreeing]
        notes += [f"{name}: {said} has no hash" for said in one.silent]
    file = artifacts.of("number", "result")
    if file.hash and file.found() != file.hash:
        notes.append(f"{file.path} has md5 {file.found()}, not {file.hash} as dvc.lock says")
    for step, code in found["code"].items():
        notes += _of_the_commit(step, code, result.run.provenance.spec.path)
    if result.run.provenance.run_by == "hand":
        notes.append("trained by hand, not by DVC")
    return notes


def _of_the_clone(history: History) -> list[str]:
    """What a shallow clone cannot know: it takes its oldest commit for the last change of every older file."""
    if not history.is_shallow():
        return []
    return [
        "this clone is shallow: commits are missing, and a last change may be older than it seems; "
        "git fetch --unshallow brings them"
    ]


def _of_the_spec(result: Evaluation) -> list[str]:
    """Whether the spec that lies there is still the one of the training, in its code."""
    file = Path(result.run.provenance.spec.path)
    if not file.is_file():
        return [f"{file} is not here (git checkout, or dvc repro resolve@{result.budget})"]
    code = Spec.read(file, f"dvc repro resolve@{result.budget}").code
    found = {"trained": (result.run.provenance.code.sha256, code.train)}
    found["tested"] = (result.provenance.code.sha256, code.evaluate)
    return [
        f"{how} by code of the fingerprint {then[:12]}; {file} has {now[:12]}: dvc repro would do it anew"
        for how, (then, now) in found.items()
        if then != now
    ]


def _of_the_commit(step: str, code: dict[str, Any], spec: str) -> list[str]:
    """A spec that was not committed yet says nothing: it is made from the commit, which `verify` does once more."""
    changed = [path for path in code["changed"] if path != spec]
    differing = [path for path in code["differs_from_commit"] or () if path not in code["changed"]]
    notes = []
    if not code["commit_is_here"]:
        notes.append(f"commit {code['commit']} of the {step} is not in this clone (git fetch, or its fork)")
    if differing:
        notes.append(f"commit of the {step} does not hold the recorded {', '.join(differing)}")
    if changed:
        kept = "; the record holds the difference" if code["difference_is_recorded"] else ""
        notes.append(f"{step} with uncommitted changes in {', '.join(changed)}: the commit is not all of it{kept}")
    return notes
