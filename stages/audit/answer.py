"""All that is known of one number, as plain data: what `explain --json` prints and the text is made from."""

from pathlib import Path
from typing import Any

from stages.audit.chain import Chain, Link
from stages.audit.history import History, by_file
from stages.audit.lock import Lock
from stages.audit.pipeline import Stages
from stages.config.params import Params, difference, flatten
from stages.core.errors import ParamError
from stages.report.conditions import conditions
from stages.report.evidence import CellResults, Evidence
from stages.report.formats import decimals, fixed, signed
from stages.report.origins import Made
from stages.report.outcomes import outcome
from stages.report.places import Place
from stages.report.results import Result, changed_settings, check_result


def answer(evidence: Evidence, number: Place, seed: int | None, stages: Stages, lock: Lock) -> dict[str, Any]:
    """Everything about a number, and about one of its trainings: that of `seed`, or of the first seed.

    Raises a StageError when a result is missing, or does not say where it comes from.
    """
    params, seeds = evidence.params, evidence.params.seeds
    if seed is not None and seed not in seeds:
        raise ParamError("--seed", seed, "one of the seeds of params.yaml: " + ", ".join(map(str, seeds)))
    chains = {one: _chain(evidence, number, one, stages, lock) for one in seeds}
    chosen = seeds[0] if seed is None else seed
    chain, cell = chains[chosen], CellResults(number.key, tuple(found.result for found in chains.values()))
    result, history = chain.result, History()
    found = {
        "number": _number(evidence, number, cell),
        "seed": chosen,
        "conditions": _conditions(evidence, number),
        "configuration": _configuration(params, number, result),
        "assumptions": _assumptions(evidence, number, result),
        "chain": [_link(link) for link in chain.links],
        "code": {"training": _code(result.run, history), "evaluation": _code(result.evaluated, history)},
        "machine": {"training": _machine(result.run), "evaluation": _machine(result.evaluated)},
        "times": {"training": result.run.times.model_dump(), "evaluation": result.evaluated.times.model_dump()},
        "mlflow": _mlflow(number, result),
        "reproduce": _reproduce(params, result, lock),
    }
    return found | {"notes": _notes(params, number, chain, found)}


def _chain(evidence: Evidence, number: Place, seed: int, stages: Stages, lock: Lock) -> Chain:
    stage = stages.evaluate(number.key, seed)
    path = stages.result(number.key, seed)
    chain = Chain.of(path, stage.name, lock)
    check_result(path, chain.result, evidence.params, evidence.budget_name, number.key, seed)
    return chain


def _number(evidence: Evidence, number: Place, cell: CellResults) -> dict[str, Any]:
    places, paper = (
        decimals(evidence.test_images(number.key.dataset)),
        evidence.paper.accuracy(number.table, number.row),
    )
    return {
        "table": number.table,
        "row": number.row,
        "cell": str(number.key),
        "budget": evidence.budget_name,
        "paper": paper,
        "ours": fixed(cell.mean, places),
        "std": None if cell.std is None else fixed(cell.std, places),
        "n": len(cell.results),
        "difference": None if paper is None else signed(cell.mean - float(paper), places),
        "outcome": outcome(cell),
        "seeds": {
            str(result.seed): {
                "value": fixed(result.percent, places),
                "correct": result.correct,
                "test_images": result.test_images,
                "outcome": result.outcome,
            }
            for result in cell.results
        },
    }


def _conditions(evidence: Evidence, number: Place) -> dict[str, Any]:
    found = conditions(evidence, number.key.dataset, [number.key.name])
    own, run = _settings(evidence.params, number, evidence.budget_name)
    return {
        "budget": evidence.budget_name,
        "caption": evidence.budget.caption,
        "as_paper": found.as_paper,
        "sizes": found.sizes(),
        "overrides": {name: {"value": run[name], "instead_of": own[name]} for name in own if own[name] != run[name]},
    }


def _settings(params: Params, number: Place, budget: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """A cell's own settings, and those that the budget gives it."""
    own = params.find(str(number.key))[1].model_dump()
    return own, params.run(str(number.key), budget, params.seeds[0]).cell.model_dump()


def _configuration(params: Params, number: Place, result: Result) -> dict[str, Any]:
    """The settings that the training recorded, and what of them differs from the plain row's under the same budget."""
    recorded = flatten(result.run.config.model_dump())
    plain = flatten(params.run(str(number.plain), result.budget, result.seed).model_dump())
    changed = {
        name: {"value": recorded.get(name), "plain": plain.get(name)}
        for name in recorded.keys() | plain.keys()
        if recorded.get(name) != plain.get(name)
    }
    return {"settings": recorded, "plain": str(number.plain), "differs": dict(sorted(changed.items()))}


def _assumptions(evidence: Evidence, number: Place, result: Result) -> list[dict[str, Any]]:
    """The assumptions that the number's row rests on; an alternative's are those of its study's base."""
    params = evidence.params
    own, run = _settings(params, number, evidence.budget_name)
    study = params.studies.get(number.table)
    base = params.find(str(number.plain))[1] if study else params.find(str(number.key))[1]
    row = evidence.place(number.plain.dataset, number.plain.name)[1] if study else number.row
    found = []
    for assumption in params.assumptions:
        if assumption.applies.to(number.key.dataset, base, row):
            tried = study is not None and study.assumption == assumption.id
            found.append(
                {
                    **assumption.model_dump(include={"id", "point", "assumption", "reason", "change"}),
                    "settings": {name: run[name] for name in assumption.decides},
                    "replaced_by_budget": [name for name in assumption.decides if own[name] != run[name]],
                    "tried_otherwise": difference(base, params.find(str(number.key))[1]) if tried else [],
                    "studies": [name for name, other in params.studies.items() if other.assumption == assumption.id],
                }
            )
    return found


def _link(link: Link) -> dict[str, Any]:
    return {
        "step": link.step,
        "name": link.name,
        "path": link.path,
        "algorithm": link.algorithm,
        "hash": link.hash,
        "here": None if link.path is None else Path(link.path).exists(),
        "recorded": [{"file": record.file, "key": record.key, "hash": record.hash} for record in link.records],
    }


def _code(made: Made, history: History) -> dict[str, Any]:
    """The commit, and whether it is here and holds the recorded sources."""
    files: dict[str, str] = {}
    for path, found in made.code.items():
        files |= by_file(path, found.model_dump())
    differing = history.differing(made.git.commit, files)
    return {
        "commit": made.git.commit,
        "dirty": made.git.dirty,
        "changed": made.git.changed,
        "code_sha256": made.code_sha256,
        "sources": len(files),
        "commit_is_here": differing is not None,
        "differs_from_commit": differing,
    }


def _machine(made: Made) -> dict[str, Any]:
    return {
        **made.environment.model_dump(),
        "device": made.device,
        "precision": made.precision,
        "threads": made.threads,
    }


def _mlflow(number: Place, result: Result) -> dict[str, Any] | None:
    if not (result.mlflow_run and result.run.mlflow):
        return None
    return {"run_id": result.mlflow_run, "experiment": result.run.mlflow.experiment, "run": number.row}


def _reproduce(params: Params, result: Result, lock: Lock) -> dict[str, Any]:
    """The commands that make this number again: with DVC, and without."""
    stages = result.stages
    entries = [lock.entry(stage) for stage in (stages.train, stages.evaluate)]
    needed = []
    if params.budget != result.budget:
        needed.append(f"budget: {result.budget}")
    if result.seed not in params.seeds:
        needed.append(f"seeds: [{result.seed}]")
    return {
        "checkout": f"git checkout {result.run.git.commit}",
        "params": needed,
        "dvc": f"dvc repro {stages.evaluate}",
        "plain": [" ".join(entry.cmd.split()) for entry in entries if entry],
    }


def _notes(params: Params, number: Place, chain: Chain, found: dict[str, Any]) -> list[str]:
    """What does not hold together, or cannot be looked up here."""
    result, notes = chain.result, []
    if changed := changed_settings(result.run.config, params.run(str(number.key), result.budget, result.seed)):
        notes.append(f"trained with {changed[0]}; params.yaml says now {changed[1]}: dvc repro would train it anew")
    for link in chain.links:
        notes += [
            f"{link.name} {link.path or ''}: {record} has {record.hash}, not {link.hash}" for record in link.disagreeing
        ]
        notes += [f"{link.name} {link.path or ''}: {record} has no hash" for record in link.missing]
    for link in chain.step("number"):
        if link.hash and link.found() != link.hash:
            notes.append(f"{link.path} has md5 {link.found()}, not {link.hash} as dvc.lock says")
    for step, code in found["code"].items():
        if not code["commit_is_here"]:
            notes.append(f"commit {code['commit']} of the {step} is not in this clone (git fetch, or its fork)")
        elif not code["dirty"] and code["differs_from_commit"]:
            notes.append(f"commit of the {step} does not hold the recorded {', '.join(code['differs_from_commit'])}")
        if code["dirty"]:
            notes.append(
                f"{step} with uncommitted changes in {', '.join(code['changed'])}: the commit is not all of it"
            )
    if result.run.run_by == "hand":
        notes.append("trained by hand, not by DVC")
    return notes
