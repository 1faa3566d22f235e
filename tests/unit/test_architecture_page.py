"""docs/architecture.md against the tree: what it names is there, and so are both pictures to dvc.yaml and sources."""

import ast
import re
from collections.abc import Iterator, Sequence
from graphlib import TopologicalSorter
from itertools import pairwise
from pathlib import Path
from typing import Any

from stages.config.reading import read_yaml

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
STAGES, PACKAGES = re.findall(r"```mermaid\n(.*?)\n```\n", PAGE, re.DOTALL)
QUESTIONS = PAGE[PAGE.index("## Where do I change ...") :]
Edges = set[tuple[str, str]]


def drawn(picture: str) -> Edges:
    """The arrows of a picture that are not dashed; a chain of three is two."""
    return {pair for line in picture.splitlines() for pair in pairwise(line.strip().split(" --> "))}


def test_every_path_that_the_page_names_is_there() -> None:
    named = set(re.findall(r"`((?:stages|tests)/[\w/.]+|dvc\.yaml|params\.yaml)`", PAGE))
    assert len(named) > 10
    assert [path for path in sorted(named) if not (ROOT / path).exists()] == []


def test_every_link_leads_to_its_file() -> None:
    links = re.findall(r"\]\(\.\./([^)]+)\)", PAGE)
    assert len(links) >= 8
    assert [link for link in links if not (ROOT / link).is_file()] == []


def test_every_package_and_stage_stands_on_the_page() -> None:
    packages = {path.name for path in (ROOT / "stages").iterdir() if path.is_dir() and (path / "__init__.py").is_file()}
    modules = {path.name for path in (ROOT / "stages").glob("*.py")} - {"__init__.py"}
    named = set(re.findall(r"[\w.]+", PACKAGES)) | set(re.findall(r"`(\w+)`", PAGE))
    assert (packages | modules) - named == set()


def test_ten_questions_are_answered_by_one_file_each() -> None:
    answers = [line for line in QUESTIONS.splitlines() if line.startswith("| ") and "](../" in line]
    assert len(answers) == 10
    assert all(line.count("](../") == 1 and "? | " in line for line in answers)


def test_the_picture_of_the_stages_is_that_of_dvc_yaml() -> None:
    assert drawn(STAGES) == pipeline()
    kinds = {kind(name) for name in read_yaml(ROOT / "dvc.yaml")["stages"]}
    assert kinds - set(re.findall(r"[\w-]+", STAGES)) == set()


def test_every_arrow_between_packages_is_an_import() -> None:
    edges = drawn(PACKAGES)
    assert len(edges) > 15
    assert edges - imports() == set()
    below: dict[str, set[str]] = {}
    for above, package in edges:
        below.setdefault(above, set()).add(package)
    assert set(TopologicalSorter(below).static_order()) == {node for edge in edges for node in edge}  # no circle


def pipeline() -> Edges:
    """Which kind of stage depends on which, by the paths in dvc.yaml."""
    stages: dict[str, Any] = read_yaml(ROOT / "dvc.yaml")["stages"]
    outs = [(kind(name), path) for name, stage in stages.items() for path in paths(stage, "outs", "plots")]
    deps = [(kind(name), path) for name, stage in stages.items() for path in paths(stage, "deps", "params")]
    return {(made, used) for made, out in outs for used, dep in deps if made != used and _overlap(out, dep)}


def kind(stage: str) -> str:
    """`train` of `train-study-mnist`."""
    return re.sub(r"(-study|-supplement|-more)?-(mnist|cifar10)$", "", stage)


def paths(stage: dict[str, Any], *lists: str) -> Iterator[str]:
    """The paths in lists of a stage, with a star for each variable; parameters of params.yaml are none."""
    for entry in [entry for name in lists for entry in stage.get(name, [])]:
        for path in entry if isinstance(entry, dict) else [entry]:
            if "/" in path:
                yield re.sub(r"\$\{[^}]*\}", "*", path)


def _overlap(one: str, other: str) -> bool:
    """Whether one of two paths is the other, or lies in it."""
    return all(a == b for a, b in zip(one.split("/"), other.split("/"), strict=False))


def imports() -> Edges:
    """Which package imports which, config/settings.py apart."""
    found: Edges = set()
    for path in (ROOT / "stages").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            used = [name.split(".")[1:] for name in names if name.startswith("stages.")]
            found |= {(_node(path.relative_to(ROOT / "stages").parts), _node(parts)) for parts in used}
    return found


def _node(parts: Sequence[str]) -> str:
    """The node of the picture that a module belongs to; of `evaluate` the command is apart from what it is made of."""
    package, module = parts[0], "".join(parts[1:2]).removesuffix(".py")
    if package == "evaluate" and module not in ("", "__main__"):
        return "prediction"
    return "settings" if (package, module) == ("config", "settings") else package
