"""What a cell is at a budget: its settings and the code that trains and tests it, as stage `resolve` writes them.

    reports/<budget>/specs/<data set>/<cell>.json

Train and evaluate stages depend on a spec as a DVC parameter file, on the keys below; its history in git is the history
of the configuration behind a number.
"""

from functools import cache, partial
from pathlib import Path
from typing import Any, Literal, get_args

from pydantic import Field

from stages.config.params import Params
from stages.config.settings import Testing, TrainingSettings
from stages.core.errors import CorruptFileError, few
from stages.core.files import flatten, write_text
from stages.records.data import DatasetDescription
from stages.records.fingerprint import SCHEME, Fingerprint, Kind, Read, fingerprint
from stages.records.record import Count, NonEmptyStr, Record, Section, Sha256

PARAMETERS: dict[Kind, tuple[str, ...]] = {
    "train": ("settings", "code.train"),
    "evaluate": ("testing", "code.evaluate"),
}


class Code(Section):
    """The fingerprints of the code that trains and tests the cell, under a scheme of hashing."""

    scheme: Count
    train: Sha256
    evaluate: Sha256


class Modules(Section):
    """The sha256 of each module's syntax tree, by its path."""

    train: dict[str, Sha256]
    evaluate: dict[str, Sha256]


class Spec(Record):
    """A cell, resolved."""

    version: Literal[1] = Field(default=1, alias="schema")
    cell: NonEmptyStr
    budget: NonEmptyStr
    settings: TrainingSettings
    testing: Testing
    code: Code
    modules: Modules

    def parameters(self, kind: Kind) -> dict[str, Any]:
        """What DVC takes from the file for a training (testing): the values of `PARAMETERS`, flat."""
        flat = flatten(self.content())
        return {
            key: value
            for key, value in flat.items()
            if any(key == name or key.startswith(f"{name}.") for name in PARAMETERS[kind])
        }

    def check_data(self, data: DatasetDescription, path: Path) -> None:
        """Raise CorruptFileError, naming `path`, unless the data are the cell's data set, from its canonical bytes."""
        if data.dataset != self.settings.dataset:
            raise CorruptFileError(path, f"dataset {data.dataset}", f"{self.settings.dataset}, as the cell has it")
        data.check_canonical(path)

    def fingerprint(self, kind: Kind) -> Fingerprint:
        """The fingerprint of the code that trains (tests) the cell."""
        sha256, modules = getattr(self.code, kind), getattr(self.modules, kind)
        return Fingerprint(scheme=self.code.scheme, sha256=sha256, modules=modules)


def spec_path(specs: Path, cell: str) -> Path:
    """Where the spec of a cell (`cifar10/vgg16`) lies in the folder of a budget's specs."""
    return specs / f"{cell}.json"


def resolve_spec(params: Params, budget: str, cell: str, read: Read | None = None) -> Spec:
    """What a cell is at a budget, by params.yaml and the sources that `read` gives (by default those here)."""
    return _Resolver(params, budget, read).spec(cell)


def resolve_specs(params: Params, budget: str, read: Read | None = None) -> list[Spec]:
    """What every cell is at a budget, planned or not, by params.yaml and the sources that `read` gives."""
    resolver = _Resolver(params, budget, read)
    return [resolver.spec(str(key)) for key in params.cell_keys(planned=False)]


class _Resolver:
    """Makes specs; the fingerprints of a family are taken once."""

    def __init__(self, params: Params, budget: str, read: Read | None) -> None:
        self.params, self.budget = params, budget
        self.params.chosen_budget(budget)
        self._fingerprint = cache(partial(fingerprint, read=read))

    def spec(self, cell: str) -> Spec:
        key, _ = self.params.find(cell)
        settings = self.params.settings(cell, self.budget)
        train, evaluate = (self._fingerprint(kind, settings.cell.family) for kind in get_args(Kind))
        return Spec(
            cell=cell,
            budget=self.budget,
            settings=settings,
            testing=self.params.testing(key.dataset, self.budget),
            code=Code(scheme=SCHEME, train=train.sha256, evaluate=evaluate.sha256),
            modules=Modules(train=train.modules, evaluate=evaluate.modules),
        )


def write_specs(specs: list[Spec], folder: Path) -> int:
    """Write specs that have changed and remove those of cells that are gone; returns how many have changed."""
    wanted = {spec_path(folder, spec.cell): spec.text() for spec in specs}
    for path in folder.glob("*/*.json"):
        if path not in wanted:
            path.unlink()
    changed = [path for path, text in wanted.items() if not path.is_file() or path.read_bytes() != text.encode()]
    for path in changed:
        write_text(path, wanted[path])
    return len(changed)


def check_spec(path: Path, today: Spec, kind: Kind) -> Spec:
    """Read a spec; raise CorruptFileError unless it asks for the training (testing) that `today`'s asks for."""
    found = Spec.read(path, f"dvc repro resolve@{today.budget}")
    ours, theirs = (_asked(one, kind) for one in (found, today))
    missing = object()
    keys = sorted(ours.keys() | theirs.keys())
    if changed := [key for key in keys if ours.get(key, missing) != theirs.get(key, missing)]:
        raise CorruptFileError(
            path, f"another {few(changed, 4)} than today's", f"today's (run dvc repro resolve@{today.budget})"
        )
    return found


def _asked(spec: Spec, kind: Kind) -> dict[str, Any]:
    """What a spec asks for in a training (testing), flat; the modules are there to be named."""
    modules = {f"modules.{kind}.{path}": sha256 for path, sha256 in getattr(spec.modules, kind).items()}
    return {"cell": spec.cell, "budget": spec.budget, **spec.parameters(kind), **modules}
