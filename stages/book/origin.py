"""Where a result comes from, as its page shows it: what each step handed on, by its hash, and the commands.

All of it stands in the result itself (`stages.report.origins`); what `python -m stages.audit verify` finds of it on a
machine is another question, and its command stands below the chain.
"""

import shlex
from collections.abc import Iterator
from dataclasses import dataclass

from stages.core.filenames import HISTORY, WEIGHTS
from stages.report.origins import Made
from stages.report.results import Result


@dataclass(frozen=True)
class Thing:
    """What a step used or made: its name, where it lies (None for a value), and its hash."""

    name: str
    path: str | None
    algorithm: str
    hash: str


@dataclass(frozen=True)
class Step:
    """One step on the way to a number."""

    name: str
    told: str
    things: tuple[Thing, ...]


@dataclass(frozen=True)
class Origin:
    """A result's steps, the machine and state of the sources behind them, and the commands that prove and repeat it."""

    seed: int
    percent: float
    outcome: str
    steps: tuple[Step, ...]
    facts: tuple[tuple[str, str], ...]
    changed: tuple[str, ...]
    proof: str
    command: str


def origin(result: Result, asked: str) -> Origin:
    """A result's origin; `asked` are the words by which `stages.audit` knows the number."""
    return Origin(
        seed=result.seed,
        percent=result.percent,
        outcome=result.outcome,
        steps=tuple(_steps(result)),
        facts=tuple(_facts(result)),
        changed=tuple(sorted({*result.run.git.changed, *result.evaluated.git.changed})),
        proof=f"make setup\n.venv/bin/python -m stages.audit verify {asked}",
        command=_command(result),
    )


def _steps(result: Result) -> Iterator[Step]:
    run, tested = result.run, result.evaluated
    folder, made = tested.run_folder
    raw = [Thing(name, None, "md5", md5) for name, md5 in sorted(run.data.made_from.raw_md5.items())]
    parts = (
        ("training arrays", run.training_arrays),
        ("description", tested.description),
        ("test arrays", tested.test_arrays),
    )
    kept = (
        Thing("run", folder, "md5", made.md5),
        Thing("weights", f"{folder}/{WEIGHTS}", "sha256", run.sha256.weights),
        Thing("history", f"{folder}/{HISTORY}", "sha256", run.sha256.history),
    )
    predicted = (
        Thing("logits", None, "sha256", result.sha256.logits),
        Thing("labels", None, "sha256", result.sha256.labels),
    )
    yield Step("Raw data", "made by download", tuple(raw))
    yield Step("Arrays", "made by preprocess", tuple(Thing(name, at, "md5", of.md5) for name, (at, of) in parts))
    yield Step("Training", result.stages.train, tuple(_sources(run)))
    yield Step("Weights", "made by the training", kept)
    yield Step("Evaluation", result.stages.evaluate, tuple(_sources(tested)))
    yield Step("Predictions", "made by the evaluation", predicted)
    yield Step("Number", f"{result.correct} of {result.test_images} images", (_file(result),))


def _file(result: Result) -> Thing:
    return Thing("result", result.file.path, "md5", result.file.md5)


def _sources(made: Made) -> Iterator[Thing]:
    """Code and parameters of a training or an evaluation."""
    for path, found in made.code.items():
        yield Thing("code", path, "md5", found.md5)
    yield Thing("parameters", None, "sha256", made.params_sha256)


def _facts(result: Result) -> Iterator[tuple[str, str]]:
    run = result.run
    packages = run.environment.packages
    yield "Commit", run.git.commit
    if result.evaluated.git.commit != run.git.commit:
        yield "Commit of the evaluation", result.evaluated.git.commit
    yield "Run by", "DVC" if run.run_by == "dvc" else "hand, outside DVC"
    if result.mlflow_run:
        yield "MLflow run", result.mlflow_run
    yield "Trained", f"{run.times.started} to {run.times.ended}, {run.times.seconds:.0f} s"
    yield "Evaluated", f"{result.evaluated.times.started}, {result.evaluated.times.seconds:.0f} s"
    yield "Speed", f"{run.images_per_second:g} images/s"
    yield "Parameters", f"{run.parameters:,} weights"
    threads = f"{run.threads} thread{'s' if run.threads > 1 else ''}"
    yield "Machine", f"{run.environment.processor}; {run.device}, {run.precision}, {threads}"
    yield "Platform", f"{run.environment.platform}, Python {run.environment.python}"
    yield "Packages", ", ".join(f"{name} {version}" for name, version in packages.items() if version)


def _command(result: Result) -> str:
    """What to type to make this number again; `dvc repro` makes what it depends on as well."""
    return "\n".join(
        (
            f"git checkout {result.run.git.commit}",
            "make setup",
            f".venv/bin/dvc repro {shlex.quote(result.stages.evaluate)}",
        )
    )
