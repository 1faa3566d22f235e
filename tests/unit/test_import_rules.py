"""The architecture's rules, held against the real import graph: every `import` in every file under stages/.

An import counts wherever it stands, in a function or under TYPE_CHECKING too. Importing `a.b.c` also runs the
`__init__.py` of `a` and `a.b`. What trains and tests a cell is held against the fingerprint, by running it.
"""

import ast
import json
import subprocess
import sys
from collections import defaultdict
from functools import cache
from graphlib import TopologicalSorter
from hashlib import sha256
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest

from stages.config.loading import load_params
from stages.config.params import Params
from stages.config.reading import read_yaml
from stages.engine.networks import families
from stages.evaluate.__main__ import ALLOWED as EVALUATE_MAY_LOAD
from stages.records.fingerprint import CUT, Kind, closure
from stages.train.__main__ import ALLOWED as TRAIN_MAY_LOAD

REPOSITORY = Path(__file__).resolve().parents[2]
SOURCES = sorted(path.relative_to(REPOSITORY).as_posix() for path in (REPOSITORY / "stages").rglob("*.py"))
COMMANDS = [
    name
    for name in SOURCES
    if name.endswith(("/__main__.py", "/readme.py")) or (name.count("/") == 1 and name != "stages/__init__.py")
]
PACKAGES = sorted({name.split("/")[1] for name in SOURCES if name.count("/") > 1})

# Imports run one way: what a package may import beside itself. A command stands above all packages, its own included.
BASE = {"config", "core", "records"}
MAY_IMPORT: dict[str, set[str]] = {
    "core": set(),
    "config": {"core", "engine"},  # of the engine the names and settings of families
    "records": {"config", "core", "engine"},  # as config
    "engine": {"config", "core"},  # of config the settings of a training
    "download": {"config", "core", "records"},
    "preprocess": {*BASE, "engine"},
    "train": {*BASE, "engine"},
    "evaluate": {*BASE, "engine"},
    "resolve": BASE,
    "architectures": {*BASE, "engine"},
    "pretrained": {*BASE, "engine", "evaluate"},
    "track": BASE,
    "sync": {*BASE, "evaluate", "paper", "pretrained", "report", "track"},
    "stats": {"core"},
    "paper": {"config", "core", "engine"},  # of the engine the names of families
    "audit_paper": {"config", "core", "engine", "paper"},  # as paper
    "report": {*BASE, "evaluate", "paper", "stats"},
    "book": {*BASE, "audit_paper", "report", "stats"},
    "launch": {*BASE, "engine", "train"},  # of the engine the sizes of networks
    "doctor": {*BASE, "download", "launch", "track"},
    "plan": {*BASE, "engine", "launch", "track"},
    "audit": {*BASE, "architectures", "audit_paper", "book", "engine", "evaluate", "paper", "report", "stats"},
}
COMMAND_MAY_IMPORT = {"train": {"track"}, "evaluate": {"sync", "track"}, "track": {"sync"}}
FAMILIES = {"stages/engine/__init__.py", "stages/engine/networks/__init__.py"}

# What a stage imports and does not depend on in dvc.yaml, since no byte of its outputs can change with it. An entry
# that is not needed fails a test as a missing one does.
NOTHING = "docstrings alone"
SAYS = "says what happens on the terminal, and returns nothing"
WRITES = "writes and reads files whole; the content is the caller's"
CHECKS = "checks params.yaml; what it lets through is a parameter of the stage, and hashed as such"
BUILT = "what of it makes a network is in the specs, as settings and as the fingerprint of the code"
COMMON = {
    "stages/__init__.py": NOTHING,
    "stages/core": WRITES,
    "stages/config": CHECKS,
    "stages/engine/__init__.py": NOTHING,
    "stages/engine/networks": "the names and settings of families, by which params.yaml is checked",
}
ALLOWED: dict[str, dict[str, str]] = {
    "stages/download/__main__.py": {
        **COMMON,
        "stages/records/__init__.py": NOTHING,
    },
    "stages/preprocess/__main__.py": {
        **COMMON,
        "stages/records/__init__.py": NOTHING,
        "stages/records/record.py": "the base of records; data.py, which says what is written, is a dependency",
        "stages/records/canonical.py": "refuses other raw files; nothing is written of it",
    },
    "stages/aggregate_tables.py": {
        "stages/__init__.py": NOTHING,
        "stages/core": WRITES,
        "stages/engine/__init__.py": NOTHING,
        "stages/engine/networks": COMMON["stages/engine/networks"],
    },
    "stages/architectures/__main__.py": {
        "stages/__init__.py": NOTHING,
        "stages/core": WRITES,
        "stages/config": BUILT,
        "stages/engine": BUILT,
        "stages/records": "the form of what is written; a field that is read twice fails its test",
    },
    "stages/audit_paper/__main__.py": COMMON,
}


@cache
def nodes(name: str) -> list[ast.AST]:
    """All of a file's syntax tree that is looked at here: its imports and its calls."""
    kinds = (ast.Import, ast.ImportFrom, ast.Call)
    return [node for node in ast.walk(ast.parse((REPOSITORY / name).read_text())) if isinstance(node, kinds)]


@cache
def imported(name: str) -> tuple[str, ...]:
    """The dotted names that a file imports, `from a import b` as `a` and `a.b`."""
    found: set[str] = set()
    for node in nodes(name):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name}: a relative import"
            assert node.module
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return tuple(sorted(found))


@cache
def sources_of(name: str) -> frozenset[str]:
    """The files under stages/ that a file's own imports run."""
    files: set[str] = set()
    for module in imported(name):
        parts = module.split(".")
        for end in range(1, len(parts) + 1):
            path = "/".join(parts[:end])
            files |= {path + ".py", path + "/__init__.py"} & set(SOURCES)
    return frozenset(files - {name})


@cache
def reached(name: str) -> frozenset[str]:
    """All files under stages/ that run because of a file, itself included."""
    found, waiting = {name}, [name]
    while waiting:
        new = sources_of(waiting.pop()) - found
        found |= new
        waiting += new
    return frozenset(found)


def third_party(names: frozenset[str]) -> set[str]:
    return {module.split(".")[0] for name in names for module in imported(name)} - {"stages"}


def package(name: str) -> str:
    return name.split("/")[1] if name.count("/") > 1 else ""


def stage_dependencies() -> dict[str, dict[str, list[str]]]:
    """For each stage's module, the sources in `deps` of each stage of dvc.yaml that runs it."""
    found: dict[str, dict[str, list[str]]] = defaultdict(dict)
    for stage, template in read_yaml(REPOSITORY / "dvc.yaml")["stages"].items():
        python, flag, module = template["cmd"].split()[:3]
        assert (python, flag) == ("python", "-m")
        path = module.replace(".", "/")
        file = f"{path}.py" if f"{path}.py" in SOURCES else f"{path}/__main__.py"
        found[file][stage] = [path for path in template["deps"] if path.startswith("stages/")]
    return found


STAGES = stage_dependencies()
BY_SPEC = ["stages/train/__main__.py", "stages/evaluate/__main__.py"]  # they depend on fingerprints, in specs
EACH_STAGE = [(module, stage) for module in ALLOWED for stage in STAGES[module]]


def covered(name: str, paths: list[str]) -> bool:
    return any(name == path or name.startswith(path + "/") for path in paths)


# Imports run one way


def test_no_module_imports_a_command() -> None:
    assert [name for name in SOURCES if sources_of(name) & set(COMMANDS)] == []


def test_packages_import_in_one_direction() -> None:
    assert sorted(MAY_IMPORT) == PACKAGES
    for name in SOURCES:
        if own := package(name):
            others = {package(source) for source in sources_of(name)} - {own, ""}
            above = COMMAND_MAY_IMPORT.get(own, set()) if name in COMMANDS else set()
            assert others <= MAY_IMPORT[own] | above, name


def test_no_two_packages_import_each_other() -> None:
    """Directly or by others. Of the engine and config each takes a part of the other: the next test says which."""
    order = TopologicalSorter(MAY_IMPORT | {"engine": MAY_IMPORT["engine"] - {"config"}}).static_order()
    assert sorted(order) == PACKAGES


def test_the_engine_takes_settings_from_config_and_gives_it_families() -> None:
    for name in SOURCES:
        found = sources_of(name)
        if package(name) in ("audit_paper", "config", "paper", "records"):
            assert {source for source in found if package(source) == "engine"} <= FAMILIES, name
        if package(name) == "engine":
            config = {"stages/config/__init__.py", "stages/config/settings.py"}
            assert {source for source in found if package(source) == "config"} <= config, name


@pytest.mark.parametrize(
    "name",
    [name for name in SOURCES if package(name) in ("audit_paper", "paper", "report", "book", "resolve")]
    + ["stages/aggregate_tables.py", "stages/architectures/groups.py", "stages/architectures/pages.py"],
)
def test_what_makes_reports_never_imports_torch(name: str) -> None:
    assert third_party(reached(name)).isdisjoint({"torch", "torchvision", "safetensors", "mlflow"})


@pytest.mark.parametrize(
    ("library", "importers"),
    [
        ("mlflow", lambda name: name.startswith("stages/track/store/")),
        ("requests", lambda name: package(name) == "download"),
        ("urllib", lambda name: package(name) in ("download", "track")),
        ("pickle", lambda name: False),
        ("dvc", lambda name: name == "stages/launch/pipeline.py"),
        ("distributed", lambda name: name == "stages/launch/cluster.py"),
        ("rocrate", lambda name: name == "stages/audit/crate.py"),
    ],
)
def test_a_library_is_imported_in_one_place(library: str, importers: object) -> None:
    assert callable(importers)
    elsewhere = [name for name in SOURCES if library in third_party(frozenset([name])) and not importers(name)]
    assert elsewhere == []


def test_pydantic_s_errors_are_read_in_one_place() -> None:
    def reads(name: str) -> bool:
        calls = [node.func for node in nodes(name) if isinstance(node, ast.Call)]
        return any(isinstance(call, ast.Attribute) and call.attr == "errors" for call in calls)

    assert [name for name in SOURCES if reads(name)] == ["stages/core/validation.py"]


def test_only_download_reaches_the_network_and_only_evaluate_the_test_split() -> None:
    assert [name for name in STAGES if "requests" in third_party(reached(name))] == ["stages/download/__main__.py"]
    opening = "stages/evaluate/prediction.py"
    assert [name for name in STAGES if opening in reached(name)] == ["stages/evaluate/__main__.py"]


def test_commands_start_without_torch_and_mlflow() -> None:
    """A wrong parameter is refused at once; torch takes seconds to import. Preprocess alone transforms with it."""
    modules = [name.removesuffix(".py").replace("/", ".") for name in COMMANDS if package(name) != "preprocess"]
    code = f"import sys, {', '.join(modules)}; print(sorted({{'torch', 'mlflow'}} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("[]\n", "")


# What can change a stage's outputs is a dependency of it


def test_every_stage_has_its_rule() -> None:
    assert sorted(STAGES) == sorted([*ALLOWED, *BY_SPEC, "stages/resolve/__main__.py"])


@pytest.mark.parametrize(("module", "stage"), EACH_STAGE)
def test_what_a_stage_imports_is_a_dependency_or_cannot_change_its_outputs(module: str, stage: str) -> None:
    dependencies, allowed = STAGES[module][stage], list(ALLOWED[module])
    left = [name for name in reached(module) if not covered(name, dependencies) and not covered(name, allowed)]
    assert left == [], f"add to the deps of {stage} in dvc.yaml, or to ALLOWED with the reason"


@pytest.mark.parametrize(("module", "stage"), EACH_STAGE)
def test_a_stage_depends_on_no_source_that_it_does_not_import(module: str, stage: str) -> None:
    assert covered(module, STAGES[module][stage])
    for path in STAGES[module][stage]:
        assert any(covered(name, [path]) for name in reached(module)), path


@pytest.mark.parametrize("module", ALLOWED)
def test_no_allowance_is_unused(module: str) -> None:
    for path, reason in ALLOWED[module].items():
        assert reason
        for stage, dependencies in STAGES[module].items():
            used = [name for name in reached(module) if covered(name, [path]) and not covered(name, dependencies)]
            assert used, f"{path} is not needed for {stage}"


def test_the_stage_that_resolves_depends_on_every_source_that_can_reach_a_spec() -> None:
    [dependencies] = STAGES["stages/resolve/__main__.py"].values()
    fingerprinted = {path for kind in get_args(Kind) for family in families() for path in closure(kind, family)}
    outside = ("stages/__init__.py", "stages/core")  # a package's docstring; what is below core is cut off
    assert [path for path in sorted(fingerprinted) if not covered(path, [*dependencies, *outside])] == []
    assert [
        name for name in reached("stages/resolve/__main__.py") if not covered(name, [*dependencies, *outside])
    ] == []


@pytest.mark.parametrize("module", BY_SPEC)
def test_what_depends_on_a_spec_depends_on_no_sources(module: str) -> None:
    assert set(map(tuple, STAGES[module].values())) == {()}


# The fingerprint of a cell's training and testing is whole

# Runs trainings and tests one after the other, each in a process of its own that has loaded nothing of stages yet:
# PyTorch, which takes seconds to load, is loaded once before.
PROBE = """
import json, os, sys
from pathlib import Path
import safetensors.torch, sklearn.metrics, torch, torchvision.transforms.v2
from tests.unpickling import no_unpickling

def probe(family, kind, settings):
    folder = Path(sys.argv[1])
    from stages.config.settings import Run
    description = json.loads((folder / "dataset.json").read_text())
    run = Run.model_validate(settings)
    with no_unpickling():  # of a training and a test of every family
        (train if kind == "train" else test)(run, family, description, folder)
    loaded = [module.__file__ for name, module in sys.modules.items() if name.partition(".")[0] == "stages"]
    return sorted(Path(file).relative_to(Path.cwd()).as_posix() for file in loaded)

def train(run, family, description, folder):
    from stages.engine.training import TrainingSession
    training = TrainingSession(run, description, folder, folder / family, device="cpu", machine={},
                               identity_of=lambda numerics: {"numerics": numerics})
    training.train(lambda epoch: None, lambda images: None)
    training.history()
    from safetensors.torch import save_file
    save_file(training.weights(), folder / f"{family}.safetensors")

def test(run, family, description, folder):
    from stages.evaluate.metrics import score
    from stages.evaluate.prediction import predict_test
    trained_with = {"device": "cpu", "threads": 1}
    found = predict_test(run.cell, folder / f"{family}.safetensors", trained_with, description, folder, "all")
    score(found.labels, found.classes, description["classes"], len(found.test_indices))

assert not any(name.partition(".")[0] == "stages" for name in sys.modules)
for family, kind, settings in json.loads(sys.argv[2]):
    child = os.fork()
    if child == 0:
        print(json.dumps(probe(family, kind, settings)), flush=True)
        os._exit(0)
    if os.waitpid(child, 0)[1]:
        sys.exit(1)
"""


@pytest.fixture(scope="module")
def made_up(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set of a few images of noise, in one folder."""
    folder = tmp_path_factory.mktemp("data")
    noise = np.random.default_rng(0)
    hashes = {}
    arrays = {"train": "train", "validation": "validation", "test": ""}
    for part, count in (("train", 12), ("validation", 4), ("test", 6)):
        for kind, array in (
            ("images", noise.integers(0, 256, (count, 1, 28, 28), np.uint8)),
            ("labels", noise.integers(0, 10, count).astype(np.uint8)),
        ):
            path = folder / f"{arrays[part]}_{kind}.npy".lstrip("_")
            np.save(path, array)
            hashes[f"{part}_{kind}"] = sha256(path.read_bytes()).hexdigest()
    path = folder / "augmented_images.npy"
    np.save(path, noise.integers(0, 256, (12, 1, 28, 28), np.uint8))
    hashes["augmented_images"] = sha256(path.read_bytes()).hexdigest()
    mnist = read_yaml(REPOSITORY / "params.yaml")["datasets"]["mnist"]
    description: dict[str, Any] = {
        "dataset": "mnist",
        "channels": 1,
        "size": 28,
        "classes": mnist["classes"],
        "images": {"train": 12, "validation": 4, "test": 6, "augmented": 12},
        "mean": [0.5],
        "std": [0.25],
        "sha256": hashes,
        "made_from": {"settings": mnist},
    }
    (folder / "dataset.json").write_text(json.dumps(description))
    return folder


def tiny(params: Params, family: str) -> dict[str, Any]:
    """A training of a few images with a cell of a family; the images are transformed anew."""
    key = next(key for key in params.cell_keys(planned=False) if params.find(str(key))[1].family == family)
    run = params.run(str(key), "quick", 0).model_dump(mode="json")
    run |= {"dataset": "mnist", "images": 12, "validation_images": 4, "sample_images": 6, "epochs": 1}
    small = {"hidden_layers": [], "modules": [1, 1, 1]}
    run["cell"] |= {name: value for name, value in small.items() if name in run["cell"]}
    run["cell"] |= {"batch_size": 12, "augment": "fresh"}
    return run | {"precision": "float32"}


@pytest.fixture(scope="module")
def loaded(made_up: Path, forked: str) -> dict[tuple[str, Kind], set[str]]:
    """By family and kind: the modules under stages/ that a process has loaded which trained (tested) a cell."""
    params = load_params(REPOSITORY / "params.yaml")
    asked = [(family, kind) for family in families() for kind in get_args(Kind)]
    runs = json.dumps([(family, kind, tiny(params, family)) for family, kind in asked])
    command = [forked, "-c", PROBE, str(made_up), runs]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return dict(zip(asked, map(set, map(json.loads, done.stdout.splitlines())), strict=True))


@pytest.mark.parametrize("family", families())
def test_the_fingerprint_has_all_that_a_training_and_its_test_load(
    family: str, loaded: dict[tuple[str, Kind], set[str]]
) -> None:
    for kind in get_args(Kind):
        known = closure(kind, family)
        assert loaded[family, kind] - known - CUT.keys() == set()
        others = {f"stages/engine/networks/{other}" for other in families() if other != family}
        assert known.isdisjoint({path for path in SOURCES if path.removesuffix(".py") in others})
        assert not [path for path in known if path.startswith(tuple(f"{other}/" for other in others))]


@pytest.mark.parametrize("kind", get_args(Kind))
def test_what_is_cut_off_is_imported_and_has_a_reason(kind: Kind) -> None:
    if kind == "train":
        assert all(CUT.values())
        known = {path for each in get_args(Kind) for family in families() for path in closure(each, family)}
        assert {source for path in known for source in sources_of(path)} - known == CUT.keys()
    assert set(SOURCES) >= CUT.keys()


@pytest.mark.parametrize(("kind", "allowed"), [("train", TRAIN_MAY_LOAD), ("evaluate", EVALUATE_MAY_LOAD)])
def test_nothing_that_computes_a_number_may_be_loaded_beside_the_fingerprint(kind: Kind, allowed: list[str]) -> None:
    """At its end a training (test) refuses modules outside of fingerprint and allowances: the engine is in none."""
    assert not any("stages/engine/networks/".startswith(start) or start == "stages/" for start in allowed)
    assert not any(start.startswith("stages/engine/") and not start.endswith("__init__.py") for start in allowed)
    assert not any(path.startswith(tuple(allowed)) for path in closure(kind, "vgg") if package(path) == "engine")
