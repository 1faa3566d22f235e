"""The architecture's rules 1 and 6, held against the real import graph: every `import` in every file under stages/.

An import counts wherever it stands, in a function or under TYPE_CHECKING too. Importing `a.b.c` also runs the
`__init__.py` of `a` and `a.b`.
"""

import ast
import subprocess
import sys
from collections import defaultdict
from functools import cache
from pathlib import Path

import pytest

from stages.config.params import read_yaml

REPOSITORY = Path(__file__).resolve().parents[2]
SOURCES = sorted(path.relative_to(REPOSITORY).as_posix() for path in (REPOSITORY / "stages").rglob("*.py"))
STAGE_MODULES = [name for name in SOURCES if name.count("/") == 1 and name != "stages/__init__.py"]
PACKAGES = sorted({name.split("/")[1] for name in SOURCES if name.count("/") > 1})

# Rule 6: what a support package may import beside itself.
MAY_IMPORT = {
    "core": set(),
    "fetch": {"core"},
    "prepare": {"core"},
    "learn": {"core"},
    "score": {"core", "learn"},
    "track": {"core", "score"},
    "stats": {"core"},
    "trial": {"core"},
    "report": {"core", "score", "stats"},
    "book": {"core", "report", "stats", "trial"},
    "launch": {"core"},
    "audit": {"book", "core", "learn", "report", "score", "stats", "trial"},
}

# Rule 1: what a stage imports and does not depend on in dvc.yaml, since no number can change with it. An entry that is
# not needed fails a test as a missing one does.
TOLD = "says what happens on the terminal, and returns nothing"
FILES = "writes and reads files whole; the content is the caller's"
CHECKED = "checks params.yaml; what it lets through is a parameter of the stage, and hashed as such"
NOTHING = "docstrings alone"
TRAINED = "a dependency of every training; with it the runs change, on which this stage depends"
COMMON = {
    "stages/__init__.py": NOTHING,
    "stages/core/__init__.py": NOTHING,
    "stages/core/errors.py": "messages of refusals; a refused stage makes no number",
}
READ_AND_SAY = {
    **COMMON,
    "stages/core/locks.py": "keeps a second writer out",
    "stages/core/params.py": CHECKED,
    "stages/core/progress.py": TOLD,
    "stages/core/records.py": FILES,
}
RECORD_AND_MIRROR = {
    **READ_AND_SAY,
    "stages/core/imports.py": "imports sooner",
    "stages/core/runs.py": "names files",
    "stages/core/provenance.py": "records what the stage was made of, and takes part in nothing",
    "stages/track": "mirrors to MLflow; nothing is computed from it",
}
ALLOWED: dict[str, dict[str, str]] = {
    "stages/download.py": {
        **COMMON,
        "stages/core/records.py": FILES,
        "stages/core/params.py": "checks params.yaml before anything runs; no byte comes from it",
        "stages/core/settings.py": "as params.py",
    },
    "stages/preprocess.py": {
        **READ_AND_SAY,
        "stages/core/settings.py": "gives the names of the data sets; a data set's settings are in params.py",
    },
    "stages/train.py": {**RECORD_AND_MIRROR, "stages/train/progress.py": TOLD, "stages/records/eta.py": TOLD},
    "stages/evaluate.py": {
        **RECORD_AND_MIRROR,
        "stages/core/settings.py": TRAINED,
    },
    "stages/aggregate_tables.py": {
        **READ_AND_SAY,
        "stages/core/settings.py": TRAINED,
        "stages/core/imports.py": "imports sooner",
        "stages/core/runs.py": "names files",
        "stages/core/provenance.py": "gives the names of the stages, which dvc.yaml decides",
    },
    "stages/audit_paper.py": {
        **COMMON,
        "stages/core/params.py": CHECKED,
        "stages/core/progress.py": TOLD,
        "stages/core/records.py": FILES,
        "stages/core/settings.py": "gives the names of the data sets and families, and checks params.yaml",
    },
}


@cache
def imported(name: str) -> tuple[str, ...]:
    """The dotted names that a file imports, `from a import b` as `a` and `a.b`."""
    found: set[str] = set()
    for node in ast.walk(ast.parse((REPOSITORY / name).read_text())):
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


def package(name: str) -> str | None:
    return name.split("/")[1] if name.count("/") > 1 else None


def stage_dependencies() -> dict[str, dict[str, list[str]]]:
    """For each stage module, the sources in `deps` of each stage of dvc.yaml that runs it."""
    found: dict[str, dict[str, list[str]]] = defaultdict(dict)
    for stage, template in read_yaml(REPOSITORY / "dvc.yaml")["stages"].items():
        python, flag, module = template["cmd"].split()[:3]
        assert (python, flag) == ("python", "-m")
        sources = [path for path in template["deps"] if path.startswith("stages/")]
        found[module.replace(".", "/") + ".py"][stage] = sources
    return found


STAGES = stage_dependencies()
EACH_STAGE = [(module, stage) for module, stages in STAGES.items() for stage in stages]


def covered(name: str, paths: list[str]) -> bool:
    return any(name == path or name.startswith(path + "/") for path in paths)


# Rule 6: imports run one way


@pytest.mark.parametrize("name", STAGE_MODULES)
def test_stage_modules_never_import_each_other(name: str) -> None:
    assert reached(name) & set(STAGE_MODULES) == {name}


def test_no_support_package_imports_a_stage_module() -> None:
    importers = [name for name in SOURCES if package(name) and sources_of(name) & set(STAGE_MODULES)]
    assert importers == []


def test_support_packages_import_core_alone() -> None:
    assert sorted(MAY_IMPORT) == PACKAGES
    for name in SOURCES:
        if own := package(name):
            others = {package(source) for source in sources_of(name)} - {own, None}
            assert others <= MAY_IMPORT[own], name


@pytest.mark.parametrize(
    "name",
    [name for name in SOURCES if package(name) in ("report", "trial", "book")]
    + ["stages/aggregate_tables.py", "stages/audit_paper.py"],
)
def test_what_makes_reports_never_imports_torch(name: str) -> None:
    assert third_party(reached(name)).isdisjoint({"torch", "torchvision", "safetensors", "mlflow"})


@pytest.mark.parametrize(
    ("library", "importers"),
    [
        ("mlflow", lambda name: name == "stages/track/store.py"),
        ("requests", lambda name: package(name) == "fetch"),
        ("urllib", lambda name: package(name) in ("fetch", "track")),
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


def test_only_download_reaches_the_network_and_only_evaluate_the_scores() -> None:
    assert [name for name in STAGE_MODULES if "requests" in third_party(reached(name))] == ["stages/download.py"]
    assert [name for name in STAGE_MODULES if "stages/score/metrics.py" in reached(name)] == ["stages/evaluate.py"]


def test_stages_start_without_torch_and_mlflow() -> None:
    """A wrong parameter is refused at once; torch takes seconds to import. Preprocess alone transforms with it."""
    modules = [name[:-3].replace("/", ".") for name in STAGE_MODULES if name != "stages/preprocess.py"]
    code = f"import sys, {', '.join(modules)}; print(sorted({{'torch', 'mlflow'}} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("[]\n", "")


# Rule 1: a file boundary is a cache boundary


def test_every_stage_module_has_its_stages() -> None:
    assert sorted(STAGES) == sorted(STAGE_MODULES) == sorted(ALLOWED)


@pytest.mark.parametrize(("module", "stage"), EACH_STAGE)
def test_what_a_stage_imports_is_a_dependency_or_cannot_change_a_number(module: str, stage: str) -> None:
    dependencies, allowed = STAGES[module][stage], list(ALLOWED[module])
    left = [name for name in reached(module) if not covered(name, dependencies) and not covered(name, allowed)]
    assert left == [], f"add to the deps of {stage} in dvc.yaml, or to ALLOWED with the reason"


@pytest.mark.parametrize(("module", "stage"), EACH_STAGE)
def test_a_stage_depends_on_no_source_that_it_does_not_import(module: str, stage: str) -> None:
    assert module in STAGES[module][stage]
    for path in STAGES[module][stage]:
        assert any(covered(name, [path]) for name in reached(module)), path


@pytest.mark.parametrize("module", ALLOWED)
def test_no_allowance_is_unused(module: str) -> None:
    for path, reason in ALLOWED[module].items():
        assert reason
        for stage, dependencies in STAGES[module].items():
            used = [name for name in reached(module) if covered(name, [path]) and not covered(name, dependencies)]
            assert used, f"{path} is not needed for {stage}"


def test_what_decides_a_number_is_never_allowed_to_be_left_out() -> None:
    for module, allowed in ALLOWED.items():
        paths = list(allowed)
        decisive = [name for name in SOURCES if package(name) in ("fetch", "prepare", "learn", "score", "stats")]
        assert not [name for name in decisive if covered(name, paths)], module
    assert "stages/core/settings.py" not in ALLOWED["stages/train.py"]
