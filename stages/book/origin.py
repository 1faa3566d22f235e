"""Where a result comes from, as its page shows it: what each step handed on, by its hash, and the commands.

All of it stands in the result itself (`stages.records`); what `python -m stages.audit verify` finds of it on a machine
is another question, and its command stands below the chain.
"""

import shlex
from collections.abc import Iterator
from dataclasses import dataclass, replace

from stages.core.files import digest
from stages.records.evaluation import Evaluation
from stages.records.lineage import Algorithm, Artifact, StepName, lineage
from stages.records.planned import switch_of
from stages.records.provenance import Environment
from stages.report.levels import MEANS, Level, committed_level


@dataclass(frozen=True)
class Thing:
    """What a step used or made: its name, where it lies (None for a value), and its hash."""

    name: str
    path: str | None
    algorithm: str
    hash: str | None

    @classmethod
    def of(cls, artifact: Artifact) -> "Thing":
        """An artifact as the page shows it; predictions lie beside the number, and say no place."""
        name = f"code, {len(artifact.files)} modules" if artifact.name == "code" else artifact.name
        path = None if artifact.step == "predictions" else artifact.path
        return cls(name, path, artifact.algorithm, artifact.hash)


@dataclass(frozen=True)
class Step:
    """One step on the way to a number."""

    name: str
    summary: str
    things: tuple[Thing, ...]


@dataclass(frozen=True)
class Origin:
    """A result's steps, the machine and state of the sources behind them, and the commands that check and repeat it.

    `level` is how far the committed files alone follow the number back, `means` what that says. `shared` names what
    is left out of `steps` and `facts` because the first seed's origin has the same, `lacking` the steps and facts that
    the first seed's has and this has not.
    """

    seed: int
    percent: float
    outcome: str
    level: Level
    means: str
    steps: tuple[Step, ...]
    facts: tuple[tuple[str, str], ...]
    changed: tuple[str, ...]
    check: str
    command: str
    shared: tuple[str, ...] = ()
    lacking: tuple[str, ...] = ()

    def beside(self, first: "Origin") -> "Origin":
        """This origin without the hashes and facts that `first` has too; steps are matched by their names."""
        of_first = {step.name: step for step in first.steps}
        steps: list[Step] = []
        shared: list[str] = []
        for step in self.steps:
            other = of_first.get(step.name)
            if step == other:
                shared.append(step.name)
                continue
            same = [thing for thing in step.things if other and thing in other.things]
            steps.append(replace(step, things=tuple(thing for thing in step.things if thing not in same)))
            shared += [f"{thing.name.partition(',')[0]} ({step.name})" for thing in same]
        facts = tuple(fact for fact in self.facts if fact not in first.facts)
        shared += [name for name, value in self.facts if (name, value) in first.facts]
        own = {step.name for step in self.steps} | {name for name, _ in self.facts}
        lacking = (name for name in (*of_first, *(name for name, _ in first.facts)) if name not in own)
        return replace(self, steps=tuple(steps), facts=facts, shared=tuple(shared), lacking=tuple(lacking))


def origin(result: Evaluation, asked: str) -> Origin:
    """A result's origin; `asked` are the words by which `stages.audit` knows the number."""
    return Origin(
        seed=result.seed,
        percent=result.percent,
        outcome=result.outcome,
        level=(level := committed_level(result)),
        means=MEANS[level],
        steps=tuple(_steps(result)),
        facts=tuple(_facts(result)),
        changed=tuple(sorted({*result.run.provenance.git.changed, *result.provenance.git.changed})),
        check=f"make setup\n.venv/bin/python -m stages.audit verify {asked}",
        command=_command(result),
    )


def _steps(result: Evaluation) -> Iterator[Step]:
    run, artifacts = result.run, lineage(result)

    def things(step: StepName, *names: str, algorithm: Algorithm = "md5") -> tuple[Thing, ...]:
        return tuple(Thing.of(artifacts.of(step, name, algorithm)) for name in names)

    raw = sorted(artifacts.of("raw data", "raw data").files.items())
    yield Step("Raw data", "made by download", tuple(Thing(name, None, "md5", md5) for name, md5 in raw))
    yield Step("Arrays", "made by preprocess", things("arrays", "training arrays", "description", "test arrays"))
    settings = Thing("settings", None, "sha256", digest(run.config.model_dump(mode="json")))
    code = things("training", "code", algorithm="sha256")
    yield Step("Training", run.stage, (*things("training", "spec"), settings, *code))
    kept = things("weights", "weights", "history", algorithm="sha256")
    yield Step("Weights", "made by the training", (*things("weights", "run"), *kept))
    spec = things("evaluation", "spec") if result.provenance.spec != run.provenance.spec else ()
    yield Step("Evaluation", result.stage, (*spec, *things("evaluation", "code", algorithm="sha256")))
    predicted = things("predictions", "logits", "labels", algorithm="sha256")
    yield Step("Predictions", "made by the evaluation", predicted)
    yield Step("Number", f"{result.correct} of {result.test_images} images", things("number", "result"))


def _facts(result: Evaluation) -> Iterator[tuple[str, str]]:
    run, made, numerics = result.run, result.run.provenance, result.run.numerics
    packages = made.environment.packages
    yield "Commit", made.git.commit
    if result.provenance.git.commit != made.git.commit:
        yield "Commit of the evaluation", result.provenance.git.commit
    yield "Run by", "DVC" if made.run_by == "dvc" else "hand, outside DVC"
    if result.mlflow_run:
        yield "MLflow run", result.mlflow_run
    yield "Trained", f"{run.times.started} to {run.times.ended}, {run.times.seconds:.0f} s"
    if run.resumed_after:
        yield "Resumed", f"after epoch {run.resumed_after}"
    yield "Evaluated", f"{result.times.started}, {result.times.seconds:.0f} s, in {result.numerics.precision}"
    yield "Speed", f"{run.images_per_second:g} images/s"
    yield "Network", f"{run.network.parameters:,} weights, {run.network.multiply_adds:,} multiply-adds an image"
    threads = f"{numerics.threads} thread{'s' if numerics.threads > 1 else ''}"
    yield "Machine", f"{_processors(run.machines)}; {numerics.device}, {numerics.precision}, {threads}"
    yield "Platform", f"{made.environment.platform}, Python {made.environment.python}"
    yield "Packages", ", ".join(f"{name} {version}" for name, version in packages.items() if version)


def _processors(machines: list[Environment]) -> str:
    """The processors that a training ran on, each once."""
    return ", then ".join(dict.fromkeys(machine.processor for machine in machines))


def _command(result: Evaluation) -> str:
    """What to type to make this number again; `dvc repro` makes what it depends on as well."""
    switch = switch_of(result)
    return "\n".join(
        (
            f"git checkout {result.run.provenance.git.commit}",
            *([f"# in params.yaml: {switch}"] if switch else []),
            "make setup",
            f".venv/bin/dvc repro {shlex.quote(result.stage)}",
        )
    )
